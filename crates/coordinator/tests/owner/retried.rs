//! An operator's word: what is owed is called at once, and no more than that.

use crate::fixtures::{done, silence, status, submission, two_phase};
use crate::shell::{MILLISECOND, SECOND, Shell, config};
use unanimo_contract::{Id, Operation, Retried, State};
use unanimo_coordinator::{Config, Retry};

fn retry(shell: &mut Shell, id: Id) -> Option<Retried> {
    let retried = shell.owner.retry(shell.at(), id);
    shell.carry_out();
    retried
}

/// A committed transaction whose branch `b` says that it wants to be asked in half a minute, after so many silent attempts.
fn paused(silent: u32) -> (Shell, Id) {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    shell.sync();
    let id = shell.id();
    shell.answer(0, done());
    for _ in 0..silent {
        shell.answer(1, silence());
        while shell.calls.is_empty() {
            assert!(shell.pass_to_wake());
        }
    }
    let busy = status(&shell.calls[0], 503, Some("30"));
    shell.answer(1, busy);
    shell.pass(20 * SECOND);
    assert!(shell.calls.is_empty());
    (shell, id)
}

#[test]
fn what_is_owed_is_called_at_once() {
    let (mut shell, id) = paused(0);
    let retried = retry(&mut shell, id).unwrap();
    assert_eq!(
        (retried.state, retried.called, retried.under_way.len()),
        (State::Committing, vec!["b".to_owned()], 0)
    );
    assert_eq!(shell.under_way(), [(1, Operation::Commit)]);
    assert_eq!(shell.calls[0].attempt, 2);
}

#[test]
fn a_call_under_way_is_not_repeated() {
    let (mut shell, id) = paused(0);
    retry(&mut shell, id);
    let left = shell.left.len();
    let again = retry(&mut shell, id).unwrap();
    assert_eq!((again.called.len(), again.under_way), (0, vec!["b".to_owned()]));
    assert_eq!(shell.left.len(), left);
}

#[test]
fn pauses_begin_from_the_shortest_again() {
    let (mut shell, id) = paused(9);
    retry(&mut shell, id);
    for _ in 0..2 {
        let before = shell.now;
        shell.answer(1, silence());
        while shell.calls.is_empty() {
            assert!(shell.pass_to_wake());
        }
        // Without it the bound would be beyond 25 s.
        assert!(shell.now.since(before) <= 100 * MILLISECOND, "{:?}", shell.now.since(before));
    }
    assert_eq!(shell.calls[0].attempt, 13);
}

#[test]
fn a_retry_needs_no_token_and_leaves_nobody_in_the_queue() {
    let retry_settings =
        Retry { budget_per_second: 0.1, budget_ratio: 0.0, initial: MILLISECOND, ..Retry::default() };
    let mut shell = Shell::with(Config { retry: retry_settings, ..config() });
    shell.begin(submission(&two_phase()));
    let id = shell.id();
    shell.answer_all(&done());
    shell.sync();
    shell.answer(0, done());
    // The only token goes with the second attempt; the third has to wait for ten seconds.
    shell.answer(1, silence());
    shell.pass(100 * MILLISECOND);
    shell.answer(1, silence());
    shell.pass(100 * MILLISECOND);
    // By now the client has been told where its answer will be.
    shell.pass(7 * SECOND);
    assert_eq!((shell.calls.len(), shell.owner.tally().retries_held), (0, 1));
    assert_eq!(retry(&mut shell, id).unwrap().called, ["b"]);
    assert_eq!(shell.under_way(), [(1, Operation::Commit)]);
    // Nobody waits for a token any more: the next thing to happen is that somebody has to look at it.
    let wake = shell.owner.wake().unwrap();
    assert!(wake.since(shell.now) > 30 * SECOND, "{wake:?}");
    shell.answer(1, done());
    assert_eq!(shell.owner.open_len(), 0);
}

#[test]
fn what_waits_for_the_disk_what_has_ended_and_what_is_unknown_are_left_alone() {
    let mut shell = Shell::new();
    shell.submit(submission(&two_phase()));
    let id = shell.id();
    assert_eq!(retry(&mut shell, id).unwrap().called.len(), 0);
    shell.sync();
    shell.answer_all(&done());
    assert_eq!(retry(&mut shell, id).unwrap().called.len(), 0);
    shell.sync();
    shell.answer_all(&done());
    let ended = retry(&mut shell, id).unwrap();
    assert_eq!((ended.state, ended.called.len(), ended.under_way.len()), (State::Committed, 0, 0));
    assert_eq!(retry(&mut shell, Id::from_bits(1)), None);
}
