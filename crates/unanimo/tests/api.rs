//! What a client and an operator see of the real program: the contract, from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::banks;
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::Choices;
use support::http::{self, Answer, Request};
use support::process::PATIENCE;

#[test]
fn a_commit_is_answered_as_the_route_describes_and_numbers_keep_their_digits() {
    let counter = Counter::start(Choices::default());
    let answer = counter.post("/pay", &[], &body("yes", "yes", "12345678901234567890.10")).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.header("unanimo-transaction").unwrap();
    assert_eq!(answer.header("unanimo-finished"), Some("true"));
    assert_eq!(answer.header("x-receipt"), Some("100.10"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    for part in [r#""amount":12345678901234567890.10"#, r#""receipt":100.10"#, &format!(r#""id":"{id}""#)] {
        assert!(answer.text().contains(part), "{part} in {}", answer.text());
    }
    let calls = counter.left.calls();
    let calls: Vec<_> = calls.iter().filter(|call| call.header("unanimo-transaction") == Some(id)).collect();
    assert_eq!(
        calls.iter().map(|call| call.path.as_str()).collect::<Vec<_>>(),
        ["/left/prepare", "/left/commit"]
    );
    for call in calls {
        let operation = call.header("unanimo-operation").unwrap();
        assert_eq!(call.header("idempotency-key"), Some(format!("{id}/left/{operation}").as_str()));
        assert_eq!(call.header("unanimo-branch"), Some("left"));
        assert_eq!(call.header("unanimo-attempt"), Some("1"));
        assert!(call.body.contains(r#""amount":12345678901234567890.10"#), "{}", call.body);
    }
}

#[test]
fn every_call_is_a_step_of_its_own_in_the_trace() {
    let counter = Counter::start(Choices::default());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-00");
    let named = [("traceparent", parent.as_str()), ("tracestate", "a=1,b=2")];
    let broken = [("traceparent", "00-no"), ("tracestate", "a=1")];
    for (headers, amount) in [(&named[..], "6.10"), (&broken, "6.11"), (&[], "6.12")] {
        let answer = counter.post("/pay", headers, &body("yes", "yes", amount)).unwrap();
        let id: unanimo_contract::Id = answer.header("unanimo-transaction").unwrap().parse().unwrap();
        let (expected, flags) = match amount {
            "6.10" => (trace.to_owned(), "-00"),
            _ => (format!("{:032x}", id.bits()), "-01"),
        };
        let calls = [counter.left.calls(), counter.right.calls()].concat();
        let id = id.to_string();
        let calls = calls.iter().filter(|call| call.header("unanimo-transaction") == Some(&id));
        let mut steps = BTreeSet::new();
        for call in calls {
            let step = call.header("traceparent").unwrap().strip_prefix(&format!("00-{expected}-")).unwrap();
            assert!(step.ends_with(flags) && !parent.contains(step), "{step}");
            assert!(steps.insert(step), "{step} is the step of two calls");
            assert_eq!(call.header("tracestate"), (amount == "6.10").then_some("a=1,b=2"));
        }
        assert_eq!(steps.len(), 4);
    }
}

#[test]
fn a_refusal_names_its_branch_or_is_passed_on_and_undoes_the_others() {
    let counter = Counter::start(Choices::default());
    let answer = counter.post("/pay", &[], &body("yes", "no", "1.10")).unwrap();
    is_problem(&answer, 409, "refused");
    assert_eq!(answer.json()["branch"], "right");
    assert_eq!(answer.json()["transaction"], *answer.header("unanimo-transaction").unwrap());

    let answer = counter.post("/pass", &[], &body("yes", "no", "2.20")).unwrap();
    assert_eq!(answer.status, 422);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json(), json!({ "title": "No", "detail": "right says no", "status": 422 }));

    await_nothing_open(&counter);
    for amount in ["1.10", "2.20"] {
        // The only attempt was refused: there is nothing to undo.
        assert_eq!(Counter::operations(&counter.right, amount), ["prepare"]);
        let left = Counter::operations(&counter.left, amount);
        assert!(left == ["prepare", "rollback"] || left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_deadline_that_passes_rolls_everything_back() {
    let counter = Counter::start(Choices::default());
    let answer = counter.post("/hasty", &[], &body("yes", "wait", "3.30")).unwrap();
    is_problem(&answer, 504, "deadline");
    assert_eq!(answer.json()["branch"], "right");
    await_nothing_open(&counter);
    assert_eq!(Counter::operations(&counter.left, "3.30"), ["prepare", "rollback"]);
    assert_eq!(Counter::operations(&counter.right, "3.30"), ["prepare", "rollback"]);
    counter.door.open();
}

#[test]
fn a_key_gives_one_answer_while_it_runs_and_afterwards() {
    let counter = Counter::start(Choices::default());
    let (wish, other) = (body("wait", "yes", "4.40"), body("wait", "yes", "4.41"));
    let headers = [("Idempotency-Key", "monday-1")];
    let first = std::thread::scope(|scope| {
        let first = scope.spawn(|| counter.post("/pay", &headers, &wish).unwrap());
        within("the first request waits", PATIENCE, || match counter.left.calls().len() {
            0 => Err("no call came".to_owned()),
            _ => Ok(()),
        });
        let second = counter.post("/pay", &headers, &wish).unwrap();
        is_problem(&second, 409, "in-progress");
        assert!(second.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok()));
        let place = second.header("location").unwrap();
        let status = counter.get(place);
        assert_eq!((status.status, status.json()["verdict"].as_i64()), (200, Some(-1)), "{}", status.text());
        is_problem(&counter.post("/pay", &headers, &other).unwrap(), 422, "key-reused");
        counter.door.open();
        first.join().unwrap()
    });
    assert_eq!(first.status, 201, "{}", first.text());
    let again = counter.post("/pay", &headers, &wish).unwrap();
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("x-receipt"), first.header("x-receipt"));
    assert_eq!(again.header("unanimo-transaction"), first.header("unanimo-transaction"));
    is_problem(&counter.post("/pay", &headers, &other).unwrap(), 422, "key-reused");
    // Another consumer's key, and another route's, is another key.
    let stranger = [headers[0], ("Authorization", "Bearer somebody-else")];
    for answer in
        [counter.post("/pay", &stranger, &wish).unwrap(), counter.post("/pass", &headers, &wish).unwrap()]
    {
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_ne!(answer.header("unanimo-transaction"), first.header("unanimo-transaction"));
    }
    is_problem(
        &counter.post("/pay", &[("Idempotency-Key", "two words")], &wish).unwrap(),
        400,
        "bad-request",
    );
}

#[test]
fn whoever_does_not_want_to_wait_is_told_where_the_answer_will_be() {
    let counter = Counter::start(Choices::default());
    let late = counter.post("/later", &[], &body("wait", "yes", "5.50")).unwrap();
    let hasty = counter.post("/pay", &[("Prefer", "respond-async")], &body("wait", "yes", "5.51")).unwrap();
    assert_eq!(hasty.header("preference-applied"), Some("respond-async"));
    let mut places = Vec::new();
    for answer in [&late, &hasty] {
        assert_eq!(
            (answer.status, answer.header("unanimo-finished")),
            (202, Some("false")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.json()["verdict"], -1);
        let id = answer.header("unanimo-transaction").unwrap();
        let place = answer.header("location").unwrap();
        let status = counter.get(place);
        assert_eq!(status.header("cache-control"), Some("no-store"));
        assert_eq!(
            status.json(),
            json!({ "transaction": id, "state": "preparing", "verdict": -1, "finished": false, "heuristic": false,
                    "answer": null })
        );
        places.push(place);
    }
    counter.door.open();
    for (place, amount) in places.into_iter().zip(["5.50", "5.51"]) {
        let text = within("it has ended", PATIENCE, || {
            let status = counter.get(place);
            if status.json()["finished"] == true { Ok(status.text()) } else { Err(status.text()) }
        });
        let status: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&status["state"], &status["verdict"]), (&json!("committed"), &json!(1)), "{text}");
        let answer = &status["answer"];
        assert_eq!((&answer["status"], &answer["headers"]["x-receipt"]), (&json!(201), &json!("100.10")));
        for part in [format!(r#""amount":{amount},"#), r#""receipt":100.10"#.to_owned()] {
            assert!(text.contains(&part), "{part} in {text}");
        }
    }
}

#[test]
fn a_status_address_is_for_the_holder_of_its_token_alone() {
    let counter = Counter::start(Choices::default());
    let headers = [("Prefer", "respond-async")];
    let answer = counter.post("/pay", &headers, &body("yes", "yes", "6.60")).unwrap();
    let place = answer.header("location").unwrap();
    let (id, token) = place.rsplit_once('.').unwrap();
    let flipped = if token.starts_with('0') { "1" } else { "0" };
    let guesses = [
        format!("{id}.{flipped}{}", &token[1..]),
        id.to_owned(),
        format!("{id}."),
        "/transactions/x".to_owned(),
    ];
    for guess in guesses {
        let answer = counter.get(&guess);
        is_problem(&answer, 404, "unknown-transaction");
        assert!(!answer.text().contains("rolled"), "unknown is not rolled back: {}", answer.text());
    }
    assert_eq!(counter.get(place).status, 200);
    let post = counter.post(place, &[], "").unwrap();
    is_problem(&post, 405, "method-not-allowed");
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
}

#[test]
fn what_cannot_be_begun_begins_nothing_and_says_why() {
    let counter = Counter::start(Choices::default());
    is_problem(&counter.post("/pay", &[], r#"{"left":"yes","right":"yes"}"#).unwrap(), 422, "unrenderable");
    is_problem(&counter.post("/pay", &[], "no JSON").unwrap(), 422, "unrenderable");
    let call = body("yes", &"x".repeat(70 * 1024), "1");
    is_problem(&counter.post("/pay", &[], &call).unwrap(), 413, "too-large");
    let request = body("yes", &"x".repeat(300 * 1024), "1");
    is_problem(&counter.post("/pay", &[], &request).unwrap(), 413, "too-large");
    is_problem(&counter.post("/nowhere", &[], "{}").unwrap(), 404, "no-route");
    is_problem(&counter.get("/pay"), 405, "method-not-allowed");
    assert_eq!(counter.left.calls().len() + counter.right.calls().len(), 0);
    assert_eq!(counter.gateway.transactions(), Vec::<Value>::new());
    // An answer that is too large is not kept, and changes no verdict.
    let answer = counter.post("/pay", &[], &body("large", "yes", "7.70")).unwrap();
    assert_eq!((answer.status, &answer.json()["receipt"]), (201, &Value::Null), "{}", answer.text());
    for slug in ["refused", "in-progress", "deadline", "unknown-transaction"] {
        let page = counter.get(&format!("/problems/{slug}"));
        assert!(page.status == 200 && page.text().starts_with(&format!("# {slug}\n")), "{}", page.text());
    }
}

#[test]
fn operators_see_every_transaction_and_ids_that_nobody_knows_are_unknown() {
    let world = banks::start(Choices::default());
    let gateway = &world.gateway;
    let pay = |from: &str| {
        let wish = json!({ "from": from, "to": "account-1", "amount": "12.50", "text": "rent" }).to_string();
        http::once(gateway.public, Request::post("/transfers", &[], &wish), PATIENCE).unwrap()
    };
    let id = |answer: &Answer| answer.header("unanimo-transaction").unwrap().to_owned();
    let (paid, refused) = (pay("account-0"), pay("nobody"));
    assert_eq!((paid.status, &paid.json()["amount"]), (200, &json!("12.50")), "{}", paid.text());
    is_problem(&refused, 409, "refused");
    let (paid, refused) = (id(&paid), id(&refused));
    within("nothing is open", PATIENCE, || {
        gateway.open().first().map_or(Ok(()), |open| Err(open.to_string()))
    });

    let list = said(gateway.command(&["transactions", "list"]), 0);
    assert!(list.starts_with("ID "), "{list}");
    let line = |id: &str| list.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(
        ["  committed ", "  two-phase  transfer"].iter().all(|part| line(&paid).contains(part)),
        "{list}"
    );
    assert!(line(&refused).contains("rolled-back") && line(&refused).ends_with("refused by debit"), "{list}");
    let only = said(gateway.command(&["transactions", "list", "--state", "committed"]), 0);
    assert!(only.contains(&paid) && !only.contains(&refused), "{only}");
    let page = said(gateway.command(&["transactions", "list", "--limit", "1"]), 0);
    let after = page.rsplit_once("--after ").unwrap().1.trim();
    let rest = said(gateway.command(&["transactions", "list", "--after", after]), 0);
    for id in [&paid, &refused] {
        assert!(page.contains(id) != rest.lines().any(|line| line.starts_with(id)), "{page}\n{rest}");
    }
    let shown = said(gateway.command(&["transactions", "show", &paid]), 0);
    for fact in
        ["verdict      1 (committed)", "\nanswer       200, to the client", "\ndebit   bank-a    ended"]
    {
        assert!(shown.contains(fact), "{shown}");
    }
    let ended = said(gateway.command(&["transactions", "retry", &paid]), 0);
    assert_eq!(ended, format!("{paid} is committed\n  nothing is owed: it has ended\n"));
    let json = said(gateway.command(&["transactions", "show", &paid, "--json"]), 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["verdict"], 1);

    // Of this journal, but never given out; and of another one.
    let never = format!("{}{}", &paid[..20], "zzzzzz");
    for unknown in [never.as_str(), "00000000000000000000000000"] {
        let answer = gateway.ask(&format!("/v1/transactions/{unknown}")).unwrap();
        is_problem(&answer, 404, "unknown-transaction");
        assert!(answer.json()["verdict"].is_null(), "{}", answer.text());
        for command in ["show", "retry"] {
            let told = said(gateway.command(&["transactions", command, unknown]), 1);
            assert!(told.contains("that does not mean that it was rolled back"), "{told}");
        }
    }
    said(gateway.command(&["transactions", "show", "nonsense"]), 1);
}

#[test]
fn probes_answer_and_the_metrics_page_is_what_a_scraper_expects() {
    let mut counter = Counter::start(Choices::default());
    counter.post("/pay", &[], &body("yes", "yes", "8.80")).unwrap();
    counter.post("/pay", &[], &body("yes", "no", "8.81")).unwrap();
    await_nothing_open(&counter);
    for probe in ["/livez", "/readyz"] {
        assert_eq!(counter.gateway.ask(probe).unwrap().status, 200, "{probe}");
    }
    let page = counter.gateway.ask("/metrics").unwrap();
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let samples = samples(&page.text());
    let value = |sample: &str| samples.iter().find(|(name, _)| name == sample).map(|(_, value)| *value);
    for (sample, expected) in [
        (r#"unanimo_transactions_begun_total{mode="two-phase"}"#, 2.0),
        (r#"unanimo_transactions_concluded_total{mode="two-phase",end="committed"}"#, 1.0),
        (r#"unanimo_transactions_concluded_total{mode="two-phase",end="refused"}"#, 1.0),
        (r#"unanimo_transactions_finished_total{mode="two-phase"}"#, 2.0),
        ("unanimo_transactions_stuck", 0.0),
        ("unanimo_branches_heuristic_total", 0.0),
    ] {
        assert_eq!(value(sample), Some(expected), "{sample} in\n{}", page.text());
    }
    let names: BTreeSet<&str> =
        samples.iter().map(|(sample, _)| sample.split('{').next().unwrap_or_default()).collect();
    for name in [
        "unanimo_calls_sent_total",
        "unanimo_calls_answered_total",
        "unanimo_journal_syncs_total",
        "unanimo_journal_forced_records_total",
        "unanimo_journal_commit_seconds_bucket",
    ] {
        assert!(names.contains(name), "{name} is missing from {names:?}");
    }
    assert_eq!(counter.gateway.terminate().code(), Some(0));
}

/// Reads a page in the OpenMetrics format: every sample belongs to a family that was announced, and comes once.
fn samples(page: &str) -> Vec<(String, f64)> {
    let (mut families, mut samples) = (BTreeSet::new(), Vec::new());
    assert!(page.ends_with("# EOF\n"), "the page is cut off:\n{page}");
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.split(' ');
            match (words.next(), words.next()) {
                (Some("TYPE"), Some(name)) => assert!(families.insert(name.to_owned()), "{name} comes twice"),
                (Some("HELP" | "UNIT" | "EOF"), _) => {}
                _ => panic!("no comment of the format: {line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let name = sample.split('{').next().unwrap_or_default();
        let belongs = ["", "_total", "_bucket", "_sum", "_count"].iter();
        let belongs =
            belongs.filter_map(|suffix| name.strip_suffix(suffix)).any(|name| families.contains(name));
        assert!(belongs, "{line} belongs to no family");
        assert!(!samples.iter().any(|(known, _)| known == sample), "{sample} comes twice");
        samples.push((sample.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}"))));
    }
    samples
}

fn is_problem(answer: &Answer, status: u16, slug: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (status, slug), "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let json = answer.json();
    assert_eq!(json["status"], status);
    assert!(json["title"].is_string() && json["detail"].is_string(), "{json}");
}

fn await_nothing_open(counter: &Counter) {
    within("nothing is open", Duration::from_secs(30), || {
        counter.gateway.open().first().map_or(Ok(()), |open| Err(open.to_string()))
    });
}

/// What a command has said, having ended with this code.
fn said(output: std::process::Output, code: i32) -> String {
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}
