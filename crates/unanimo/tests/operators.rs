//! What an operator does to the real program from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::Choices;
use support::process::PATIENCE;

/// No budget is in the way; what keeps a call back is its pause alone.
const CHOICES: Choices = Choices { more: "retry: { initial: 1h, cap: 1h }", journal: "segment_size: 256KiB" };

#[test]
fn a_retry_calls_at_once_who_would_be_asked_only_after_a_long_pause() {
    let counter = Counter::start(CHOICES);
    let prefer = [("Prefer", "respond-async")];
    // It votes yes, and is then down for commit, asking for half a minute's patience.
    let answer = counter.post("/pay", &prefer, &body("yes", "away", "1.10")).unwrap();
    let id = answer.header("unanimo-transaction").unwrap().to_owned();
    let commits = || Counter::operations(&counter.right, "1.10").iter().filter(|it| *it == "commit").count();
    let branch = |name: &str| {
        let view = counter.gateway.ask(&format!("/v1/transactions/{id}")).unwrap().json();
        let branches = view["branches"].as_array().unwrap().clone();
        (view["state"].clone(), branches.into_iter().find(|branch| branch["name"] == name).unwrap())
    };
    within("the commit is put off", PATIENCE, || match branch("right") {
        (state, right) if state == "committing" && right["last_answer"] == "commit: ongoing (503)" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(commits(), 1);
    counter.door.open();

    let output = counter.gateway.command(&["transactions", "retry", &id, "--json"]);
    let retried: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({ "id": id, "state": "committing", "called": ["right"], "under_way": [] });
    assert_eq!((output.status.code(), retried), (Some(0), expected));
    // Long before the half minute is over.
    within("it has ended", Duration::from_secs(20), || match branch("right") {
        (state, right) if state == "committed" && right["progress"] == "ended" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(commits(), 2);
}
