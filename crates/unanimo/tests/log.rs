//! The lines for each request, as the real program writes them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::Choices;
use support::process::PATIENCE;

/// Once it has so many: the line is written when the answer's head is, and it may be read a little later.
fn requests(counter: &Counter, expected: usize) -> Vec<Value> {
    let mut lines = Vec::new();
    within("the lines are written", PATIENCE, || {
        let said = counter.gateway.said();
        let read = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines = read.filter(|line| line["message"] == "request").collect();
        if lines.len() == expected { Ok(()) } else { Err(format!("{} of {expected}:\n{said}", lines.len())) }
    });
    lines
}

#[test]
fn every_request_has_a_line_with_its_transaction_and_its_trace() {
    let more = "log: { format: json, access: true }";
    let counter = Counter::start(Choices { more, ..Choices::default() });
    counter.door.open();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let secret = [("traceparent", parent.as_str()), ("Authorization", "Bearer s3cret")];
    let named = counter.post("/pay?token=s3cret", &secret, &body("yes", "yes", "1.00")).unwrap();
    let own = counter.post("/pay", &[], &body("yes", "no", "2.00")).unwrap();
    counter.post("/pay", &[], "{}").unwrap();
    counter.get("/nobody-has-it");
    counter.get("/plain");
    let status =
        format!("/transactions/{}.{}", named.header("unanimo-transaction").unwrap(), "t0kent0kent0k");
    counter.get(&status);
    let lines = requests(&counter, 6);
    let field = |name: &str| lines.iter().map(|line| line[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("route"), ["pay", "pay", "pay", "(none)", "plain", "(own)"]);
    let shown = status.split('.').next().unwrap();
    assert_eq!(field("path"), ["/pay", "/pay", "/pay", "/nobody-has-it", "/plain", shown]);
    assert_eq!(field("method"), ["POST", "POST", "POST", "GET", "GET", "GET"]);
    assert_eq!(field("status"), [201, 409, 422, 404, 200, 404]);
    assert!(lines.iter().all(|line| line["client"] == "127.0.0.1" && line["micros"].is_u64()), "{lines:?}");
    let ids = [&named, &own].map(|answer| answer.header("unanimo-transaction").unwrap());
    assert_eq!(
        field("transaction"),
        [json!(ids[0]), json!(ids[1]), json!(null), json!(null), json!(null), json!(ids[0])]
    );
    let id: unanimo_contract::Id = ids[1].parse().unwrap();
    let [_, _, unrendered, unknown, plain, _] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&lines[0]["trace"], &lines[1]["trace"]),
        (&json!(trace), &json!(format!("{:032x}", id.bits())))
    );
    assert_eq!((&unrendered["trace"], &unknown["trace"]), (&json!(null), &json!(null)));
    let asked = counter.right.calls().into_iter().find(|call| call.path == "/plain").unwrap();
    assert!(asked.header("traceparent").unwrap().contains(plain["trace"].as_str().unwrap()));
    assert!(!counter.gateway.said().contains("s3cret") && !counter.gateway.said().contains("t0ken"));
}

#[test]
fn without_the_setting_there_is_none() {
    let mut counter = Counter::start(Choices { more: "log: { format: json }", ..Choices::default() });
    counter.door.open();
    assert_eq!(counter.get("/plain").status, 200);
    // What was to be written by then is written.
    counter.gateway.terminate();
    assert!(requests(&counter, 0).is_empty());
}
