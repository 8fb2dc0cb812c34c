//! Idempotency keys: the same key and payload give the same answer, also after a crash.

use crate::fixtures::{done, keyed, problem, read_only, refused, two_phase, with_answers};
use crate::shell::{SECOND, Shell, config, header};
use std::time::Duration;
use unanimo_contract::plan::digest;
use unanimo_contract::transactions::status_address;
use unanimo_contract::{ClientAnswer, Id, Key, Reply, Unavailable};
use unanimo_coordinator::{Config, KeyPromise};
use unanimo_protocol::{Durability, Token};

#[test]
fn a_known_key_is_answered_with_the_first_answer_byte_for_byte() {
    let plan = with_answers(two_phase());
    let mut shell = Shell::new();
    let first = shell.begin(keyed(&plan, 1, 1));
    shell.answer_all(&done());
    shell.sync();
    let while_open = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(shell.told(while_open).finished, Some(false));
    shell.answer_all(&done());
    let told = shell.told(first).clone();
    assert_eq!((told.answer.status, told.finished), (201, Some(true)));
    assert_eq!(shell.told(while_open).answer, told.answer);
    let after_the_end = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(*shell.told(after_the_end), told);
    let mut shell = shell.crash(usize::MAX / 2);
    let after_a_crash = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(*shell.told(after_a_crash), told);
    assert_eq!((shell.left.len(), shell.owner.open_len()), (0, 0));
}

#[test]
fn a_refusal_is_as_sticky_as_a_commit() {
    let plan = with_answers(two_phase());
    let mut shell = Shell::new();
    let first = shell.begin(keyed(&plan, 1, 1));
    shell.answer(0, refused());
    assert!(shell.is_waiting(first), "the answer left before it was durable");
    assert_eq!(shell.under_way().len(), 1, "an undo left before its verdict was durable");
    shell.sync();
    let told = shell.told(first).clone();
    assert_eq!((told.answer.status, &told.answer.body[..]), (422, &b"{\"why\":\"no money\"}"[..]));
    let mut shell = shell.crash(0);
    let again = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(shell.told(again).answer, told.answer);
}

#[test]
fn without_a_key_a_rollback_is_answered_at_once_and_waits_for_no_disk() {
    let mut shell = Shell::new();
    let waiter = shell.begin(crate::fixtures::submission(&two_phase()));
    shell.answer(0, refused());
    assert_eq!(shell.told(waiter).answer.status, 409);
    let forced =
        shell.written(shell.id()).into_iter().filter(|r| r.durability() == Durability::Forced).count();
    assert_eq!(forced, 1);
}

#[test]
fn a_key_whose_request_still_runs_is_409_with_the_address_of_its_status() {
    let plan = two_phase();
    let mut shell = Shell::new();
    let first = shell.begin(keyed(&plan, 1, 1));
    let second = shell.submit(keyed(&plan, 1, 1));
    let Reply { transaction, finished, answer } = shell.told(second);
    assert_eq!((answer.status, problem(answer).as_str()), (409, "in-progress"));
    assert_eq!((*transaction, *finished), (Some(shell.id()), Some(false)));
    assert_eq!(header(answer, "retry-after"), Some("1"));
    let address = status_address(shell.id(), Token(1000));
    assert_eq!(header(answer, "location"), Some(address.as_str()));
    assert!(shell.is_waiting(first));
    assert_eq!(shell.calls.len(), 2);
}

#[test]
fn another_payload_under_the_same_key_is_422() {
    let plan = two_phase();
    let mut shell = Shell::new();
    shell.begin(keyed(&plan, 1, 1));
    for crash in [false, true] {
        if crash {
            shell = shell.crash(0);
        }
        let other = shell.submit(keyed(&plan, 1, 2));
        assert_eq!(
            (shell.told(other).answer.status, problem(&shell.told(other).answer).as_str()),
            (422, "key-reused")
        );
    }
}

#[test]
fn what_history_holds_is_not_remembered_and_its_key_still_stands() {
    let plan = two_phase();
    let mut shell = Shell::new();
    for key in 1..=2 {
        shell.begin(keyed(&plan, key, 1));
        shell.answer_all(&read_only());
        shell.sync();
        shell.batch += 1;
    }
    let second = shell.id();
    shell.owner.cover(shell.batch - 2);
    assert_eq!(shell.owner.tally().remembered, 1);
    let known = shell.submit(keyed(&plan, 2, 1));
    assert_eq!(shell.told(known).answer.status, 200);
    shell.owner.cover(shell.batch);
    assert_eq!((shell.owner.tally().remembered, shell.owner.tally().keys), (0, 2));
    assert!(!shell.owner.remembers(second));
    let again = shell.submit(keyed(&plan, 2, 1));
    assert_eq!(shell.recalls, [(again, second)], "nothing begins, and nobody is told a guess");
    assert!(shell.is_waiting(again));
    let answer = ClientAnswer::json(201, "{}");
    shell.owner.recalled(again, second, Ok(Some(answer.clone())));
    shell.carry_out();
    let Reply { transaction, finished, answer: told } = shell.told(again);
    assert_eq!((*transaction, *finished, told), (Some(second), Some(true), &answer));
    let other = shell.submit(keyed(&plan, 2, 9));
    assert_eq!(problem(&shell.told(other).answer), "key-reused");
}

#[test]
fn an_answer_that_cannot_be_recalled_is_no_new_beginning() {
    let plan = two_phase();
    let mut shell = Shell::new();
    shell.begin(keyed(&plan, 1, 1));
    shell.answer_all(&read_only());
    shell.sync();
    shell.owner.cover(shell.batch);
    for (found, status) in [(Err(Unavailable), 503), (Ok(None), 500)] {
        let again = shell.submit(keyed(&plan, 1, 1));
        shell.owner.recalled(again, shell.id(), found);
        shell.carry_out();
        assert_eq!(shell.told(again).answer.status, status);
    }
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_key_is_free_again_when_its_promise_is_over() {
    let plan = two_phase();
    let time = Duration::from_secs(60);
    let mut shell = Shell::with(Config { keys: KeyPromise { time, count: 10 }, ..config() });
    shell.begin(keyed(&plan, 1, 1));
    shell.begin(keyed(&plan, 2, 1));
    let (first, second) = (shell.calls[0].transaction, shell.calls[2].transaction);
    while let Some(at) = shell.calls.iter().position(|call| call.transaction == first) {
        shell.answer_at(at, read_only());
    }
    shell.sync();
    shell.owner.cover(shell.batch);
    // A stored promise holds as it was made.
    let stored = Key { scope: digest(&[b"stored"]), fingerprint: digest(&[b"it"]) };
    shell.owner.remember_key(&stored, Id::from_bits(3), shell.at().unix_ms + 1000);
    shell.now = shell.now + time;
    let free = shell.begin(keyed(&plan, 1, 9));
    assert!(shell.is_waiting(free), "it begins anew, whatever it stood for");
    let running = shell.submit(keyed(&plan, 2, 1));
    let told = shell.told(running);
    assert_eq!((problem(&told.answer).as_str(), told.transaction), ("in-progress", Some(second)));
    shell.begin(keyed(&plan, 3, 1));
    assert_eq!(shell.owner.tally().keys, 3, "what is over is swept");
}

#[test]
fn ends_that_history_does_not_take_are_remembered_up_to_a_limit() {
    let plan = two_phase();
    let mut shell = Shell::with(Config { remembered_limit: 3, ..config() });
    for key in 1..=5 {
        shell.begin(keyed(&plan, key, 1));
        shell.answer_all(&read_only());
        shell.sync();
        shell.batch += 1;
    }
    assert_eq!(shell.owner.tally().remembered, 3);
    let oldest = shell.submit(keyed(&plan, 1, 1));
    assert!(shell.is_waiting(oldest) && shell.recalls.len() == 1, "its answer is looked up");
}

#[test]
fn a_crash_before_the_verdict_is_told_as_interrupted_and_stays_so() {
    let plan = two_phase();
    let mut shell = Shell::new();
    shell.begin(keyed(&plan, 1, 1));
    shell.answer(0, done());
    let mut shell = shell.crash(0);
    let early = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(problem(&shell.told(early).answer), "in-progress", "the rollback is not durable yet");
    shell.sync();
    let told = shell.submit(keyed(&plan, 1, 1));
    let told = shell.told(told).answer.clone();
    assert_eq!((told.status, problem(&told).as_str()), (409, "interrupted"));
    let mut shell = shell.crash(0);
    shell.pass(SECOND);
    shell.answer_all(&done());
    let still = shell.submit(keyed(&plan, 1, 1));
    assert_eq!(shell.told(still).answer, told);
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn a_beginning_that_a_crash_forgot_leaves_its_key_free() {
    let plan = two_phase();
    let mut shell = Shell::new();
    shell.submit(keyed(&plan, 1, 1));
    let mut shell = shell.crash(0);
    let again = shell.begin(keyed(&plan, 1, 1));
    assert!(shell.is_waiting(again));
    assert_eq!(shell.calls[0].attempt, 1);
}
