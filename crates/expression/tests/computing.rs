//! What is more than a path: results, failures, and what stands behind them.
#![allow(clippy::unwrap_used)]

mod common;

use common::World;
use serde_json::{Value as Json, json};
use unanimo_expression::{Fault, JsonTemplate, Kind, Reason, Template, Unrenderable};

const ORDER: &str = r#"{"name": "Zo\u00eb", "note": null, "vip": true, "total": 10.10, "count": 3, "huge": 9223372036854775807,
    "long": 0.12345678901234567890, "empty": [], "items": [
        {"sku": "a-1", "price": 250, "quantity": 2, "gift": true},
        {"sku": "b-2", "price": 1.50, "quantity": 1},
        {"sku": "c-3", "price": 99, "quantity": 0}],
    "address": {"city": "Zürich", "zip": "8001"}, "twice": 1, "twice": 2, "numbers": [3, 1, 2]}"#;

fn order() -> World {
    World::with_body(ORDER)
        .and("request.query.page", "2")
        .and("request.headers[\"x-tenant\"]", "blue")
        .and("transaction.id", "tx1")
}

fn whole(expression: &str) -> Result<String, Unrenderable> {
    let template = JsonTemplate::compile(&json!(format!("${{{expression}}}")))
        .unwrap_or_else(|error| panic!("{expression}: {error}"));
    let mut out = b"before ".to_vec();
    let rendered = template.render(&order(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let rest = out.strip_prefix("before ").unwrap().to_owned();
    assert!(rendered.is_ok() || rest.is_empty(), "{expression} leaves {out}");
    rendered.map(|()| rest)
}

#[test]
fn expressions_give_json() {
    for (expression, result) in [
        ("1 + 2 * 3", "7"),
        ("-7 / 2", "-3"),
        ("-7 % 3", "-1"),
        ("-request.body.count", "-3"),
        ("1.5 * 2.0", "3"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("'a' + \"b\" + r'\\c'", r#""ab\\c""#),
        ("'''it's'''", r#""it's""#),
        (r"r'a\' + 'b}'", r#""a\\b}""#),
        (r#"'a\'}' + "\"}""#, r#""a'}\"}""#),
        ("[1] + [2, 'x']", r#"[1,2,"x"]"#),
        ("{'a': 1, 'b': [true, null]}", r#"{"a":1,"b":[true,null]}"#),
        ("request.body.count + 1", "4"),
        ("request.body.count > 2 && request.body.vip", "true"),
        ("request.body.vip ? 'gold' : 'plain'", r#""gold""#),
        ("!request.body.vip", "false"),
        ("request.body.count == 3.0", "true"),
        ("request.body.count < 3.5", "true"),
        ("request.body.huge < 9223372036854775808.0", "true"),
        ("request.body.note == null", "true"),
        ("request.body.name == 'Zoë'", "true"),
        ("request.body.name + '!'", r#""Zoë!""#),
        ("request.body.address == {'zip': '8001', 'city': 'Zürich'}", "true"),
        ("request.body.numbers == [3, 1, 2.0]", "true"),
        ("'a' < 'b'", "true"),
        ("2 in request.body.numbers", "true"),
        ("'zip' in request.body.address", "true"),
        ("size(request.body.items) + request.body.name.size()", "6"),
        ("request.body.name.startsWith('Zo') && request.body.name.endsWith('ë')", "true"),
        ("request.body.address.city.contains('ü')", "true"),
        ("int(request.query.page) + 1", "3"),
        ("int(2.9) + int('-4')", "-2"),
        ("double(request.body.count) * 1.5", "4.5"),
        ("string(request.body.count) + string(true) + string(1.5)", r#""3true1.5""#),
        ("bool('true')", "true"),
        ("request.headers['x-tenant'] + '/' + transaction.id", r#""blue/tx1""#),
        ("request.body.items[request.body.count - 2].sku", r#""b-2""#),
        ("request.body.address[request.body.vip ? 'city' : 'zip']", r#""Zürich""#),
        ("request.body.items.map(item, item.sku)", r#"["a-1","b-2","c-3"]"#),
        (
            "request.body.items.filter(item, item.quantity > 0).map(i, {'s': i.sku, 'q': i.quantity})",
            r#"[{"s":"a-1","q":2},{"s":"b-2","q":1}]"#,
        ),
        ("request.body.items.map(i, i.quantity > 0, i.price)", "[250,1.50]"),
        ("request.body.items.exists(i, has(i.gift) && i.gift)", "true"),
        ("request.body.items.all(i, i.quantity >= 0)", "true"),
        ("request.body.items.exists_one(i, i.sku == 'a-1')", "true"),
        ("request.body.address.map(name, name)", r#"["city","zip"]"#),
        ("request.body.numbers.map(a, request.body.numbers.map(b, a * b))", "[[9,3,6],[3,1,2],[6,2,4]]"),
        ("has(request.body.gone) ? request.body.gone : 'none'", r#""none""#),
        ("has(request.body.note)", "true"),
        ("has(request.body.gone.deeper)", "false"),
        ("has(request.headers['x-gone'])", "false"),
        ("has(request.body.vip) || request.body.gone", "true"),
        ("request.body.gone || true", "true"),
        ("1 / 0 > 1 && false", "false"),
        ("[0, 1].exists(x, 1 / x == 1)", "true"),
        ("[0, 2].all(x, 1 / x == 1)", "false"),
        ("'}' + \"}\"", r#""}}""#),
        ("null", "null"),
    ] {
        assert_eq!(whole(expression).as_deref(), Ok(result), "{expression}");
    }
}

#[test]
fn what_is_only_passed_on_keeps_its_bytes() {
    for (expression, result) in [
        ("has(request.body.total) ? request.body.total : 0", "10.10"),
        ("true ? request.body.long : 0", "0.12345678901234567890"),
        ("[request.body.total, request.body.name]", r#"[10.10,"Zo\u00eb"]"#),
        ("{'all': request.body.items[1]}", r#"{"all":{"sku": "b-2", "price": 1.50, "quantity": 1}}"#),
    ] {
        assert_eq!(whole(expression).as_deref(), Ok(result), "{expression}");
    }
}

#[test]
fn failures_say_why() {
    let fault = |fault| Reason::Uncomputable(fault);
    for (expression, what, reason) in [
        ("request.body.gone + 1", "request.body.gone", Reason::Missing),
        ("request.body.twice + 1", "request.body.twice", Reason::Ambiguous),
        ("request.query.gone == 'x' ? 1 : 2", "request.query.gone", Reason::Missing),
        ("1 / 0", "1 / 0", fault(Fault::DivisionByZero)),
        ("1 % 0", "1 % 0", fault(Fault::DivisionByZero)),
        ("1.0 / 0.0", "1.0 / 0.0", fault(Fault::NotFinite)),
        ("request.body.huge + 1", "request.body.huge + 1", fault(Fault::Overflow)),
        ("-request.body.huge - 2", "-request.body.huge - 2", fault(Fault::Overflow)),
        ("int(1e300)", "int(1e300)", fault(Fault::Overflow)),
        ("int('x')", "int('x')", fault(Fault::Conversion("int"))),
        ("1 + 'a'", "1 + 'a'", fault(Fault::Operands("+", Kind::Int, Kind::Text))),
        (
            "2 * request.body.total",
            "2 * request.body.total",
            fault(Fault::Operands("*", Kind::Int, Kind::Double)),
        ),
        ("1.5 % 1.0", "1.5 % 1.0", fault(Fault::Operands("%", Kind::Double, Kind::Double))),
        ("-'a'", "-'a'", fault(Fault::Operand("-", Kind::Text))),
        ("!1", "!1", fault(Fault::NotTrueOrFalse("!", Kind::Int))),
        ("1 ? 2 : 3", "1 ? 2 : 3", fault(Fault::NotTrueOrFalse("? :", Kind::Int))),
        ("[1][1]", "[1][1]", fault(Fault::OutOfRange)),
        ("[1][0 - 1]", "[1][0 - 1]", fault(Fault::OutOfRange)),
        ("{'a': 1}.b", "{'a': 1}.b", fault(Fault::NoSuchMember)),
        ("{'a': 1, 'a': 2}", "{'a': 1, 'a': 2}", fault(Fault::NameTwice)),
        ("{1: 2}", "{1: 2}", fault(Fault::NameNotText(Kind::Int))),
        ("(1).a", "(1).a", fault(Fault::NoMembers(Kind::Int))),
        ("'a'.map(x, x)", "'a'.map(x, x)", fault(Fault::NoElements(Kind::Text))),
        ("size(1)", "size(1)", fault(Fault::Operand("size", Kind::Int))),
        ("1 < 'a'", "1 < 'a'", fault(Fault::Operands("<", Kind::Int, Kind::Text))),
        (
            "request.body.items.all(i, i.gift)",
            "request.body.items.all(i, i.gift)",
            fault(Fault::NoSuchMember),
        ),
    ] {
        let failure = whole(expression).unwrap_err();
        assert_eq!((&*failure.what, failure.reason), (what, reason), "{expression}");
    }
    assert_eq!(
        whole("2 * request.body.total").unwrap_err().to_string(),
        "`2 * request.body.total` cannot be computed: `*` cannot take an int and a double"
    );
    assert_eq!(whole("request.body.gone + 1").unwrap_err().to_string(), "`request.body.gone` is missing");
}

#[test]
fn what_is_no_json_has_nothing() {
    let template = Template::parse("${has(request.body.a) ? request.body.a : 'none'}").unwrap();
    assert_eq!(template.render_text(&World::default()).unwrap(), "none");
    let failure =
        Template::parse("${request.body.a + 1}").unwrap().render_text(&World::default()).unwrap_err();
    assert_eq!(failure.reason, Reason::NotJson);
}

#[test]
fn results_stand_where_bare_paths_do() {
    let template = |text: &str| Template::parse(text).unwrap();
    let text = template("n=${request.body.count * 2}, ${request.body.vip ? request.body.name : ''}");
    assert_eq!(text.render_text(&order()).unwrap(), "n=6, Zoë");
    let reason = |result: Result<String, Unrenderable>| result.unwrap_err().reason;
    assert_eq!(reason(text.render_header(&order())), Reason::ForbiddenCharacter);
    assert_eq!(template("${1 + 1};q").render_header(&order()).unwrap(), "2;q");
    assert_eq!(reason(template("${[1]} ").render_text(&order())), Reason::NotText);
    let path = |text: &str| template(text).render_path(&order());
    assert_eq!(path("/a/${request.body.address.city + '/x'}/b").unwrap(), "/a/Z%C3%BCrich%2Fx/b");
    assert_eq!(reason(path("/a/${'.' + '.'}")), Reason::DotSegment);
    assert_eq!(reason(path("/a/${'' + ''}")), Reason::EmptySegment);
    assert_eq!(template("/a/${1 + 1}/b").check_path(), Ok(()));
    assert_eq!(template("${1 + 1}").check_path().unwrap_err().offset, 0);
    let mixed =
        JsonTemplate::compile(&json!({"a": "n ${1 + 1} \"${'\"'}", "b": "${1 / 0}", "c": "x ${1 / 0}"}));
    let mut out = Vec::new();
    let failures = mixed.unwrap().render_or_null(&order(), &mut out);
    assert_eq!(serde_json::from_slice::<Json>(&out).unwrap(), json!({"a": "n 2 \"\"", "b": null, "c": null}));
    assert_eq!(failures.len(), 2);
}

#[test]
fn what_an_expression_needs_is_known() {
    let needs = |expression: &str| -> Vec<String> {
        let template = Template::parse(&format!("${{{expression}}}")).unwrap();
        let spell = |it: unanimo_expression::Dependency| {
            format!("{}{}", it.reference, if it.is_optional { "?" } else { "" })
        };
        template.dependencies().map(spell).collect()
    };
    assert_eq!(
        needs("request.body.a.b + request.headers['X-Y']"),
        ["request.body.a.b", "request.headers[\"x-y\"]"]
    );
    assert_eq!(needs("request.body.items[request.query.n].sku"), ["request.body.items", "request.query.n"]);
    assert_eq!(
        needs("request.body.items.map(i, i.sku + transaction.id)"),
        ["request.body.items", "transaction.id"]
    );
    assert_eq!(
        needs("has(branches.debit.response) ? branches.debit.response.id : request.body.id"),
        ["branches.debit.response?", "branches.debit.response.id?", "request.body.id"]
    );
    assert_eq!(needs("has(request.body.ab) && request.body.a"), ["request.body.ab?", "request.body.a"]);
    assert_eq!(needs("request.body.a"), ["request.body.a"]);
}

#[test]
fn slips_are_pointed_at() {
    for (text, offset, message, likely) in [
        ("a ${1 + requst.body}", 8, "unknown name `requst`", Some("request")),
        ("${1 + request.bdy.a}", 13, "unknown name `bdy`", Some("body")),
        ("${'é' + request.bdy.a}", 16, "unknown name `bdy`", Some("body")),
        ("${request.body.a.map(i, it)}", 24, "unknown name `it`", Some("i")),
        ("${request.body.ship-order}", 20, "a name with a hyphen", None),
        ("${siz(request.body.a)}", 5, "unknown function `siz`", Some("size")),
        ("${request.body.a.lenght()}", 23, "unknown function `lenght`", None),
        ("${matches('a', 'b')}", 9, "`matches` is not in this version", None),
        ("${size(1, 2)}", 6, "`size` is written `size(value)`", None),
        ("${request.headers.map(h, h)}", 17, "needs a name", None),
        ("${request.headers[request.query.h]}", 17, "needs a name", None),
        ("${1u + 2u}", 2, "no unsigned numbers", None),
        ("${b'x' == b'y'}", 2, "no bytes", None),
        ("${has(1)}", 5, "`has` asks for a path", None),
        ("${[1].map(1, 2)}", 10, "a variable is a plain name", None),
        ("${[1].map(request, 2)}", 10, "has a meaning already", None),
        ("${[1].all(x)}", 9, "written with a variable", None),
        (
            "${request.headers[request.body.x]}",
            17,
            "a name, as a text in quotes: it cannot be computed",
            None,
        ),
        ("${request[request.body.x]}", 9, "as a text in quotes", None),
        ("${request.bdy[1 + 1]}", 9, "unknown name `bdy`", Some("body")),
        ("${1 +}", 5, "this is no expression: something is missing before the end", None),
        ("${request.body.a ? 1}", 2, "this is no expression: `?` needs a `:`", None),
        ("${1 ? : 2}", 2, "`?` needs a `:`, and a value on both sides of it", None),
        ("${1 + * 2}", 6, "this is no expression: `*` cannot stand here", None),
        ("${1 2}", 4, "this is no expression: `2` cannot stand here", None),
        ("${1 = 2}", 4, "this is no expression: `=` cannot stand here", None),
        ("${{'a' 1}}", 7, "this is no expression: `:` is missing here", None),
        ("${1 + // two\n 2}", 6, "a comment cannot stand", None),
        ("${(1}", 2, "`(` is never closed", None),
        ("${1)}", 3, "`)` closes nothing", None),
        ("${request.body[1 + 1}", 14, "`[` is never closed", None),
        ("${'a + 1}", 2, "quotation mark is never closed", None),
        ("${9223372036854775808 + 1}", 2, "this is no expression", None),
        ("${a.b{c: 1}}", 5, "cannot be used in an expression here", None),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!((error.offset, error.likely.as_deref()), (offset, likely), "{text}: {error}");
    }
}
