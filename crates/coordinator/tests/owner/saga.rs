//! Sagas from outside: what leaves when, what is compensated with which bytes, and where a crash leads.

use crate::fixtures::{done, plan, problem, status, submission};
use crate::shell::{SECOND, Shell};
use Operation::{Act, Compensate};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use serde_json::json;
use unanimo_contract::operations::{Refusal, Resolve, Wish};
use unanimo_contract::plan::CallPlan;
use unanimo_contract::{
    Answer, Mode, Operation, Outcome, Plan, Reading, ResponsePlan, State, Step, Token, Verdict,
};
use unanimo_coordinator::Notice;
use unanimo_protocol::Record;

/// `a` and `b` can be compensated, `c` is the pivot, `d` acts after the verdict.
fn trip() -> Plan {
    let mut plan = plan(Mode::Saga, 4);
    plan.branches[2].step = Step::Pivot;
    plan.branches[2].after = vec![0, 1];
    plan.branches[3].step = Step::Retriable;
    plan
}

/// One unfenced branch, whose calls are its own.
fn plain() -> Plan {
    let mut plan = plan(Mode::Saga, 2);
    let branch = &mut plan.branches[1];
    branch.unfenced = true;
    branch.exact = true;
    branch.method = Some("PUT".to_owned());
    branch.path = "/rentals/${request.body.amount}".to_owned();
    branch.compensate = Some(CallPlan {
        method: Some("DELETE".to_owned()),
        path: "/rentals/${request.body.amount}".to_owned(),
        headers: Vec::new(),
        body: Some(json!({
            "for": "${request.headers[\"x-tenant\"]}",
            "was": "${has(branches.b.response.rental) ? branches.b.response.rental : 'unknown'}",
        })),
    });
    plan
}

fn said(body: &'static str) -> Answer {
    Answer { body: Some(Bytes::from_static(body.as_bytes())), ..done() }
}

fn silence() -> Answer {
    crate::fixtures::silence()
}

fn refused() -> Answer {
    Answer { reading: Reading::of(Outcome::Refused), status: Some(409), ..done() }
}

#[test]
fn steps_act_then_the_pivot_then_the_verdict_then_what_only_goes_forward() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&trip()));
    assert_eq!(shell.under_way(), [(0, Act), (1, Act)]);
    shell.answer_all(&done());
    assert_eq!(shell.under_way(), [], "the pivot leaves when its record is durable");
    shell.sync();
    assert_eq!(shell.under_way(), [(2, Act)]);
    shell.answer(2, done());
    assert_eq!(shell.under_way(), [], "nobody goes on before the verdict is durable");
    shell.sync();
    assert_eq!(shell.under_way(), [(3, Act)]);
    assert!(shell.is_waiting(waiter), "what was committed can be read");
    shell.answer(3, done());
    assert_eq!((shell.told(waiter).answer.status, shell.told(waiter).finished), (200, Some(true)));
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn who_refuses_has_what_was_done_before_compensated_with_the_same_bytes() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&trip()));
    let act = shell.calls[0].clone();
    shell.answer(0, done());
    shell.answer(1, refused());
    assert_eq!(shell.under_way(), [], "a rollback is durable before anybody hears of it");
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Compensate)]);
    let undo = &shell.calls[0];
    assert_eq!((&undo.body, &undo.headers, undo.path.as_str()), (&act.body, &act.headers, "/a/7/compensate"));
    assert_eq!(problem(&shell.told(waiter).answer), "refused");
    shell.answer(0, done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn an_action_whose_answer_never_came_is_compensated_too() {
    let mut shell = Shell::new();
    let mut plan = trip();
    plan.branches[1].attempts = std::num::NonZeroU32::new(2);
    let waiter = shell.begin(submission(&plan));
    shell.answer(0, done());
    shell.answer(1, silence());
    while shell.under_way().is_empty() {
        assert!(shell.pass_to_wake());
    }
    assert_eq!(shell.under_way(), [(1, Act)]);
    shell.answer(1, silence());
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Compensate), (1, Compensate)]);
    assert_eq!(problem(&shell.told(waiter).answer), "unanswered");
}

#[test]
fn past_the_pivot_no_deadline_leads_back() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&trip()));
    shell.answer_all(&done());
    shell.sync();
    shell.answer(2, silence());
    shell.pass(8 * SECOND);
    assert_eq!(shell.told(waiter).answer.status, 202);
    assert!(shell.left.iter().all(|(_, call)| call.operation == Act));
    assert_eq!(shell.owner.view(shell.id()).unwrap().state, State::Preparing);
    if shell.calls.is_empty() {
        shell.pass(60 * SECOND);
    }
    shell.answer(2, refused());
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Compensate), (1, Compensate)], "but its own refusal does");
}

#[test]
fn a_pivot_that_does_not_answer_is_stuck_in_time() {
    let mut shell = Shell::new();
    shell.begin(submission(&trip()));
    shell.answer_all(&done());
    shell.sync();
    for _ in 0..200 {
        shell.pass(SECOND);
        shell.answer_all(&silence());
    }
    assert_eq!(shell.notices, [Notice::Stuck { branch: "c".to_owned() }]);
}

/// A saga whose pivot says nothing for so long that a person has to look.
fn stuck() -> Shell {
    let mut shell = Shell::new();
    shell.begin(submission(&trip()));
    shell.answer_all(&done());
    shell.sync();
    while shell.notices.is_empty() {
        shell.answer_all(&silence());
        shell.pass(SECOND);
    }
    shell
}

fn by_hand(shell: &mut Shell, verdict: Verdict) {
    let wish = Wish::Choose(verdict);
    let resolve = Resolve { wish, who: "on call".to_owned(), why: "looked".to_owned() };
    let (now, id) = (shell.at(), shell.id());
    assert_eq!(shell.owner.resolve(now, id, &resolve), Some(Ok(())));
    shell.carry_out();
    shell.sync();
}

#[test]
fn a_person_who_has_looked_says_that_the_pivot_has_acted() {
    let mut shell = stuck();
    by_hand(&mut shell, Verdict::Commit);
    shell.calls.retain(|call| call.branch.0 != 2);
    assert_eq!(shell.under_way(), [(3, Act)]);
    shell.answer(3, done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_person_who_has_looked_says_that_the_pivot_has_not_acted() {
    let mut shell = stuck();
    by_hand(&mut shell, Verdict::Rollback);
    shell.calls.retain(|call| call.branch.0 != 2);
    assert_eq!(shell.under_way(), [(0, Compensate), (1, Compensate)]);
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn nobody_chooses_while_the_pivot_may_still_answer() {
    let mut shell = Shell::new();
    shell.begin(submission(&trip()));
    shell.answer_all(&done());
    shell.sync();
    let wish = Wish::Choose(Verdict::Rollback);
    let resolve = Resolve { wish, who: "on call".to_owned(), why: "in haste".to_owned() };
    let (now, id) = (shell.at(), shell.id());
    assert_eq!(shell.owner.resolve(now, id, &resolve), Some(Err(Refusal::NotStuck)));
}

#[test]
fn who_only_goes_forward_is_asked_until_it_has_acted_whatever_it_says() {
    let mut shell = Shell::new();
    shell.begin(submission(&trip()));
    shell.answer_all(&done());
    shell.sync();
    shell.answer(2, done());
    shell.sync();
    let no = status(&shell.calls[0], 422, None);
    assert!(no.reading.stuck);
    shell.answer(3, no);
    shell.pass(10 * SECOND);
    shell.answer(3, done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn after_a_crash_actions_are_asked_for_again_byte_for_byte_and_answers_are_not_forgotten() {
    let mut plan = trip();
    plan.respond = Some(ResponsePlan {
        status: 201,
        headers: Vec::new(),
        body: Some(json!({ "flight": "${branches.a.response.seat}", "for": "${request.body.amount}" })),
    });
    let mut shell = Shell::new();
    shell.begin(submission(&plan));
    let before: Vec<_> = shell.calls.iter().map(|call| (call.path.clone(), call.body.clone())).collect();
    shell.answer(0, said(r#"{"seat":"12A"}"#));
    let id = shell.id();
    let mut shell = shell.crash(1);
    assert_eq!(shell.under_way(), [(1, Act)], "what has said so has acted");
    let again = &shell.calls[0];
    assert_eq!((again.path.clone(), again.body.clone()), before[1]);
    assert_eq!(again.attempt, 2);
    shell.answer(1, done());
    shell.sync();
    shell.answer(2, done());
    shell.sync();
    shell.answer_all(&done());
    let answer = shell.owner.status(id, Token(1000)).unwrap().answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (201, br#"{"flight":"12A","for":10.10}"#.as_slice()));
}

#[test]
fn an_answer_that_the_crash_has_forgotten_is_asked_for_again() {
    let mut shell = Shell::new();
    shell.begin(submission(&trip()));
    shell.answer(0, done());
    let shell = shell.crash(0);
    assert_eq!(shell.under_way(), [(0, Act), (1, Act)]);
}

#[test]
fn whoever_needs_the_client_is_compensated_after_a_crash() {
    let mut plan = trip();
    plan.branches[0].needs_client = true;
    let mut submission = submission(&plan);
    let bearer = (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer client"));
    submission.credentials = [bearer].into();
    let mut shell = Shell::new();
    shell.begin(submission);
    let carries: Vec<usize> = shell.calls.iter().map(|call| call.credentials.len()).collect();
    assert_eq!(carries, [1, 0]);
    let mut shell = shell.crash(0);
    assert_eq!(shell.under_way(), [], "a rollback is durable before anybody hears of it");
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Compensate), (1, Compensate)]);
}

#[test]
fn a_service_without_a_fence_acts_alone_and_once() {
    let mut shell = Shell::new();
    shell.begin(submission(&plain()));
    assert_eq!(shell.under_way(), [(0, Act)]);
    shell.answer(0, done());
    assert_eq!(shell.under_way(), []);
    shell.sync();
    assert_eq!(shell.under_way(), [(1, Act)]);
    let call = &shell.calls[0];
    assert_eq!((&call.method, call.path.as_str()), (&Method::PUT, "/rentals/10.10"));
    shell.answer(1, silence());
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Compensate), (1, Compensate)]);
    let undo = shell.calls.iter().find(|call| call.branch.0 == 1).unwrap();
    assert_eq!((&undo.method, undo.path.as_str()), (&Method::DELETE, "/rentals/10.10"));
    assert_eq!(&undo.body[..], br#"{"for":"t1","was":"unknown"}"#);
}

#[test]
fn the_deadline_waits_for_who_acts_without_a_fence() {
    let mut shell = Shell::new();
    shell.begin(submission(&plain()));
    shell.answer(0, done());
    shell.sync();
    shell.pass(6 * SECOND);
    assert_eq!(shell.under_way(), [(1, Act)], "nothing overtakes it");
    shell.answer(1, said(r#"{"rental":"r-9"}"#));
    shell.sync();
    assert_eq!(shell.owner.open_len(), 0, "all have acted, and nobody had decided otherwise");
}

#[test]
fn a_compensation_takes_the_answer_that_came_also_after_a_crash() {
    let mut plan = plain();
    plan.branches.push(plan.branches[0].clone());
    plan.branches[2].name = "last".to_owned();
    plan.branches[2].after = vec![1];
    let mut shell = Shell::new();
    shell.begin(submission(&plan));
    shell.answer(0, done());
    shell.sync();
    shell.answer(1, said(r#"{"rental":"r-9"}"#));
    shell.sync();
    assert_eq!(shell.under_way(), [(2, Act)]);
    shell.answer(2, refused());
    let mut shell = shell.crash(1);
    shell.sync();
    let undo = shell.calls.iter().find(|call| call.branch.0 == 1).unwrap();
    assert_eq!(&undo.body[..], br#"{"for":"t1","was":"r-9"}"#);
    let rolled_back = shell.written(shell.id()).iter().any(|record| matches!(record, Record::Concluded(_)));
    assert!(rolled_back);
}

#[test]
fn compensations_come_in_the_reverse_of_the_order() {
    let mut plan = plan(Mode::Saga, 4);
    plan.branches[1].after = vec![0];
    plan.branches[3].after = vec![1, 2];
    let mut shell = Shell::new();
    shell.begin(submission(&plan));
    shell.answer_all(&done());
    shell.answer(1, done());
    assert_eq!(shell.under_way(), [(3, Act)]);
    shell.answer(3, silence());
    shell.pass(6 * SECOND);
    shell.calls.clear();
    shell.sync();
    assert_eq!(shell.under_way(), [(3, Compensate)], "it may have been done");
    shell.answer(3, done());
    assert_eq!(shell.under_way(), [(1, Compensate), (2, Compensate)]);
    shell.answer(1, done());
    assert_eq!(shell.under_way(), [(0, Compensate), (2, Compensate)]);
}
