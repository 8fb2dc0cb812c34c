//! When a client is answered, and with what. Never a guess.

use crate::fixtures::{
    done, keyed, plan, problem, read_only, refused, silence, status, submission, two_phase, with_answers,
};
use crate::shell::{MILLISECOND, SECOND, Shell, header};
use serde_json::json;
use unanimo_contract::transactions::status_address;
use unanimo_contract::{Answer, Mode, Operation, Plan, RefusedPlan, ResponsePlan, Submission};
use unanimo_coordinator::{CallId, Notice, WaiterId};
use unanimo_protocol::Token;

/// Begun, and every branch has voted yes; the commit is durable.
fn committed(plan: &Plan) -> (Shell, WaiterId) {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(plan));
    shell.answer_all(&done());
    shell.sync();
    (shell, waiter)
}

#[test]
fn a_commit_is_answered_when_every_branch_has_heard() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer(0, done());
    assert_eq!(shell.appends.len(), 0);
    shell.answer(1, done());
    assert!(
        shell.is_waiting(waiter) && shell.calls.is_empty(),
        "a commit was heard of before it was durable"
    );
    shell.sync();
    assert_eq!(shell.under_way(), [(0, Operation::Commit), (1, Operation::Commit)]);
    shell.answer(0, done());
    assert!(shell.is_waiting(waiter));
    shell.answer(1, done());
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, reply.transaction, reply.finished), (200, Some(shell.id()), Some(true)));
    let body = crate::fixtures::json_of(&reply.answer);
    assert_eq!(body, json!({ "transaction": shell.id().to_string(), "verdict": 1 }));
    assert_eq!((shell.owner.open_len(), shell.owner.wake()), (0, None));
}

#[test]
fn a_commit_that_is_known_but_not_finished_in_time_is_answered_as_such() {
    let (mut shell, waiter) = committed(&with_answers(two_phase()));
    shell.answer(0, done());
    shell.pass(6999 * MILLISECOND);
    assert!(shell.is_waiting(waiter));
    shell.pass(MILLISECOND);
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, reply.finished), (201, Some(false)));
    assert_eq!(crate::fixtures::json_of(&reply.answer)["receipt"], "r-1");
    assert_eq!(shell.owner.open_len(), 1);
    shell.answer(1, done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_verdict_that_is_not_known_in_time_is_202_with_the_address_of_the_status() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    // The commit is decided, and the disk is slow.
    shell.pass(7 * SECOND);
    let reply = shell.told(waiter);
    assert_eq!(
        (reply.answer.status, reply.finished, reply.transaction),
        (202, Some(false), Some(shell.id()))
    );
    let address = status_address(shell.id(), Token(1000));
    assert_eq!(header(&reply.answer, "location"), Some(address.as_str()));
    assert_eq!(crate::fixtures::json_of(&reply.answer)["verdict"], -1);
    shell.sync();
    shell.answer_all(&done());
    let status = shell.owner.status(shell.id(), Token(1000)).unwrap();
    assert_eq!((status.answer.unwrap().status, status.finished), (200, true));
}

#[test]
fn who_prefers_not_to_wait_hears_once_the_beginning_is_durable() {
    let mut shell = Shell::new();
    let waiter = shell.submit(Submission { respond_async: true, ..submission(&two_phase()) });
    assert!(shell.is_waiting(waiter));
    shell.sync();
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, reply.finished), (202, Some(false)));
    shell.answer_all(&done());
    shell.sync();
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_refusal_is_answered_at_the_verdict_and_names_the_branch() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer(1, refused());
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, problem(&reply.answer).as_str()), (409, "refused"));
    assert_eq!(reply.finished, Some(false));
    let body = crate::fixtures::json_of(&reply.answer);
    assert_eq!((&body["branch"], &body["transaction"]), (&json!("b"), &json!(shell.id().to_string())));
    assert_eq!(shell.under_way(), [(0, Operation::Prepare), (0, Operation::Rollback)]);
}

#[test]
fn a_refusal_of_the_only_branch_is_finished_with_it() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&plan(Mode::Tcc, 1)));
    shell.answer(0, refused());
    assert_eq!(shell.told(waiter).finished, Some(true));
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_route_may_pass_a_refusal_on_or_have_its_own_words_for_it() {
    let own = RefusedPlan::Respond(ResponsePlan {
        status: 402,
        headers: vec![("x-id".into(), "${transaction.id}".into())],
        body: Some(json!({ "said": "${branches.a.response.why}" })),
    });
    for (refused_plan, status, body) in
        [(RefusedPlan::PassOn, 422, json!({ "why": "no money" })), (own, 402, json!({ "said": "no money" }))]
    {
        let mut shell = Shell::new();
        let waiter = shell.begin(submission(&Plan { refused: Some(refused_plan), ..two_phase() }));
        shell.answer(0, refused());
        let answer = &shell.told(waiter).answer;
        assert_eq!((answer.status, crate::fixtures::json_of(answer)), (status, body));
    }
}

#[test]
fn a_refusal_that_came_with_a_status_of_success_is_not_passed_on_as_one() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&Plan { refused: Some(RefusedPlan::PassOn), ..two_phase() }));
    shell.answer(0, Answer { status: Some(200), ..refused() });
    assert_eq!(shell.told(waiter).answer.status, 409);
}

#[test]
fn votes_that_do_not_come_in_time_are_504_at_the_deadline() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer(0, done());
    shell.pass(4999 * MILLISECOND);
    assert!(shell.is_waiting(waiter));
    shell.pass(MILLISECOND);
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, problem(&reply.answer).as_str()), (504, "deadline"));
    assert_eq!(crate::fixtures::json_of(&reply.answer)["branch"], "b");
    assert_eq!(
        shell.under_way(),
        [(0, Operation::Rollback), (1, Operation::Prepare), (1, Operation::Rollback)]
    );
}

#[test]
fn a_vote_after_the_deadline_changes_nothing() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.answer(0, done());
    shell.pass(5 * SECOND);
    let late = shell.calls.iter().position(|call| call.operation == Operation::Prepare).unwrap();
    shell.answer_at(late, done());
    assert_eq!(shell.under_way(), [(0, Operation::Rollback), (1, Operation::Rollback)]);
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_vote_that_is_heard_before_anybody_saw_the_deadline_pass_still_counts() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer(0, done());
    // The owner is busy: its tick comes late.
    shell.now = shell.now + 6 * SECOND;
    shell.answer(1, done());
    shell.sync();
    shell.answer_all(&done());
    assert_eq!(shell.told(waiter).answer.status, 200);
}

#[test]
fn an_answer_that_the_verdict_has_overtaken_leaves_no_trace() {
    let mut shell = Shell::new();
    shell.begin(submission(&plan(Mode::TwoPhase, 1)));
    shell.pass(5 * SECOND);
    assert_eq!(shell.under_way(), [(0, Operation::Prepare), (0, Operation::Rollback)]);
    shell.answer_at(1, silence());
    let busy = status(&shell.calls[0], 503, Some("30"));
    shell.answer_at(0, busy);
    let view = shell.owner.view(shell.id()).unwrap();
    assert_eq!(view.branches[0].last_answer.as_deref(), Some("rollback: no answer"));
    shell.pass(SECOND);
    assert_eq!(shell.under_way(), [(0, Operation::Rollback)], "the undo waits for what a prepare was told");
}

#[test]
fn a_heuristic_end_is_500_to_everybody_who_asks_and_stays_open() {
    let (mut shell, waiter) = committed(&two_phase());
    shell.answer(1, refused());
    assert!(shell.is_waiting(waiter), "told before it was durable");
    shell.sync();
    let reply = shell.told(waiter);
    assert_eq!((reply.answer.status, problem(&reply.answer).as_str()), (500, "heuristic"));
    assert_eq!(crate::fixtures::json_of(&reply.answer)["branch"], "b");
    assert_eq!(shell.notices, [Notice::Heuristic { branch: "b".into() }]);
    shell.answer(0, done());
    assert_eq!((shell.owner.open_len(), shell.calls.len()), (1, 0));
    let status = shell.owner.status(shell.id(), Token(1000)).unwrap();
    assert_eq!((status.heuristic, status.finished, status.answer.unwrap().status), (true, false, 500));
    assert_eq!(shell.owner.tally().heuristic, 1);
}

#[test]
fn a_heuristic_end_that_only_waits_for_a_person_is_not_stuck_and_wakes_nobody() {
    let (mut shell, _) = committed(&two_phase());
    shell.answer(1, refused());
    shell.sync();
    shell.answer(0, done());
    shell.pass(300 * SECOND);
    assert_eq!(shell.notices, [Notice::Heuristic { branch: "b".into() }]);
    assert_eq!((shell.owner.tally().stuck, shell.owner.wake()), (0, None));
}

#[test]
fn what_respond_names_and_nobody_gave_is_null_and_noted() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&with_answers(two_phase())));
    shell.answer_all(&read_only());
    shell.sync();
    let answer = &shell.told(waiter).answer;
    assert_eq!(crate::fixtures::json_of(answer), json!({ "id": shell.id().to_string(), "receipt": null }));
    assert!(
        matches!(&shell.notices[..], [Notice::Unrendered { what }] if what.contains("branches.a.response.receipt"))
    );
}

#[test]
fn who_leaves_tells_each_waiter_what_is_known_and_begins_nothing_more() {
    let mut shell = Shell::new();
    let plan = two_phase();
    let undecided = shell.begin(submission(&plan));
    let known = shell.begin(submission(&plan));
    for _ in 0..2 {
        shell.answer_at(2, done());
    }
    shell.sync();
    let unsynced = shell.submit(submission(&plan));
    shell.owner.leave(shell.at());
    shell.carry_out();
    assert_eq!(shell.told(undecided).answer.status, 202);
    // The commit is durable: saying that it is not known would be wrong.
    assert_eq!((shell.told(known).answer.status, shell.told(known).finished), (200, Some(false)));
    assert!(shell.is_waiting(unsynced));
    shell.sync();
    assert_eq!(shell.told(unsynced).answer.status, 202);
    let late = shell.submit(submission(&plan));
    assert_eq!(problem(&shell.told(late).answer), "not-ready");
    // What has begun goes on.
    while shell.owner.open_len() > 0 {
        shell.answer_all(&done());
        shell.sync();
    }
}

#[test]
fn an_answer_that_is_told_twice_counts_once() {
    let mut shell = Shell::new();
    let waiter = shell.begin(keyed(&two_phase(), 1, 1));
    let other = CallId::from(&shell.calls[1]);
    shell.answer(0, refused());
    // While the verdict waits for the disk, another branch's answer comes again and again.
    for _ in 0..50 {
        shell.owner.answered(shell.at(), other, silence());
    }
    shell.sync();
    assert_eq!(shell.told(waiter).answer.status, 409);
}
