//! What templates make of values: bodies, text, headers and paths.
#![allow(clippy::unwrap_used)]

mod common;

use common::World;
use serde_json::{Value as Json, json};
use unanimo_expression::{JsonTemplate, ParseError, Reason, Template, Unrenderable};

const MONEY: &str = r#"{"amount": 10.10, "huge": 1e400, "long": 12345678901234567890.1, "name": "Zo\u00eb \"Z\"",
    "object": {"a" : [1, 2]}, "none": null, "yes": true, "empty": "", "twice": 1, "twice": 2,
    "cut": "\ud83d", "line": "a\r\nb", "delete": "\u007f", "dots": "..", "way": "a/b c%é"}"#;

fn money() -> World {
    World::with_body(MONEY).and("transaction.id", "tx\"1").and("request.headers.host", "example")
}

fn body(template: Json) -> Result<String, Unrenderable> {
    let mut out = b"before ".to_vec();
    let result = JsonTemplate::compile(&template).unwrap().render(&money(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let rendered = out.strip_prefix("before ").unwrap().to_owned();
    assert!(result.is_ok() || rendered.is_empty(), "a failure leaves nothing behind: {out}");
    result.map(|()| rendered)
}

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn reason<T: std::fmt::Debug>(result: Result<T, Unrenderable>) -> Reason {
    result.unwrap_err().reason
}

#[test]
fn a_whole_string_copies_the_token() {
    for (expression, token) in [
        ("amount", "10.10"),
        ("huge", "1e400"),
        ("long", "12345678901234567890.1"),
        ("name", r#""Zo\u00eb \"Z\"""#),
        ("object", r#"{"a" : [1, 2]}"#),
        ("none", "null"),
        ("cut", r#""\ud83d""#),
    ] {
        assert_eq!(body(json!(format!("${{request.body.{expression}}}"))).unwrap(), token);
    }
    assert_eq!(body(json!("${request.body}")).unwrap(), MONEY);
}

#[test]
fn plain_text_becomes_a_string() {
    assert_eq!(body(json!({"id": "${transaction.id}"})).unwrap(), r#"{"id":"tx\"1"}"#);
}

#[test]
fn in_mixed_text_stands_what_is_meant() {
    let text = "${request.body.name} pays ${request.body.amount} (${request.body.yes}, ${request.body.none})";
    assert_eq!(body(json!(text)).unwrap(), r#""Zoë \"Z\" pays 10.10 (true, null)""#);
    assert_eq!(template(text).render_text(&money()).unwrap(), "Zoë \"Z\" pays 10.10 (true, null)");
    assert_eq!(body(json!(" ${request.body.amount}")).unwrap(), r#"" 10.10""#);
    assert_eq!(reason(body(json!(["a ${request.body.object}"]))), Reason::NotText);
    assert_eq!(reason(body(json!(["a ${request.body.cut}"]))), Reason::ForbiddenCharacter);
}

#[test]
fn what_is_no_expression_stays() {
    let literal = json!({"a~/": [1, -2.5, true, null, "plain \" \n $ $$ { }"], "b": {}});
    assert_eq!(body(literal.clone()).unwrap(), literal.to_string());
}

#[test]
fn a_literal_dollar_brace_is_escaped() {
    let text = "$${a} $$${b} $$$ {$} ${transaction.id}$";
    assert_eq!(template(text).render_text(&money()).unwrap(), "${a} $${b} $$$ {$} tx\"1$");
    assert_eq!(template(text).source(), text);
    assert_eq!(body(json!({"$${name}": "$${a}"})).unwrap(), r#"{"${name}":"${a}"}"#);
}

#[test]
fn a_body_says_where_it_is_wrong() {
    let wrong = |value| JsonTemplate::compile(&value).unwrap_err();
    let error = wrong(json!({"lines": [1, {"a/b~": "to ${request.bdy}"}]}));
    assert_eq!(error.pointer, "/lines/1/a~1b~0");
    assert_eq!((error.error.offset, error.error.likely.as_deref()), (12, Some("body")));
    assert!(error.to_string().starts_with("/lines/1/a~1b~0: unknown name `bdy`"), "{error}");
    assert_eq!(wrong(json!("${")).pointer, "");
    let name = wrong(json!({"${transaction.id}": 1}));
    assert!(name.error.message.contains("not in its name"), "{name}");
}

#[test]
fn a_body_is_bounded_in_depth() {
    let nested = |depth: usize| (0..depth).fold(json!("${transaction.id}"), |inner, _| json!([inner]));
    assert!(JsonTemplate::compile(&nested(32)).is_ok());
    assert!(JsonTemplate::compile(&nested(33)).unwrap_err().error.message.contains("at most 32 deep"));
}

#[test]
fn references_come_in_order() {
    let value = json!(["${request.body.b}", "x ${request.body.a} ${request.body.b}"]);
    let body = JsonTemplate::compile(&value).unwrap();
    let names: Vec<_> = body.references().map(ToString::to_string).collect();
    assert_eq!(names, ["request.body.b", "request.body.a", "request.body.b"]);
}

#[test]
fn missing_values_become_null_where_that_is_asked() {
    let value = json!({
        "a": "${request.body.amount}", "b": "${request.body.gone}",
        "c": "Dear ${request.body.name}: ${request.body.gone} and ${request.body.amount}!", "d": "${transaction.id}"
    });
    let mut out = b"before ".to_vec();
    let missing = JsonTemplate::compile(&value).unwrap().render_or_null(&money(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), r#"before {"a":10.10,"b":null,"c":null,"d":"tx\"1"}"#);
    let told: Vec<_> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["`request.body.gone` is missing", "`request.body.gone` is missing"]);
}

#[test]
fn what_cannot_be_rendered_is_named() {
    assert_eq!(reason(body(json!("${request.body.twice}"))), Reason::Ambiguous);
    assert_eq!(reason(template("${request.headers.x}").render_text(&money())), Reason::Missing);
    assert_eq!(reason(template("${request.body}").render_text(&World::default())), Reason::NotJson);
    let failure = body(json!({"a": "${request.body.object.b[0]}"})).unwrap_err();
    assert_eq!(failure.to_string(), "`request.body.object.b[0]` is missing");
}

#[test]
fn headers_hold_visible_text() {
    let header = |text: &str| template(text).render_header(&money());
    assert_eq!(header("v=${request.body.amount}; ${request.headers.host}").unwrap(), "v=10.10; example");
    assert_eq!(header("${request.body.empty}").unwrap(), "");
    for bad in ["${request.body.line}", "${request.body.name}", "${request.body.delete}"] {
        assert_eq!(reason(header(bad)), Reason::ForbiddenCharacter, "{bad}");
    }
    assert_eq!(header("a\r\nSet-Cookie: é").unwrap(), "a  Set-Cookie:  ");
    assert_eq!(template("ok ${request.body.line}").check_header(), Ok(()));
    assert_eq!(template("${transaction.id}\r\n").check_header().unwrap_err().offset, 17);
}

#[test]
fn a_path_keeps_its_segments() {
    let path = |text: &str| template(text).render_path(&money());
    assert_eq!(path("/orders/${request.body.way}/x").unwrap(), "/orders/a%2Fb%20c%25%C3%A9/x");
    assert_eq!(path("/v${request.body.amount}-${request.body.yes}").unwrap(), "/v10.10-true");
    assert_eq!(reason(path("/a/${request.body.empty}")), Reason::EmptySegment);
    assert_eq!(reason(path("/a/${request.body.dots}")), Reason::DotSegment);
    assert_eq!(path("/a b?#é").unwrap(), "/a%20b%3F%23%C3%A9");
}

#[test]
fn a_path_is_checked() {
    for good in [
        "/",
        "/a/",
        "/a/${transaction.id}",
        "/${transaction.id}/b",
        "/a.${transaction.id}",
        "/a%2Fb:@!$&'()*+,;=~",
    ] {
        assert_eq!(template(good).check_path(), Ok(()), "{good}");
    }
    for (bad, offset) in [
        ("", 0),
        ("a/b", 0),
        ("${request.path}", 0),
        ("//a", 0),
        ("/a//b", 2),
        ("/${request.path}//b", 16),
        ("/a/./b", 2),
        ("/a/..", 2),
        ("/a/%2e%2E/b", 2),
        ("/a?b", 2),
        ("/${request.path}#b", 16),
        ("/a b", 2),
        ("/a%2", 2),
        ("/a%g0", 2),
        ("/a%2${request.path}", 2),
        ("/é", 1),
        ("/a\\b", 2),
        ("/$${a}", 2),
    ] {
        let error: ParseError = template(bad).check_path().unwrap_err();
        assert_eq!(error.offset, offset, "{bad}: {error}");
    }
}
