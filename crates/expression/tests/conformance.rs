//! What we compute is what the crate `cel` computes with its own interpreter.
#![allow(clippy::unwrap_used)]

mod common;

use cel::objects::Key;
use cel::{Context, Program, Value as Cel};
use common::World;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;
use unanimo_expression::{Fault, JsonTemplate, Reason};

const BODY: &str = r#"{"i": 7, "z": 0, "n": -3, "d": 2.5, "w": 4.0, "max": 9223372036854775807, "t": true, "f": false,
    "s": "Zoë", "e": "", "none": null, "l": [3, 1, 2], "m": {"a": 1}, "o": [{"v": 1}, {"v": 2.0}]}"#;

/// What the crate makes of an expression; none where it fails.
fn theirs(expression: &str) -> Option<Json> {
    let mut context = Context::default();
    let body: Json = serde_json::from_str(BODY).unwrap();
    context.add_variable_from_value("request", cel_of(&json!({ "body": body })));
    let program = Program::compile(expression).unwrap();
    json_of(&program.execute(&context).ok()?)
}

/// JSON as we read it: whole numbers are integers with a sign.
fn cel_of(json: &Json) -> Cel {
    match json {
        Json::Null => Cel::Null,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => number.as_i64().map_or_else(|| number.as_f64().unwrap().into(), Cel::from),
        Json::String(text) => text.as_str().into(),
        Json::Array(elements) => elements.iter().map(cel_of).collect::<Vec<_>>().into(),
        Json::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), cel_of(value)))
            .collect::<HashMap<_, _>>()
            .into(),
    }
}

fn json_of(value: &Cel) -> Option<Json> {
    Some(match value {
        Cel::Null => Json::Null,
        Cel::Bool(value) => json!(value),
        Cel::Int(value) => json!(value),
        Cel::UInt(value) => json!(value),
        Cel::Float(value) if value.is_finite() => json!(value),
        Cel::String(text) => json!(text.as_str()),
        Cel::List(elements) => elements.iter().map(json_of).collect::<Option<Vec<_>>>()?.into(),
        Cel::Map(members) => {
            let member = |(key, value): (&Key, &Cel)| match key {
                Key::String(name) => Some((name.to_string(), json_of(value)?)),
                _ => None,
            };
            members.map.iter().map(member).collect::<Option<Map<_, _>>>()?.into()
        }
        _ => return None,
    })
}

fn ours(expression: &str) -> Result<Json, Reason> {
    // A path that cannot lead anywhere is refused before there are values.
    let template =
        JsonTemplate::compile(&json!(format!("${{{expression}}}"))).map_err(|_| Reason::Missing)?;
    let mut out = Vec::new();
    template.render(&World::with_body(BODY), &mut out).map_err(|failure| failure.reason)?;
    Ok(serde_json::from_slice(&out).unwrap())
}

/// Numbers as doubles: JSON does not tell `2` from `2.0`.
fn plain(json: Json) -> Json {
    match json {
        Json::Number(number) if number.as_i64().is_none_or(|it| it.abs() < 1 << 50) => json!(number.as_f64()),
        Json::Array(elements) => elements.into_iter().map(plain).collect(),
        Json::Object(members) => members.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}

fn atom() -> impl Strategy<Value = String> {
    let atoms = vec![
        "0",
        "1",
        "-2",
        "1.5",
        "-0.5",
        "4.0",
        "true",
        "false",
        "null",
        "'a'",
        "''",
        "'Zoë'",
        "[]",
        "[1, 'a']",
        "{'a': 1}",
        "request.body.i",
        "request.body.z",
        "request.body.n",
        "request.body.d",
        "request.body.w",
        "request.body.max",
        "request.body.t",
        "request.body.f",
        "request.body.s",
        "request.body.e",
        "request.body.none",
        "request.body.l",
        "request.body.m",
        "request.body.o",
        "request.body.m.a",
        "request.body.l[1]",
        "request.body.o[1].v",
        "has(request.body.s)",
        "has(request.body.gone)",
    ];
    select(atoms).prop_map(str::to_owned)
}

fn expression() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 24, 3, |inner| {
        let operator =
            select(vec!["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"]);
        let call = select(vec!["size", "string", "int", "double", "!", "-"]);
        let member = select(vec!["contains", "startsWith", "endsWith"]);
        let each = select(vec!["map", "filter", "all", "exists", "exists_one"]);
        let step =
            select(vec!["x", "x > 1", "x == 'a'", "has(x.v)", "x.v > 1", "x + x", "size(x) > 0", "true"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
            (call, inner.clone()).prop_map(|(call, a)| format!("{call}({a})")),
            (inner.clone(), member, inner.clone()).prop_map(|(a, f, b)| format!("({a}).{f}({b})")),
            (inner.clone(), each, step).prop_map(|(a, each, step)| format!("({a}).{each}(x, {step})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{{'p': {a}}}, {b}]")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a})[{b}]")),
        ]
    })
}

/// The crate's parser needs a deep stack in a debug build.
fn on_a_deep_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap().join().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn both_compute_the_same(expression in expression()) {
        let text = expression.clone();
        let theirs = on_a_deep_stack(move || theirs(&text)).map(plain);
        match ours(&expression) {
            Ok(json) => prop_assert_eq!(Some(plain(json)), theirs, "{}", expression),
            Err(Reason::Uncomputable(Fault::TooCostly)) => {}
            Err(reason) => prop_assert_eq!(None, theirs, "{}: {}", expression, reason),
        }
    }
}
