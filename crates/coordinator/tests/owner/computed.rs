//! What expressions compute: in calls before anything begins, and in the client's answer.

use crate::fixtures::{done, json_of, problem, read_only, request, submission, two_phase};
use crate::shell::Shell;
use bytes::Bytes;
use serde_json::json;
use unanimo_contract::{Plan, Request, ResponsePlan, Submission};
use unanimo_coordinator::Notice;

fn with_body(body: serde_json::Value) -> Plan {
    let mut plan = two_phase();
    plan.branches[0].body = Some(body);
    plan
}

#[test]
fn a_call_carries_what_was_computed() {
    let mut plan = with_body(json!({
        "twice": "${request.body.count * 2}", "amount": "${has(request.body.amount) ? request.body.amount : 0}"
    }));
    plan.branches[0].headers =
        vec![("x-size".into(), "${request.body.count > 2 ? 'large' : 'small'}".into())];
    plan.branches[0].path = "/a/${request.parameters.account + '/' + string(request.body.count)}".into();
    let mut shell = Shell::new();
    let request = request(b"{\"count\":3,\"amount\":10.10}");
    shell.begin(Submission { request, ..submission(&plan) });
    let call = &shell.calls[0];
    assert_eq!(call.body, Bytes::from_static(b"{\"amount\":10.10,\"twice\":6}"));
    assert_eq!(*call.headers, [("x-size".to_owned(), "large".to_owned())]);
    assert!(call.path.starts_with("/a/7%2F3/"), "{}", call.path);
}

#[test]
fn what_cannot_be_computed_is_422_and_says_why() {
    for (expression, body, why) in [
        ("${request.body.count + 1}", "{}", "`request.body.count` is missing"),
        ("${1 / request.body.count}", "{\"count\":0}", "a division by zero"),
        ("${request.body.count * 2}", "{\"count\":1.5}", "`*` cannot take a double and an int"),
    ] {
        let mut shell = Shell::new();
        let request = Request { body: Bytes::from(body), ..request(b"") };
        let plan = with_body(json!(expression));
        let waiter = shell.submit(Submission { request, ..submission(&plan) });
        let answer = &shell.told(waiter).answer;
        assert_eq!((answer.status, problem(answer).as_str()), (422, "unrenderable"), "{expression}");
        let detail = json_of(answer)["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(why), "{expression}: {detail}");
        assert!(shell.disk.decisions.is_empty());
    }
}

#[test]
fn an_answer_computes_and_never_changes_the_verdict() {
    let body = json!({
        "receipt": "${has(branches.a.response.receipt) ? branches.a.response.receipt : 'none'}",
        "broken": "${branches.a.response.receipt + 1}",
    });
    let respond = ResponsePlan { status: 201, headers: Vec::new(), body: Some(body) };
    let plan = Plan { respond: Some(respond), ..two_phase() };
    for (vote, receipt, what) in [
        (done(), "r-1", "`+` cannot take a string and an int"),
        (read_only(), "none", "`branches.a.response.receipt` is missing"),
    ] {
        let mut shell = Shell::new();
        let waiter = shell.begin(submission(&plan));
        shell.answer_all(&vote);
        shell.sync();
        shell.answer_all(&done());
        let answer = &shell.told(waiter).answer;
        assert_eq!(answer.status, 201);
        assert_eq!(json_of(answer), json!({ "receipt": receipt, "broken": null }));
        assert!(matches!(&shell.notices[..], [Notice::Unrendered { what: it }] if it.contains(what)));
    }
}
