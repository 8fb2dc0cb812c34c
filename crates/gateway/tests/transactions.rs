//! Transactional routes: what is submitted, and what the client is told.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::double::{Double, Fate, ID, TOKEN, committed};
use common::wire::Answer;
use common::{Gateway, Setup, plain, transactional, until};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use unanimo_contract::transactions::status_address;
use unanimo_contract::{ClientAnswer, Plan, Problem, Reply, ResponsePlan};
use unanimo_gateway::{Action, PathMatch};

fn post(gateway: &Gateway, target: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    gateway
        .ask(&format!("POST {target} HTTP/1.1\r\nhost: h\r\n{headers}content-length: {length}\r\n\r\n{body}"))
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_request_is_submitted_with_all_its_parts_that_are_named() {
    let mut setup = Setup::transacting(Double::default());
    let Action::Transaction(transaction) = &mut setup.routes[0].action else { unreachable!() };
    let names = [
        "via",
        "x-forwarded-for",
        "X-Tenant",
        "authorization",
        "cookie",
        "x-api-key",
        "x-hop",
        "unanimo-branch",
    ];
    let headers = names.map(|name| format!("${{request.headers['{name}']}}"));
    Arc::make_mut(&mut transaction.plan).respond = Some(ResponsePlan {
        status: 200,
        headers: vec![],
        body: Some(serde_json::json!([headers, "${request.query.q}", "${request.query.other}"])),
    });
    let gateway = setup.start();
    let headers = "x-tenant: a\r\nx-tenant: b\r\nauthorization: Bearer mine\r\nx-api-key: key\r\ncookie: c=1\r\n\
                   unanimo-branch: x\r\nx-forwarded-for: 10.0.0.1\r\nconnection: x-hop\r\nx-hop: 1\r\n";
    let answer = post(&gateway, "/transfers/a%20b/../%c3%a4%3f?q=x+y&q=%26&z", headers, r#"{"amount":1.10}"#);
    assert_eq!((answer.status(), answer.text()), (200, r#"{"done":true}"#));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("unanimo-transaction"), Some(ID.to_string().as_str()));
    assert_eq!(answer.header("unanimo-finished"), Some("true"));
    assert_eq!(answer.header("preference-applied"), None);
    let submission = gateway.double.submission();
    assert_eq!(submission.digest, Plan::digest_of(&submission.plan.encode()));
    let mut request = submission.request;
    request.headers.sort();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/transfers/%C3%A4%3F"));
    assert_eq!(request.parameters, pairs(&[("id", "ä?")]));
    assert_eq!(request.query, pairs(&[("q", "x y"), ("q", "&")]));
    let seen = [("via", "1.1 unanimo"), ("x-forwarded-for", "127.0.0.1"), ("x-tenant", "a, b")];
    assert_eq!(request.headers, pairs(&seen));
    assert_eq!(request.body, r#"{"amount":1.10}"#);
    let credentials: Vec<_> =
        submission.credentials.iter().map(|(name, value)| (name.as_str(), value)).collect();
    assert_eq!(credentials.len(), 2);
    assert_eq!((credentials[0].0, credentials[0].1.as_bytes()), ("authorization", &b"Bearer mine"[..]));
    assert_eq!((credentials[1].0, credentials[1].1.as_bytes()), ("x-api-key", &b"key"[..]));
    assert!(credentials.iter().all(|(_, value)| value.is_sensitive()), "no log shows them");
    assert!(submission.key.is_none() && !submission.respond_async);
}

#[test]
fn the_clients_trace_goes_with_its_transaction() {
    let gateway = Setup::transacting(Double::default()).start();
    let trace = |headers: &str| {
        assert_eq!(post(&gateway, "/transfers/1", headers, "").status(), 200);
        gateway.double.submissions().pop().unwrap().trace
    };
    let parent = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let named = trace(&format!("{parent}tracestate: a=1\r\ntracestate: b=2\r\n")).unwrap();
    assert_eq!(named.trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(named.state.as_deref(), Some("a=1,b=2"));
    assert_eq!(trace(&format!("{parent}{parent}")), None);
    assert_eq!(trace("tracestate: a=1\r\n"), None);
}

#[test]
fn a_body_is_submitted_whole_however_it_comes() {
    let gateway = Setup::transacting(Double::default()).start();
    let mut wire = gateway.connect();
    wire.dribble(
        "POST /transfers/1 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n3\r\nbcd\r\n0\r\nx: y\r\n\r\n",
    );
    assert_eq!(wire.answer().status(), 200);
    wire.send("POST /transfers/2 HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().status(), 200);
    let bodies: Vec<_> =
        gateway.double.submissions().into_iter().map(|submission| submission.request.body).collect();
    assert_eq!(bodies, ["abcd", ""]);
}

#[test]
fn a_key_is_known_by_its_scope_and_its_request_by_its_fingerprint() {
    let mut setup = Setup::transacting(Double::default());
    setup.routes.push(transactional("other", "/others/{id}"));
    let gateway = setup.start();
    let key = "idempotency-key: k1\r\n";
    let keyed = |target: &str, headers: &str, body: &str| {
        assert_eq!(post(&gateway, target, headers, body).status(), 200);
        gateway.double.submissions().pop().unwrap().key
    };
    let first = keyed("/transfers/1?a", key, "{}").unwrap();
    assert_eq!(keyed("/transfers/1?a", key, "{}"), Some(first), "it can be told again");
    assert_eq!(keyed("/x/../transfers//1?a", key, "{}"), Some(first), "however the path is written");
    assert_eq!(keyed("/transfers/1?a", "", "{}"), None);
    for (target, headers, body, same_scope) in [
        ("/transfers/1?a", "idempotency-key: k2\r\n", "{}", false),
        ("/transfers/1?a", "idempotency-key: k1\r\nauthorization: Bearer x\r\n", "{}", false),
        ("/others/1?a", key, "{}", false),
        ("/transfers/1?a", key, "{ }", true),
        ("/transfers/1?b", key, "{}", true),
        ("/transfers/1", key, "{}", true),
        ("/transfers/2?a", key, "{}", true),
    ] {
        let other = keyed(target, headers, body).unwrap();
        assert_eq!(other.scope == first.scope, same_scope, "{target} {headers}");
        assert_ne!((other.scope, other.fingerprint), (first.scope, first.fingerprint));
    }
    let begun = gateway.double.submissions().len();
    for bad in ["", "a b", "k1\r\nidempotency-key: k1", &"k".repeat(256)] {
        let answer = post(&gateway, "/transfers/1", &format!("idempotency-key: {bad}\r\n"), "{}");
        assert_eq!(answer.problem(), "bad-request", "{bad}");
    }
    assert_eq!(gateway.double.submissions().len(), begun);
}

#[test]
fn a_preference_is_applied_where_it_can_be() {
    let double = Double::new(|submission| {
        Fate::Reply(if submission.respond_async { Reply::accepted(ID, TOKEN) } else { committed() })
    });
    let gateway = Setup::transacting(double).start();
    for prefer in ["respond-async", "wait=5, Respond-Async; x=1", "a\r\nprefer: respond-async"] {
        let answer = post(&gateway, "/transfers/1", &format!("prefer: {prefer}\r\n"), "");
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.header("preference-applied"), Some("respond-async"));
        assert_eq!(answer.header("unanimo-finished"), Some("false"));
        assert_eq!(answer.header("location"), Some(status_address(ID, TOKEN).as_str()));
    }
    for prefer in ["wait=5", "respond-asynchronous", "x=respond-async"] {
        let answer = post(&gateway, "/transfers/1", &format!("prefer: {prefer}\r\n"), "");
        assert_eq!((answer.status(), answer.header("preference-applied")), (200, None), "{prefer}");
    }
}

#[test]
fn an_answer_that_took_too_long_was_not_asked_for_so() {
    let gateway = Setup::transacting(Double::always(Fate::Reply(Reply::accepted(ID, TOKEN)))).start();
    let answer = post(&gateway, "/transfers/1", "", "");
    assert_eq!((answer.status(), answer.header("preference-applied")), (202, None));
}

#[test]
fn a_reply_is_told_as_it_is_but_for_what_cannot_be_sent() {
    let answer = ClientAnswer { status: 207, headers: vec![], body: "made by \"respond\"".into() }
        .with_header("x-ours", "1")
        .with_header("x-ours", "2")
        .with_header("unanimo-transaction", "not this one")
        .with_header("connection", "close")
        .with_header("content-length", "5")
        .with_header("transfer-encoding", "chunked")
        .with_header("x y", "no name")
        .with_header("x-split", "a\r\nset-cookie: b");
    let reply = Reply { transaction: Some(ID), finished: Some(false), answer };
    let gateway = Setup::transacting(Double::always(Fate::Reply(reply))).start();
    let answer = post(&gateway, "/transfers/1", "", "");
    assert_eq!((answer.status(), answer.text()), (207, "made by \"respond\""));
    assert_eq!(answer.all("x-ours"), ["1", "2"]);
    assert_eq!(answer.header("unanimo-transaction"), Some(ID.to_string().as_str()));
    assert_eq!(answer.header("unanimo-finished"), Some("false"));
    assert_eq!(answer.headers.len(), 6, "{answer:?}");
}

#[test]
fn what_was_not_begun_has_no_transaction() {
    let reply = Reply::not_begun(Problem::Overloaded.answer("too much").with_header("retry-after", "1"));
    let gateway = Setup::transacting(Double::always(Fate::Reply(reply))).start();
    let answer = post(&gateway, "/transfers/1", "prefer: respond-async\r\n", "");
    assert_eq!((answer.problem().as_str(), answer.header("retry-after")), ("overloaded", Some("1")));
    for absent in ["unanimo-transaction", "unanimo-finished", "preference-applied"] {
        assert_eq!(answer.header(absent), None);
    }
}

#[test]
fn a_reply_that_is_no_answer_is_our_mistake() {
    for status in [0, 100, 101, 199, 600, 999] {
        let answer = ClientAnswer { status, headers: vec![], body: "x".into() };
        let gateway = Setup::transacting(Double::always(Fate::Reply(Reply::not_begun(answer)))).start();
        assert_eq!(post(&gateway, "/transfers/1", "", "").problem(), "internal", "{status}");
    }
}

#[test]
fn where_any_answer_would_be_a_guess_there_is_none() {
    let gateway = Setup::transacting(Double::always(Fate::Severed)).start();
    let mut wire = gateway.connect();
    wire.send("POST /transfers/1 HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n");
    wire.assert_closed();
    let metric = "gateway_requests_total{route=\"transfer\",status=\"none\"}";
    until("it is counted", || gateway.metric(metric) == 1.0);
}

#[test]
fn a_client_that_hangs_up_takes_only_its_waiting_with_it() {
    let gateway = Setup::transacting(Double::always(Fate::Silence)).start();
    let mut wire = gateway.connect();
    wire.send("POST /transfers/1 HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}");
    until("it is submitted", || gateway.double.submissions().len() == 1);
    assert_eq!(gateway.double.abandoned.load(Ordering::SeqCst), 0);
    drop(wire);
    until("nobody waits", || gateway.double.abandoned.load(Ordering::SeqCst) == 1);
    assert_eq!(gateway.ask("GET /problems/refused HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
}

#[test]
fn a_client_that_hangs_up_in_its_body_begins_nothing() {
    let gateway = Setup::transacting(Double::default()).start();
    let mut wire = gateway.connect();
    wire.send("POST /transfers/1 HTTP/1.1\r\nhost: h\r\ncontent-length: 20\r\n\r\nhalf of it");
    until("it is open", || gateway.metric("gateway_connections") == 1.0);
    drop(wire);
    until("it is closed", || gateway.metric("gateway_connections") == 0.0);
    assert_eq!(gateway.double.submissions().len(), 0);
}

#[test]
fn a_mistake_of_our_own_is_said_and_harms_nobody_else() {
    let double = Double::new(|submission| match submission.request.path.as_str() {
        "/transfers/bad" => Fate::Panic,
        "/transfers/slow" => Fate::Silence,
        _ => Fate::Reply(committed()),
    });
    let gateway = Setup::transacting(double).start();
    let mut bystander = gateway.connect();
    bystander.send("POST /transfers/slow HTTP/1.1\r\nhost: h\r\n\r\n");
    until("it waits", || gateway.double.submissions().len() == 1);
    let mut wire = gateway.connect();
    wire.send("POST /transfers/bad HTTP/1.1\r\nhost: h\r\n\r\n");
    let answer = wire.answer();
    assert_eq!((answer.status(), answer.problem().as_str()), (500, "internal"));
    wire.assert_closed();
    assert_eq!(gateway.metric("gateway_panics_total"), 1.0);
    assert_eq!(post(&gateway, "/transfers/1", "", "").status(), 200);
    until("only the bystander is left", || gateway.metric("gateway_connections") == 1.0);
}

#[test]
fn the_holder_of_a_token_sees_the_status() {
    let mut setup = Setup::transacting(Double::default());
    setup.routes.push(plain("all", PathMatch::Prefix("/".into())));
    let gateway = setup.start();
    let address = status_address(ID, TOKEN);
    let answer = gateway.ask(&format!("GET {address} HTTP/1.1\r\nhost: h\r\n\r\n"));
    assert_eq!((answer.status(), answer.header("cache-control")), (200, Some("no-store")));
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&json["verdict"], &json["state"], &json["finished"]),
        (&1.into(), &"committing".into(), &false.into())
    );
    let mut last = address.clone();
    let other = if last.pop() == Some('0') { '1' } else { '0' };
    for wrong in [last.clone() + &other.to_string(), last, "/transactions/".into(), address.clone() + "/x"] {
        let answer = gateway.ask(&format!("GET {wrong} HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert_eq!((answer.status(), answer.problem().as_str()), (404, "unknown-transaction"), "{wrong}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let answer = gateway.ask(&format!("DELETE {address} HTTP/1.1\r\nhost: h\r\n\r\n"));
    assert_eq!(
        (answer.problem().as_str(), answer.header("allow")),
        ("method-not-allowed", Some("GET, HEAD"))
    );
}

#[test]
fn every_problem_has_its_page() {
    let gateway = Setup::default().start();
    let mut wire = gateway.connect();
    for problem in Problem::ALL {
        wire.send(format!("GET /problems/{} HTTP/1.1\r\nhost: h\r\n\r\n", problem.slug()));
        let answer = wire.answer();
        assert_eq!(answer.header("content-type"), Some("text/markdown; charset=utf-8"));
        assert_eq!((answer.status(), answer.text()), (200, problem.page()));
    }
    wire.send("GET /problems/none HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().problem(), "no-route");
}
