//! What hostile texts and hostile values cost: never a stack, never a worker's time.
#![allow(clippy::unwrap_used)]

mod common;

use common::World;
use serde_json::json;
use unanimo_expression::{Fault, JsonTemplate, Reason, Template};

/// A body as large as a call, of elements like this one.
fn large(element: &str) -> World {
    World::with_body(format!("{{\"l\": [{}]}}", vec![element; 65_000 / (element.len() + 1)].join(",")))
}

fn render(expression: &str, world: &World) -> Result<Vec<u8>, Reason> {
    let template = JsonTemplate::compile(&json!(format!("${{{expression}}}"))).unwrap();
    let mut out = Vec::new();
    template.render(world, &mut out).map_err(|failure| failure.reason)?;
    Ok(out)
}

#[test]
fn texts_nest_at_most_so_deep() {
    let around = |open: &str, inner: &str, close: &str, times: usize| {
        format!("${{{}{inner}{}}}", open.repeat(times), close.repeat(times))
    };
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{'a':", "1", "}"),
        ("size([", "1", "])"),
        ("!(", "true", ")"),
        ("-(", "1", ")"),
        ("true ? 1 : ", "1", ""),
        ("[1].map(x, ", "x", ")"),
        ("request.body[", "1", "]"),
    ] {
        let levels = open.matches(['(', '[', '{', '?']).count();
        let deepest = Template::parse(&around(open, inner, close, 32 / levels));
        assert!(deepest.is_ok(), "{open}: {}", deepest.unwrap_err());
        for times in [33, 100, 10_000] {
            let error = Template::parse(&around(open, inner, close, times)).unwrap_err();
            assert!(error.message.contains("at most 32 deep"), "{open} {times}: {error}");
        }
    }
}

#[test]
fn long_chains_do_not_recurse_far() {
    let chain = |link: &str| format!("${{1{}}}", link.repeat(4000 / link.len()));
    for link in [" + 1", "+1", " < 1", ".a", "[0]", " in 1"] {
        let error = Template::parse(&chain(link)).unwrap_err();
        assert!(error.message.contains("at most 64 operations"), "{link}: {error}");
    }
    assert!(Template::parse(&format!("${{1{}}}", " + 1".repeat(60))).is_ok());
    // These the reader makes flat or balanced by itself.
    assert!(Template::parse(&format!("${{{}true}}", "true && ".repeat(500))).is_ok());
    assert!(Template::parse(&format!("${{{}true}}", "!".repeat(4001))).is_ok());
    assert!(Template::parse(&format!("${{{}1}}", "-".repeat(4001))).is_ok());
}

#[test]
fn damaged_texts_are_refused_without_a_panic() {
    let text = "has(request.body.a) ? [1, {'b': request.body['c']}].map(x, x + -1.5e3) : 'é' + r\"\\\"";
    for at in text.char_indices().map(|(at, _)| at) {
        for damage in ["", "(", ")", "'", "}", "?", ".", "\0", "`", "1u", "\u{1f600}"] {
            let damaged = format!(
                "${{{}{damage}{}}}",
                &text[..at],
                &text[at + text[at..].chars().next().unwrap().len_utf8()..]
            );
            if let Err(error) = Template::parse(&damaged) {
                assert!(error.offset <= damaged.len(), "{damaged}: {error}");
                assert!(damaged.is_char_boundary(error.offset), "{damaged}: {error}");
                assert!(!error.message.contains("cannot be read"), "{damaged}: the reader panicked");
            }
        }
    }
}

/// Expressions that would take seconds, or gigabytes, if nobody counted.
const GREEDY: [&str; 8] = [
    "request.body.l.map(a, request.body.l.map(b, request.body.l))",
    "request.body.l.map(a, request.body.l)",
    "request.body.l.all(a, request.body.l.all(b, request.body.l == request.body.l))",
    "request.body.l.map(a, size(request.body.l))",
    "request.body.l.map(a, request.body.l + request.body.l)",
    "request.body.l.map(a, string(a) + 'long long long long long long long long long long long')",
    "request.body.l.exists(a, a in request.body.l.filter(b, b != a))",
    "request.body.l.map(a, request.body.l[100])",
];

#[test]
fn greedy_expressions_are_stopped() {
    for element in ["1", "[]", "{}", "[[[[[[]]]]]]", "\"\\u00e9\"", "{\"a\":1}"] {
        let world = large(element);
        for expression in GREEDY {
            let result = render(expression, &world);
            let stopped = matches!(result, Err(Reason::Uncomputable(Fault::TooCostly | Fault::TooLarge)));
            let small = matches!(&result, Ok(out) if out.len() <= 256 * 1024);
            let unfit = matches!(result, Err(Reason::Uncomputable(_) | Reason::NotText));
            assert!(stopped || small || unfit, "{element} {expression}: {:?}", result.map(|out| out.len()));
        }
    }
    let world = large("1");
    for expression in &GREEDY[..4] {
        let result = render(expression, &world);
        let stopped = matches!(result, Err(Reason::Uncomputable(Fault::TooCostly | Fault::TooLarge)));
        assert!(stopped, "{expression}: {:?}", result.map(|out| out.len()));
    }
}

#[test]
fn nobody_absorbs_that_the_budget_is_spent() {
    let greedy = "request.body.l.all(a, request.body.l.all(b, a == b || true))";
    // This one fails at a large step, when enough is left for small ones.
    let coarse = "size(request.body.l.map(a, size(request.body.l))) > 0 || true";
    let absorbing =
        [format!("{greedy} || true"), format!("[1, 2].exists(x, {greedy} || x == 2)"), coarse.to_owned()];
    for expression in absorbing {
        let result = render(&expression, &large("\"some text of some length\""));
        assert_eq!(result, Err(Reason::Uncomputable(Fault::TooCostly)), "{expression}");
    }
}

#[test]
fn an_ordinary_list_is_affordable() {
    let item = r#"{"sku": "a-1", "price": 250, "quantity": 2, "note": "fragile, this side up, please"}"#;
    let lines =
        "request.body.l.filter(i, i.quantity > 0).map(i, {'sku': i.sku, 'sum': i.price * i.quantity})";
    assert!(render(lines, &large(item)).is_ok());
}

#[test]
fn deep_values_are_compared_without_a_deep_stack() {
    let deep = format!("{{\"l\": {}{}}}", "[".repeat(126), "]".repeat(126));
    assert_eq!(render("request.body.l == request.body.l", &World::with_body(deep)), Ok(b"true".to_vec()));
}

#[test]
fn the_deepest_expression_is_computed_on_a_small_stack() {
    // As deep as operations go, and below them values as deep as JSON goes; a worker has four times this stack.
    let compute = || {
        let values = format!("{{\"l\": {}{}}}", "[".repeat(126), "]".repeat(126));
        let sum = format!("(request.body.l == request.body.l ? 1 : 0){}", " + 1".repeat(60));
        assert_eq!(render(&sum, &World::with_body(values)), Ok(b"61".to_vec()));
        let lists = format!("{}1{}", "[".repeat(32), "]".repeat(32));
        assert_eq!(render(&lists, &World::default()), Ok(lists.clone().into_bytes()));
        let macros = format!("{}1{}", "[1].map(x, ".repeat(16), ")".repeat(16));
        assert!(render(&macros, &World::default()).is_ok());
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(compute).unwrap().join().unwrap();
}

/// The figures: `cargo test --release -p unanimo-expression --test bounds -- --nocapture`.
#[test]
#[expect(clippy::disallowed_methods, reason = "the figure is a time")]
fn no_body_stalls_a_worker() {
    for element in ["1", "1.5", "[]", "{\"a\":1}", "\"\\u00e9\"", "\"some text of some length\""] {
        let world = large(element);
        for expression in GREEDY {
            let start = std::time::Instant::now();
            let result = render(expression, &world).map(|out| out.len());
            let took = start.elapsed();
            println!("{took:>9.0?} {element:<12} {expression}: {result:?}");
            // A release build takes a millisecond. The bound leaves room for debug builds on busy machines.
            assert!(took < std::time::Duration::from_secs(2), "{element} {expression}: {took:?}");
        }
    }
}
