//! The journal fails: nobody is told a guess, and nothing is decided any more.

use crate::fixtures::{done, problem, refused, submission, two_phase};
use crate::shell::{SECOND, Shell};
use unanimo_contract::Severed;
use unanimo_coordinator::{Notice, Unwritten};
use unanimo_protocol::Settled;

#[test]
fn what_the_journal_refused_is_503_what_had_begun_202_and_what_nobody_knows_is_severed() {
    let plan = two_phase();
    let mut shell = Shell::new();
    let begun = shell.begin(submission(&plan));
    let refused = shell.submit(submission(&plan));
    let unsynced = shell.submit(submission(&plan));
    shell.refuse(Unwritten::Poisoned);
    assert_eq!(
        (shell.told(refused).answer.status, problem(&shell.told(refused).answer)),
        (503, "not-ready".into())
    );
    assert_eq!(shell.told(begun).answer.status, 202);
    assert_eq!(shell.replies[&unsynced], Err(Severed));
    assert!(!shell.owner.is_accepting());
    let late = shell.submit(submission(&plan));
    assert_eq!(problem(&shell.told(late).answer), "not-ready");
}

#[test]
fn a_durable_commit_is_told_even_when_the_journal_fails() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    shell.sync();
    shell.owner.poison();
    shell.carry_out();
    assert_eq!((shell.told(waiter).answer.status, shell.told(waiter).finished), (200, Some(false)));
}

#[test]
fn a_commit_on_a_failed_disk_is_told_to_nobody() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    shell.owner.poison();
    shell.carry_out();
    assert_eq!(shell.told(waiter).answer.status, 202);
    // Not even if the journal says so afterwards.
    shell.sync();
    assert_eq!((shell.calls.len(), shell.owner.open_len()), (0, 1));
}

#[test]
fn a_call_that_was_decided_before_the_journal_failed_does_not_leave_after_it() {
    let mut shell = Shell::new();
    shell.submit(submission(&two_phase()));
    let beginning = shell.appends.remove(0);
    let records = beginning.records.into_iter().map(Settled::journaled).collect();
    shell.owner.settled(shell.at(), beginning.transaction, records, 1);
    shell.owner.poison();
    shell.carry_out();
    assert_eq!(shell.left.len(), 0);
}

#[test]
fn after_the_journal_has_failed_nothing_is_decided_and_nobody_woken_for_ever() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.begin(submission(&two_phase()));
    shell.answer_at(0, done());
    shell.owner.poison();
    shell.owner.poison();
    shell.carry_out();
    let written = shell.disk.decisions.len();
    shell.answer_at(0, refused());
    shell.answer_all(&done());
    shell.pass(300 * SECOND);
    assert_eq!(shell.owner.wake(), None);
    assert_eq!((shell.disk.decisions.len(), shell.left.len()), (written, 4));
    assert_eq!(shell.notices, Vec::<Notice>::new());
}

#[test]
#[should_panic(expected = "refused to go on with what it had begun")]
fn a_journal_that_is_full_may_refuse_beginnings_alone() {
    let mut shell = Shell::new();
    shell.begin(submission(&two_phase()));
    shell.answer_all(&done());
    shell.refuse(Unwritten::Full);
}
