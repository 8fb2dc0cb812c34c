//! What a crash leaves, and how it is driven on: replay, and then the first calls.

use crate::fixtures::{done, keyed, plan, problem, refused, silence, submission, two_phase, with_answers};
use crate::shell::{Decision, SECOND, Shell, config, header};
use bytes::Bytes;
use std::collections::BTreeSet;
use unanimo_contract::operations::{Flag, Resolve, Wish};
use unanimo_contract::trace::Trace;
use unanimo_contract::{
    BranchIndex, Id, Inquiry, Mode, Operation, ParticipantCall, State, Submission, TraceContext, Verdict,
    View,
};
use unanimo_coordinator::{Notice, Now, Owner, ReplayError};
use unanimo_protocol::{Record, Settled, Token};

/// All of a call that must be the same at every attempt.
fn shape(call: &ParticipantCall) -> String {
    let ParticipantCall { transaction, branch, operation, path, headers, body, .. } = call;
    format!("{transaction} {branch} {operation} {path} {headers:?} {body:?}")
}

#[test]
fn a_transaction_without_a_verdict_is_rolled_back() {
    for mode in [Mode::TwoPhase, Mode::Tcc] {
        let mut shell = Shell::new();
        shell.begin(submission(&plan(mode, 2)));
        shell.answer(0, done());
        let id = shell.id();
        let mut shell = shell.crash(0);
        let undo = mode.telling(unanimo_protocol::Verdict::Rollback);
        assert_eq!(shell.under_way(), [(0, undo), (1, undo)]);
        assert!(shell.calls.iter().all(|call| call.attempt == 2 && call.credentials.is_empty()));
        let status = shell.owner.status(id, Token(1000)).unwrap();
        assert_eq!(
            (status.state, problem(&status.answer.unwrap()).as_str()),
            (State::Undoing, "interrupted")
        );
        shell.answer_all(&done());
        assert_eq!((shell.owner.open_len(), shell.owner.wake()), (0, None));
        assert_eq!(shell.owner.view(id).unwrap().state, State::RolledBack);
    }
}

#[test]
fn a_commit_is_told_on_byte_for_byte_to_those_who_have_not_heard() {
    let mut shell = Shell::new();
    shell.begin(submission(&with_answers(plan(Mode::TwoPhase, 3))));
    shell.answer(2, crate::fixtures::read_only());
    shell.answer_all(&done());
    shell.sync();
    let before: Vec<_> = shell.calls.iter().map(shape).collect();
    shell.answer(0, done());
    let id = shell.id();
    // The acknowledgement was not synced: it may be forgotten, or not.
    for (kept, told) in [(0, vec![0, 1]), (1, vec![1])] {
        let mut shell = same_disk(&shell).crash(kept);
        let after: Vec<_> = shell.calls.iter().map(shape).collect();
        assert_eq!(shell.calls.iter().map(|call| call.branch.0).collect::<Vec<_>>(), told);
        assert!(after.iter().all(|call| before.contains(call)), "{after:?} is not among {before:?}");
        assert!(shell.calls.iter().all(|call| call.attempt == 2));
        shell.answer_all(&done());
        let view = shell.owner.view(id).unwrap();
        assert_eq!((view.state, view.answer.unwrap().status), (State::Committed, 201));
        assert_eq!(shell.notices, [Notice::Recovered]);
    }
}

#[test]
fn every_call_is_a_step_of_its_own_in_the_clients_trace_also_after_a_crash() {
    let mut headers = http::HeaderMap::new();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    for (name, value) in [("traceparent", parent), ("tracestate", "a=1")] {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    for trace in [TraceContext::of_request(&headers), None] {
        let mut shell = Shell::new();
        shell.begin(Submission { trace: trace.clone(), ..submission(&two_phase()) });
        let mut spans: Vec<_> = shell.calls.iter().map(|call| call.span).collect();
        shell.answer_all(&done());
        shell.sync();
        spans.extend(shell.calls.iter().map(|call| call.span));
        let own = TraceContext { trace: Trace::of_transaction(shell.id()), state: None };
        let same = same_disk(&shell).crash(0);
        for shell in [same, shell.crash(0)] {
            assert!(shell.calls.iter().all(|call| call.trace == *trace.as_ref().unwrap_or(&own)));
            spans.extend(shell.calls.iter().map(|call| call.span));
        }
        assert_eq!(spans.len(), 8);
        // The same disk at the same epoch makes the same steps: no chance is in them.
        assert_eq!(BTreeSet::from_iter(spans).len(), 6);
    }
}

#[test]
fn a_commit_that_was_decided_and_is_on_no_disk_is_rolled_back() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    let lost = same_disk(&shell).crash(0);
    assert!(lost.calls.iter().all(|call| call.operation == Operation::Rollback));
    let kept = shell.crash(1);
    assert!(kept.calls.iter().all(|call| call.operation == Operation::Commit));
}

#[test]
fn a_beginning_that_is_on_no_disk_never_was() {
    let mut shell = Shell::new();
    shell.submit(submission(&two_phase()));
    let id = shell.id();
    let shell = shell.crash(0);
    assert_eq!((shell.owner.open_len(), shell.calls.len()), (0, 0));
    assert_eq!(shell.owner.view(id), None);
}

#[test]
fn what_has_ended_stays_known_and_is_told_to_nobody() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.answer(0, refused());
    shell.answer_all(&done());
    shell.answer_all(&done());
    let (id, before) = (shell.id(), shell.owner.view(shell.id()).unwrap());
    shell.sync();
    let shell = shell.crash(0);
    // When it ended stands in no record.
    assert_eq!(shell.owner.view(id), Some(View { ended_unix_ms: None, ..before }));
    assert_eq!((shell.owner.open_len(), shell.calls.len(), shell.notices.len()), (0, 0, 0));
    assert_eq!(shell.owner.status(id, Token(1000)).unwrap().answer.unwrap().status, 409);
    assert_eq!(shell.owner.status(id, Token(1)), None);
}

#[test]
fn recovery_is_over_when_the_last_of_what_replay_found_has_ended() {
    let mut shell = Shell::new();
    for _ in 0..3 {
        shell.begin(submission(&plan(Mode::Tcc, 1)));
    }
    let mut shell = shell.crash(0);
    // What begins now is no part of it.
    shell.begin(submission(&plan(Mode::Tcc, 1)));
    let recovering = |shell: &Shell| (shell.owner.tally().recovered, shell.owner.tally().recovering);
    for left in [3, 2, 1] {
        assert_eq!(recovering(&shell), (3, left));
        assert_eq!(shell.notices, []);
        shell.answer_at(0, done());
    }
    assert_eq!(recovering(&shell), (3, 0));
    assert_eq!(shell.notices, [Notice::Recovered]);
}

#[test]
fn a_service_that_is_down_delays_neither_the_start_nor_others() {
    let mut shell = Shell::new();
    for _ in 0..30 {
        shell.begin(submission(&plan(Mode::Tcc, 1)));
    }
    let mut shell = shell.crash(0);
    assert!(shell.owner.is_accepting());
    assert_eq!(shell.calls.len(), 30, "every undo is told once without a pause");
    shell.answer_all(&silence());
    let mut elsewhere = plan(Mode::TwoPhase, 1);
    elsewhere.branches[0].service = "elsewhere".into();
    let waiter = shell.begin(submission(&elsewhere));
    for _ in 0..2 {
        let at = shell.calls.iter().position(|call| &*call.service == "elsewhere").unwrap();
        shell.answer_at(at, done());
        shell.sync();
    }
    assert_eq!(shell.told(waiter).answer.status, 200);
}

#[test]
fn a_heuristic_end_is_found_again_and_stays_open() {
    let mut shell = Shell::new();
    shell.begin(keyed(&two_phase(), 1, 1));
    shell.answer_all(&done());
    shell.sync();
    shell.answer(0, refused());
    shell.answer(1, done());
    shell.sync();
    let mut shell = shell.crash(1);
    assert_eq!((shell.owner.open_len(), shell.calls.len()), (1, 0));
    let again = shell.submit(keyed(&two_phase(), 1, 1));
    assert_eq!(shell.told(again).answer.status, 500);
    shell.pass(100 * SECOND);
    assert_eq!(shell.owner.wake(), None);
}

#[test]
fn a_start_that_would_have_to_guess_is_refused() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    let now = Now::default();
    let begun = shell.disk.decisions[0].clone();
    let id = begun.id;

    let mut without_plan = Owner::new(config());
    let error = without_plan.replay(id, Settled::journaled(begun.records[0].clone()), 1).unwrap_err();
    assert!(matches!(error, ReplayError::NoPlan(of) if of == id), "{error}");

    let mut headless = Owner::new(config());
    let told = Settled::journaled(Record::Told { branch: BranchIndex(0) });
    assert!(matches!(headless.replay(id, told, 1), Err(ReplayError::Headless(of)) if of == id));

    let mut unreadable = Owner::new(config());
    let (digest, stored) = shell.disk.plans.first_key_value().unwrap();
    assert!(unreadable.replay_plan(*digest, stored.slice(1..)).is_err());
    for calls in [Bytes::from_static(b"\x09\x00"), Bytes::new()] {
        let mut unreadable = Owner::new(config());
        unreadable.replay_plan(*digest, stored.clone()).unwrap();
        let Record::Begun(mut record) = begun.records[0].clone() else { panic!("no beginning") };
        record.calls = calls;
        unreadable.replay(id, Settled::journaled(Record::Begun(record)), 1).unwrap();
        assert!(matches!(unreadable.recovered(now), Err(ReplayError::Calls(of, _)) if of == id));
    }
}

#[test]
fn a_second_crash_counts_attempts_from_the_start_again_and_ends_all_the_same() {
    let mut shell = Shell::new();
    let first = shell.begin(keyed(&two_phase(), 1, 1));
    assert!(shell.is_waiting(first));
    for _ in 0..3 {
        shell = shell.crash(9);
        shell.sync();
        shell.answer(0, silence());
        shell.pass(SECOND);
        assert!(shell.calls.iter().all(|call| call.operation == Operation::Rollback && call.attempt >= 2));
    }
    shell.answer_all(&done());
    assert_eq!(shell.owner.open_len(), 0);
    let again = shell.submit(keyed(&two_phase(), 1, 1));
    assert_eq!(problem(&shell.told(again).answer), "interrupted");
    assert_eq!(header(&shell.told(again).answer, "content-type"), Some("application/problem+json"));
}

/// The same disk for another crash.
fn same_disk(shell: &Shell) -> Shell {
    let decisions: Vec<Decision> = shell.disk.decisions.clone();
    let mut copy = Shell::with(shell.config.clone());
    copy.disk = crate::shell::Disk { plans: shell.disk.plans.clone(), decisions, synced: shell.disk.synced };
    copy
}

#[test]
fn what_another_node_left_open_is_shown_and_nothing_of_it_is_called() {
    for (mode, verdict) in Mode::ALL.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let (mut shell, id) = quarantined(mode, verdict);
        let state = match (verdict, mode) {
            (false, _) => State::Preparing,
            (true, Mode::Saga) => State::Undoing,
            (true, _) => State::Committing,
        };
        let view = shell.owner.view(id).unwrap();
        assert_eq!((view.state, view.flags.has(Flag::Quarantined)), (state, true));
        shell.pass(120 * SECOND);
        shell.owner.retry(shell.at(), id);
        shell.carry_out();
        shell.owner.leave(shell.at());
        shell.carry_out();
        assert!(shell.calls.is_empty() && shell.appends.is_empty(), "{mode} {verdict}");
        assert_eq!((shell.owner.inquire(id), shell.owner.view(id).unwrap().state), (Inquiry::NotMine, state));
    }
}

/// A transaction that another node has left open, with a verdict or without.
fn quarantined(mode: Mode, verdict: bool) -> (Shell, Id) {
    let mut shell = Shell::new();
    shell.begin(keyed(&plan(mode, 2), 5, 6));
    if verdict {
        // A saga has a verdict only where it has one to tell: a rollback.
        let last = if mode == Mode::Saga { refused() } else { done() };
        shell.answer(0, done());
        shell.answer(1, last);
        shell.sync();
    }
    let id = shell.id();
    (shell.restored(), id)
}

#[test]
fn what_is_in_quarantine_goes_on_once_an_operator_has_chosen_also_after_a_crash() {
    for (mode, verdict) in Mode::ALL.into_iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        let (mut shell, id) = quarantined(mode, verdict);
        let wish = if verdict { Wish::Release } else { Wish::Choose(Verdict::Rollback) };
        let resolve = Resolve { wish, who: "somebody".into(), why: "asked everybody".into() };
        assert_eq!(shell.owner.resolve(shell.at(), id, &resolve), Some(Ok(())), "{mode} {verdict}");
        shell.carry_out();
        shell.sync();
        assert!(!shell.calls.is_empty(), "{mode} {verdict}");
        let mut shell = shell.crash(0);
        shell.answer_all(&done());
        shell.sync();
        assert_eq!((shell.owner.open_len(), shell.owner.wake()), (0, None), "{mode} {verdict}");
        let still = |shell: &Shell| shell.owner.view(id).unwrap().flags.has(Flag::Quarantined);
        assert!(!still(&shell), "{mode} {verdict}: it has ended");
        assert!(!still(&shell.restored()), "{mode} {verdict}: it had ended in the backup");
    }
}
