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

#[test]
fn every_line_of_the_log_is_json_and_what_concerns_a_transaction_names_it_and_its_trace() {
    let more = "log: { format: json, level: debug }\nretry: { initial: 1h, cap: 1h, stuck_after: 2s }";
    let mut counter = Counter::start(Choices { more, ..CHOICES });
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let [traced, own] = [Some(parent.as_str()), None].map(|parent| {
        let headers = [("Prefer", "respond-async"), ("traceparent", parent.unwrap_or("none"))];
        let answer = counter.post("/pay", &headers, &body("yes", "away", "1.10")).unwrap();
        answer.header("unanimo-transaction").unwrap().to_owned()
    });
    let lines = |counter: &Counter| -> Vec<Value> {
        let said = counter.gateway.said();
        // What stands behind the last line's end is being written.
        let whole = said.rfind('\n').map_or("", |end| &said[..end]);
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        whole.lines().map(parse).collect()
    };
    let stuck = within("both are told of", PATIENCE, || {
        let mut lines = lines(&counter);
        lines.retain(|line| line["message"].as_str().is_some_and(|message| message.starts_with("stuck")));
        if lines.len() == 2 { Ok(lines) } else { Err(format!("{lines:?}")) }
    });
    for line in &stuck {
        assert_eq!((&line["level"], &line["branch"]), (&json!("WARN"), &json!("right")), "{line}");
        assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }
    let trace_of = |id: &str| stuck.iter().find(|line| line["transaction"] == id).unwrap()["trace"].clone();
    assert_eq!(trace_of(&traced), trace);
    // Where the client named none, the transaction's own number names it.
    let own = trace_of(&own);
    assert!(own != trace && own.as_str().is_some_and(|own| own.len() == 32), "{own}");
    counter.gateway.terminate();
    let last = lines(&counter);
    assert!(last.len() > 5 && last.iter().all(|line| line["message"].is_string()), "{last:?}");
}

#[test]
fn mistakes_are_lines_of_the_log_for_whoever_reads_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.yaml"), "workers: many\nlistners: {}\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(support::gateway::program());
        let output =
            command.args(["run", "gateway.yaml"]).args(arguments).current_dir(&folder).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let lines: Vec<Value> =
        run(&["--log-format", "json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let workers = lines.iter().find(|line| line["message"] == "`many` is not a whole number").unwrap();
    assert_eq!((&workers["level"], &workers["file"]), (&json!("ERROR"), &json!("gateway.yaml")));
    assert_eq!((&workers["line"], &workers["column"]), (&json!(1), &json!(10)));
    assert!(lines.iter().any(|line| line["help"] == "did you mean `listeners`?"), "{lines:?}");
    assert!(run(&[]).contains("--> gateway.yaml:1:10"));
}
