//! What may stand between `${` and `}`, and what is said when something else stands there.
#![allow(clippy::unwrap_used)]

mod common;

use common::member;
use unanimo_expression::{ParseError, Reference, Step, Template};

fn one(expression: &str) -> Reference {
    let template = Template::parse(&format!("${{{expression}}}")).unwrap();
    let references: Vec<_> = template.references().cloned().collect();
    <[_; 1]>::try_from(references).unwrap()[0].clone()
}

fn error(text: &str) -> ParseError {
    Template::parse(text).unwrap_err()
}

#[test]
fn every_root_is_known() {
    let body = |path: &[Step]| Reference::RequestBody(path.to_vec());
    assert_eq!(one("request.body"), body(&[]));
    assert_eq!(one("request.body.items[0].sku"), body(&[member("items"), Step::Index(0), member("sku")]));
    assert_eq!(one(r#"request.body["a \"b\" \u00e9}"]"#), body(&[member("a \"b\" é}")]));
    assert_eq!(one("request.body['it\\'s']"), body(&[member("it's")]));
    assert_eq!(one(" request . body [ 7 ] "), body(&[Step::Index(7)]));
    assert_eq!(one(r#"request.headers["X-Tenant"]"#), Reference::RequestHeader("x-tenant".into()));
    assert_eq!(one("request.headers.Host"), Reference::RequestHeader("host".into()));
    assert_eq!(one("request.query.q"), Reference::RequestQuery("q".into()));
    assert_eq!(one("request.parameters.id"), Reference::RequestParameter("id".into()));
    assert_eq!(one("request.method"), Reference::RequestMethod);
    assert_eq!(one("request.path"), Reference::RequestPath);
    assert_eq!(one("transaction.id"), Reference::TransactionId);
    assert_eq!(
        one("branches['ship-order'].response.receipt"),
        Reference::BranchResponse { branch: "ship-order".into(), path: vec![member("receipt")] }
    );
}

#[test]
fn the_canonical_spelling_is_plain() {
    assert_eq!(one("request.body['items'][0]['a b']").to_string(), r#"request.body.items[0]["a b"]"#);
    assert_eq!(one(r#"request.body["in"]"#).to_string(), r#"request.body["in"]"#);
    assert_eq!(one(r#"branches["debit"].response"#).to_string(), "branches.debit.response");
    assert_eq!(one(r#"request.headers["X-Tenant"]"#).to_string(), r#"request.headers["x-tenant"]"#);
}

#[test]
fn a_slip_is_pointed_at() {
    for (text, offset, likely) in [
        ("${requst.body}", 2, Some("request")),
        ("to ${request.bdy.a}", 12, Some("body")),
        ("${request.header.a}", 9, Some("headers")),
        ("${branches.debit.respones.a}", 16, Some("response")),
        ("${transaction.Id}", 13, Some("id")),
        ("${session.user}", 2, None),
    ] {
        let error = error(text);
        assert_eq!((error.offset, error.likely.as_deref()), (offset, likely), "{error}");
        assert!(error.message.starts_with("unknown name"), "{error}");
    }
    let shown = error("${request.bdy.a}").to_string();
    assert!(shown.ends_with("(at byte 9); did you mean `body`?"), "{shown}");
}

#[test]
fn half_an_expression_is_refused() {
    for (text, offset, message) in [
        ("a ${request.body", 2, "never closed"),
        ("${", 0, "never closed"),
        ("${}", 2, "missing between"),
        ("${ }", 3, "missing between"),
        ("${request}", 9, "stands for no value"),
        ("${request.headers}", 17, "needs a name"),
        ("${branches.debit}", 16, "one of response"),
        ("${request.method.a}", 16, "has no members"),
        ("${request.query.a.b}", 17, "has no members"),
        ("${request.headers[0]}", 17, "names, not numbers"),
        ("${request.headers['a b']}", 17, "cannot be the name of a header"),
        ("${request.body[-1]}", 14, "counted from 0"),
        ("${request.body[99999999999999999999999]}", 15, "too large"),
        ("${request.body['a}", 15, "quotation mark"),
        (r"${request.body['\q']}", 16, "an escape"),
        (r"${request.body['\ud83d']}", 16, "an escape"),
        (r"${request.body['\u+123']}", 16, "an escape"),
        (r"${request.body['\é']}", 16, "an escape"),
        ("${request.body.in}", 15, "keyword"),
    ] {
        let error = error(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn expressions_are_bounded() {
    let deep = |steps: usize| format!("${{request.body{}}}", "[0]".repeat(steps - 1));
    assert!(Template::parse(&deep(32)).is_ok());
    assert!(error(&deep(34)).message.contains("at most 32 steps"));
    let long =
        |bytes: usize| format!("${{request.body['{}']}}", "a".repeat(bytes - "request.body['']".len()));
    assert!(Template::parse(&long(4096)).is_ok());
    assert!(error(&long(4097)).message.contains("at most 4096 bytes"));
}
