//! What recovery takes while clients wait, and while nobody does.

use crate::fixtures::{done, plan, silence, submission, two_phase};
use crate::shell::{MILLISECOND, SECOND, Shell, config};
use std::collections::BTreeSet;
use unanimo_contract::{AnswerAt, Id, Mode, Plan};
use unanimo_coordinator::Config;

/// How many of recovery's calls are under way to a service at most.
const UNDER_WAY: usize = 64;

/// An owner that has found so many transactions in doubt, and those.
fn recovering(transactions: usize) -> (Shell, BTreeSet<Id>) {
    let mut shell = Shell::with(Config { open_limit: 10_000, ..config() });
    for _ in 0..transactions {
        shell.submit(submission(&two_phase()));
    }
    shell.sync();
    shell.answer_all(&done());
    shell.sync();
    let found: BTreeSet<Id> = shell.calls.iter().map(|call| call.transaction).collect();
    assert_eq!(found.len(), transactions);
    (shell.crash(0), found)
}

/// Everything that is under way is answered, and what was appended is durable.
fn turn(shell: &mut Shell) {
    shell.answer_all(&done());
    shell.sync();
    shell.pass(MILLISECOND);
}

#[test]
fn while_clients_wait_recovery_has_a_fifth_of_all_calls_and_no_more() {
    let (mut shell, found) = recovering(2000);
    // Nobody waits yet.
    let free = shell.left.len();
    assert_eq!(free, 2 * UNDER_WAY);
    shell.submit(submission(&two_phase()));
    for _ in 0..100 {
        for _ in 0..shell.calls.len() {
            // There is always one that waits.
            while shell.waiting.len() < 8 {
                shell.submit(submission(&two_phase()));
            }
            shell.answer_at(0, done());
        }
        shell.sync();
        shell.pass(MILLISECOND);
    }
    let left = &shell.left[free..];
    let recovery = left.iter().filter(|(_, call)| found.contains(&call.transaction)).count();
    let share = recovery as f64 / left.len() as f64;
    assert!((0.19..=0.2).contains(&share), "{recovery} of {} calls", left.len());
    // Then nobody waits any more, and it takes everything.
    let mut turns = 0;
    while shell.owner.open_len() > 0 {
        turn(&mut shell);
        turns += 1;
    }
    assert!(turns < 2000 / UNDER_WAY + 4, "{turns} turns");
    assert_eq!(shell.owner.tally().recovering, 0);
}

#[test]
fn clients_that_wait_for_a_silent_service_hold_up_nobody_elses_recovery() {
    let (mut shell, found) = recovering(500);
    let plan = Plan { branches: plan(Mode::TwoPhase, 3).branches.split_off(2), ..two_phase() };
    let plan = Plan { deadline_ms: 3_600_000, answer_timeout_ms: 3_600_000, ..plan };
    let waiter = shell.begin(submission(&plan));
    for _ in 0..20 {
        for at in (0..shell.calls.len()).rev() {
            if found.contains(&shell.calls[at].transaction) {
                shell.answer_at(at, done());
            }
        }
        shell.pass(150 * MILLISECOND);
    }
    assert!(shell.is_waiting(waiter));
    assert_eq!((shell.owner.tally().recovering, shell.owner.open_len()), (0, 1));
}

#[test]
fn a_service_that_is_silent_holds_up_its_own_recovery_alone() {
    let mut shell = Shell::with(Config { open_limit: 10_000, ..config() });
    let plans =
        [Plan { branches: plan(Mode::TwoPhase, 3).branches.split_off(2), ..two_phase() }, two_phase()];
    let mut silent = 0;
    for at in 0..200 {
        shell.submit(submission(&plans[at % 2]));
        silent += usize::from(at % 2 == 0);
    }
    shell.sync();
    shell.answer_all(&done());
    shell.sync();
    let mut shell = shell.crash(0);
    while let Some(at) = shell.calls.iter().position(|call| &*call.service != "bank-c") {
        shell.answer_at(at, done());
    }
    assert_eq!((shell.owner.open_len(), shell.calls.len()), (silent, UNDER_WAY));
    shell.answer_all(&silence());
    assert_eq!(shell.calls.len(), silent - UNDER_WAY);
}

#[test]
fn what_a_client_has_begun_is_no_recovery_even_when_it_has_its_answer() {
    let (mut shell, _) = recovering(500);
    let first = shell.calls.len();
    let plan = Plan { answer_at: AnswerAt::Verdict, ..two_phase() };
    let waiter = shell.begin(submission(&plan));
    let other = shell.begin(submission(&two_phase()));
    let id = shell.id();
    let told = shell.told_id(waiter);
    assert!(told.is_none() && shell.is_waiting(other));
    // Its votes, which are the last but two that left.
    for _ in 0..2 {
        shell.answer_at(first, done());
    }
    shell.sync();
    let begun = shell.told_id(waiter).unwrap();
    assert_ne!(begun, id);
    let commits = shell.calls.iter().filter(|call| call.transaction == begun).count();
    assert_eq!(commits, 2);
}

#[test]
fn a_repetition_waits_for_its_turn_once_its_client_is_gone() {
    let mut shell = Shell::with(Config { open_limit: 10_000, ..config() });
    let plan = Plan { answer_at: AnswerAt::Verdict, ..plan(Mode::TwoPhase, 1) };
    let gone = shell.begin(submission(&plan));
    shell.answer_all(&done());
    shell.sync();
    assert!(!shell.is_waiting(gone));
    let before = shell.owner.tally().unwaited;
    shell.answer_all(&silence());
    shell.pass(SECOND);
    assert_eq!((before, shell.owner.tally().unwaited), (0, 1));
}
