//! What counts as JSON, and what is found in it.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::member;
use unanimo_expression::{Document, InvalidJson, Reason, Step};

fn parse(text: &'static str) -> Result<Document, InvalidJson> {
    Document::parse(Bytes::from_static(text.as_bytes()))
}

#[test]
fn values_are_found_as_they_stand() {
    let document = parse(" {\"a\" : [ 1 ,\t{\"b\":-0.0e+0 } , \"]\\\"}\" ] , \"\\u0062\": {} } \n").unwrap();
    let get = |path: &[Step]| document.get(path).map(|token| std::str::from_utf8(token).unwrap());
    assert_eq!(get(&[member("a"), Step::Index(0)]), Ok("1"));
    assert_eq!(get(&[member("a"), Step::Index(1), member("b")]), Ok("-0.0e+0"));
    assert_eq!(get(&[member("a"), Step::Index(2)]), Ok(r#""]\"}""#));
    assert_eq!(get(&[member("b")]), Ok("{}"));
    assert_eq!(get(&[member("a"), Step::Index(3)]), Err(Reason::Missing));
    assert_eq!(get(&[member("a"), member("0")]), Err(Reason::Missing));
    assert_eq!(get(&[Step::Index(0)]), Err(Reason::Missing));
    assert_eq!(get(&[member("b"), member("c")]), Err(Reason::Missing));
}

#[test]
fn a_name_on_the_way_must_be_alone() {
    let document = parse(r#"{"a": {"x": 1}, "\u0061": {"x": 1}, "b": {"c": 1, "c": 2, "d": 3}}"#).unwrap();
    assert_eq!(document.get(&[member("a"), member("x")]), Err(Reason::Ambiguous));
    assert_eq!(document.get(&[member("b"), member("c")]), Err(Reason::Ambiguous));
    assert_eq!(document.get(&[member("b"), member("d")]), Ok(b"3".as_slice()));
    assert_eq!(document.get(&[member("b")]), Ok(br#"{"c": 1, "c": 2, "d": 3}"#.as_slice()));
}

#[test]
fn scalars_are_documents() {
    for text in ["null", "true", "false", "0", "-0", "1e400", "0.10E-7", "\"\"", r#""\ud83d""#, "[]", "{}"] {
        assert_eq!(parse(text).unwrap().get(&[]), Ok(text.as_bytes()));
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        "",
        " ",
        "nul",
        "True",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\u12",
        "\"\t\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:2}",
        "1 2",
        "{}}",
        "// a\n1",
        "\u{feff}1",
        "nullx",
    ] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert!(Document::parse(Bytes::from_static(b"\"\xff\"")).is_err());
}

#[test]
fn an_error_says_where() {
    let error = parse("{\n  \"zoë\": \"é\", x\n}").unwrap_err();
    assert_eq!((error.line, error.column), (2, 15));
    assert_eq!(
        error.to_string(),
        "not JSON: a member's name in quotation marks is expected at line 2 column 15"
    );
    let error = Document::parse(Bytes::from_static(b"[\n\"\xff\"]")).unwrap_err();
    assert_eq!((error.line, error.column), (2, 2));
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| Bytes::from("[".repeat(depth) + &"]".repeat(depth));
    assert!(Document::parse(nested(128)).is_ok());
    let error = Document::parse(nested(129)).unwrap_err();
    assert!(error.message.contains("too deep"), "{error}");
    assert!(Document::parse(Bytes::from("[".repeat(1_000_000))).is_err());
}
