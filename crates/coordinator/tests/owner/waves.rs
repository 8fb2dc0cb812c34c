//! Calls that name the answers of others, from the outside.

use crate::fixtures::{done, json_of, plan, problem, read_only, refused, request, silence, submission};
use crate::shell::{SECOND, Shell};
use bytes::Bytes;
use serde_json::json;
use unanimo_contract::{Answer, Mode, Operation, ParticipantCall, Plan, Submission};
use unanimo_coordinator::Unwritten;

/// Branch `b` is told what branch `a` has answered.
fn two_waves(mode: Mode) -> Plan {
    let mut plan = plan(mode, 2);
    plan.branches[1].path = "/b/${branches.a.response.receipt}".to_owned();
    let body =
        json!({ "paid": "${branches.a.response.amount}", "tenant": "${request.headers[\"x-tenant\"]}" });
    plan.branches[1].body = Some(body);
    plan
}

fn receipt(body: &'static str) -> Answer {
    Answer { body: Some(Bytes::from_static(body.as_bytes())), ..done() }
}

const RECEIPT: &str = r#"{"receipt":"r-1","amount":12345678901234567890.10}"#;

#[test]
fn a_call_waits_for_the_answer_that_it_names_and_leaves_when_that_is_durable() {
    for mode in Mode::ALL {
        let mut shell = Shell::new();
        shell.begin(submission(&two_waves(mode)));
        assert_eq!(shell.under_way(), [(0, mode.first())]);
        shell.answer(0, receipt(RECEIPT));
        assert_eq!(shell.under_way(), [], "nothing leaves before the wave is durable");
        shell.sync();
        let call = &shell.calls[0];
        assert_eq!(call.path, format!("/b/r-1/{}", mode.first()));
        assert_eq!(&call.body[..], br#"{"paid":12345678901234567890.10,"tenant":"t1"}"#);
    }
}

#[test]
fn every_operation_of_a_later_wave_carries_the_same_bytes_also_after_a_crash() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_waves(Mode::Tcc)));
    shell.answer(0, receipt(RECEIPT));
    shell.sync();
    let first = shell.calls[0].clone();
    shell.answer(1, done());
    shell.sync();
    let mut shell = shell.crash(0);
    assert_eq!(shell.under_way(), [(0, Operation::Confirm), (1, Operation::Confirm)]);
    let told = shell.calls.iter().find(|call| call.branch.0 == 1).unwrap();
    assert_eq!((&told.body, &told.headers), (&first.body, &first.headers));
    assert_eq!(told.path, "/b/r-1/confirm");
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn after_a_crash_a_wave_is_undone_if_it_was_durable_and_was_never_sent_if_not() {
    let undone = |kept: usize| {
        let mut shell = Shell::new();
        shell.begin(submission(&two_waves(Mode::TwoPhase)));
        shell.answer(0, receipt(RECEIPT));
        let shell = shell.crash(kept);
        let path = |call: &ParticipantCall| call.path.clone();
        shell.calls.iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(undone(0), ["/a/7/rollback"]);
    assert_eq!(undone(1), ["/a/7/rollback", "/b/r-1/rollback"]);
}

#[test]
fn an_answer_of_no_use_is_502_names_its_branch_and_rolls_back() {
    let too_long = Answer { body: None, ..done() };
    for (answer, why) in [
        (receipt("{}"), "`branches.a.response.amount` is missing"),
        (receipt("no json"), "not JSON"),
        (receipt(r#"{"receipt":"r","amount":1,"receipt":"s"}"#), "ambiguous"),
        (receipt(r#"{"receipt":"..","amount":1}"#), "cannot be part of a path"),
        (too_long, "the answer is too long"),
    ] {
        let mut shell = Shell::new();
        let waiter = shell.begin(submission(&two_waves(Mode::TwoPhase)));
        shell.answer(0, answer);
        let told = shell.told(waiter).answer.clone();
        assert_eq!((told.status, problem(&told)), (502, "unusable-answer".to_owned()));
        let told = json_of(&told);
        assert_eq!(told["branch"], "a");
        assert!(told["detail"].as_str().unwrap().contains(why), "{told}");
        assert_eq!(shell.under_way(), [(0, Operation::Rollback)]);
    }
}

#[test]
fn what_a_later_call_names_of_the_request_is_422_before_anything_begins() {
    let mut plan = two_waves(Mode::TwoPhase);
    plan.branches[1].body = Some(json!({ "a": "${branches.a.response.x}", "to": "${request.body.to}" }));
    let mut shell = Shell::new();
    let waiter = shell.submit(submission(&plan));
    let told = shell.told(waiter).answer.clone();
    assert_eq!((told.status, problem(&told)), (422, "unrenderable".to_owned()));
    assert!(shell.disk.decisions.is_empty());
}

#[test]
fn a_read_only_answer_may_be_named_like_any_other() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_waves(Mode::TwoPhase)));
    let body = Some(Bytes::from_static(RECEIPT.as_bytes()));
    shell.answer(0, Answer { body, ..read_only() });
    shell.sync();
    assert_eq!(shell.under_way(), [(1, Operation::Prepare)]);
    shell.answer(1, refused());
    assert_eq!(shell.under_way(), [], "both are spared");
}

#[test]
fn a_wave_is_rendered_once_whatever_comes_after_it() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_waves(Mode::TwoPhase)));
    shell.answer(0, receipt(RECEIPT));
    shell.sync();
    let first = shell.calls[0].body.clone();
    for _ in 0..3 {
        shell.answer(1, silence());
        shell.pass(SECOND);
        assert_eq!(shell.calls[0].body, first);
    }
}

#[test]
fn what_a_later_call_makes_of_the_request_alone_is_judged_before_anything_begins() {
    let naming = |value: &str| {
        let mut plan = two_waves(Mode::TwoPhase);
        plan.branches[1].body = Some(json!({ "a": "${branches.a.response.receipt}", "b": value }));
        plan
    };
    let long = format!("${{request.body.amount}} {}", "x".repeat(70_000));
    let mut path = two_waves(Mode::TwoPhase);
    path.branches[1].path = "/b/${branches.a.response.receipt}/${request.body.dots}".to_owned();
    for (plan, status) in [
        (naming("${request.body.missing}"), 422),
        (naming("${request.body.text + 1}"), 422),
        (path, 422),
        (naming(&long), 413),
    ] {
        let mut shell = Shell::new();
        let request = request(br#"{"amount":10.10,"text":"t","dots":".."}"#);
        let waiter = shell.submit(Submission { request, ..submission(&plan) });
        let told = shell.told(waiter).answer.clone();
        assert_eq!(told.status, status, "{told:?}");
        assert_eq!(json_of(&told)["branch"], "b");
        assert!(shell.disk.decisions.is_empty());
    }
}

#[test]
fn a_value_that_an_answer_may_make_needless_is_not_demanded_of_the_request() {
    let mut plan = two_waves(Mode::TwoPhase);
    let either = "${branches.a.response.ok ? request.body.amount : request.body.other}";
    plan.branches[1].path = "/b".to_owned();
    plan.branches[1].body = Some(json!({ "either": either }));
    let mut shell = Shell::new();
    shell.begin(submission(&plan));
    shell.answer(0, receipt(r#"{"ok":true}"#));
    shell.sync();
    assert_eq!(&shell.calls[0].body[..], br#"{"either":10.10}"#);
}

#[test]
fn an_answer_that_is_too_long_is_not_an_answer_that_lacks_a_value() {
    let mut plan = two_waves(Mode::TwoPhase);
    plan.branches[1].path = "/b".to_owned();
    let asked = "${has(branches.a.response.x) ? branches.a.response.x : 'none'}";
    plan.branches[1].body = Some(json!({ "x": asked }));
    for (answer, left) in [(receipt("{}"), 1), (Answer { body: None, ..done() }, 0)] {
        let mut shell = Shell::new();
        let waiter = shell.begin(submission(&plan));
        shell.answer(0, answer);
        shell.sync();
        assert_eq!(shell.calls.iter().filter(|call| call.branch.0 == 1).count(), left);
        let told = shell.replies.get(&waiter).map(|reply| reply.as_ref().unwrap().answer.status);
        assert_eq!(told, (left == 0).then_some(502));
    }
}

#[test]
fn a_wave_that_no_segment_can_hold_rolls_back_and_says_so() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_waves(Mode::TwoPhase)));
    shell.answer(0, receipt(RECEIPT));
    shell.refuse_last(Unwritten::TooLarge);
    let told = shell.told(waiter).answer.clone();
    assert_eq!((told.status, problem(&told)), (413, "too-large".to_owned()));
    assert_eq!(shell.under_way(), [(0, Operation::Rollback)]);
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}
