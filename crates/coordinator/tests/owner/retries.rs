//! How calls are repeated: pauses with full jitter, what participants ask for, and each service's budget.

use crate::fixtures::{done, plan, problem, silence, status, submission, two_phase};
use crate::shell::{MILLISECOND, SECOND, Shell, config};
use std::time::Duration;
use unanimo_contract::{BranchIndex, Id, Mode, Operation, ParticipantCall, Plan};
use unanimo_coordinator::{Config, Notice, Retry};

/// The pauses before each further attempt of one commit, to a service that never answers.
fn pauses(seed: u64, attempts: usize) -> Vec<Duration> {
    let retry = Retry { budget_per_second: 1e6, ..Retry::default() };
    let mut shell = Shell::with(Config { seed, retry, ..config() });
    shell.begin(submission(&plan(Mode::TwoPhase, 1)));
    shell.answer(0, done());
    shell.sync();
    let mut pauses = Vec::new();
    while pauses.len() < attempts {
        let before = shell.now;
        shell.answer(0, silence());
        while shell.calls.is_empty() {
            assert!(shell.pass_to_wake());
        }
        pauses.push(shell.now.since(before));
    }
    pauses
}

#[test]
fn pauses_are_jittered_over_all_of_a_bound_that_doubles_up_to_the_cap() {
    let runs: Vec<Vec<Duration>> = (0..60).map(|seed| pauses(seed, 14)).collect();
    for attempt in 0..14 {
        let bound = (50 * MILLISECOND * (1 << attempt)).min(30 * SECOND);
        let at = runs.iter().map(|pauses| pauses[attempt]);
        let (least, most) = (at.clone().min().unwrap(), at.clone().max().unwrap());
        // A budget's token may take a moment more.
        assert!(most <= bound + MILLISECOND, "{most:?} is beyond {bound:?}");
        assert!(
            least < bound / 4 && most > bound * 3 / 4,
            "{least:?} to {most:?} is no full jitter over {bound:?}"
        );
    }
}

#[test]
fn a_participant_that_says_when_is_not_asked_before() {
    for seconds in [1, 3] {
        let mut shell = Shell::new();
        shell.begin(submission(&plan(Mode::Tcc, 1)));
        let busy = status(&shell.calls[0], 503, Some(&seconds.to_string()));
        shell.answer(0, busy);
        shell.pass(seconds as u32 * SECOND - MILLISECOND);
        assert_eq!(shell.left.len(), 1);
        shell.pass(2 * MILLISECOND);
        assert_eq!(shell.left.len(), 2);
    }
}

#[test]
fn three_conflicts_with_later_attempts_refuse_and_one_with_the_first() {
    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    shell.answer(1, done());
    shell.answer(0, silence());
    for conflicts in 0..3 {
        shell.pass(SECOND);
        assert!(shell.is_waiting(waiter));
        assert_eq!((shell.calls[0].attempt, shell.calls[0].conflicts), (2 + conflicts, conflicts));
        let conflict = status(&shell.calls[0], 409, None);
        shell.answer(0, conflict);
    }
    assert_eq!(problem(&shell.told(waiter).answer), "refused");
    // The first attempt may have been carried out: nobody is spared.
    assert_eq!(shell.under_way(), [(0, Operation::Rollback), (1, Operation::Rollback)]);
    // What the first phase met says nothing about the second.
    assert!(shell.calls.iter().all(|call| call.conflicts == 0));

    let mut shell = Shell::new();
    let waiter = shell.begin(submission(&two_phase()));
    let conflict = status(&shell.calls[0], 409, None);
    shell.answer(0, conflict);
    assert_eq!(problem(&shell.told(waiter).answer), "refused");
}

#[test]
fn a_conflict_after_the_verdict_is_asked_again_for_ever() {
    let mut shell = Shell::new();
    shell.begin(submission(&plan(Mode::TwoPhase, 1)));
    shell.answer(0, done());
    shell.sync();
    shell.answer(0, silence());
    for attempt in 2..12 {
        while shell.calls.is_empty() {
            assert!(shell.pass_to_wake());
        }
        assert_eq!((shell.calls[0].operation, shell.calls[0].attempt), (Operation::Commit, attempt));
        let conflict = status(&shell.calls[0], 409, None);
        shell.answer(0, conflict);
    }
}

/// So many transactions at one service, each with its first call answered by silence at the same moment.
fn silent(transactions: usize, retry: Retry) -> Shell {
    let mut shell = Shell::with(Config { retry, ..config() });
    let plan = Plan { deadline_ms: 3_600_000, answer_timeout_ms: 3_600_000, ..plan(Mode::TwoPhase, 1) };
    for _ in 0..transactions {
        shell.submit(submission(&plan));
    }
    shell.sync();
    assert_eq!(shell.calls.len(), transactions);
    shell.answer_all(&silence());
    shell
}

fn quick() -> Retry {
    Retry { initial: MILLISECOND, cap: MILLISECOND, ..Retry::default() }
}

fn retries(shell: &Shell) -> Vec<Id> {
    shell.left.iter().filter(|(_, call)| call.attempt > 1).map(|(_, call)| call.transaction).collect()
}

#[test]
fn retries_beyond_the_budget_wait_and_are_served_in_order_as_time_brings_tokens() {
    let mut shell = silent(40, quick());
    shell.pass(5 * MILLISECOND);
    // A second's worth of tokens was saved up.
    assert_eq!(retries(&shell).len(), 10);
    assert_eq!(shell.owner.tally().retries_held, 30);
    for tokens in 1..=30 {
        shell.pass(100 * MILLISECOND);
        assert_eq!(retries(&shell).len(), 10 + tokens);
    }
    // Nobody twice before everybody once: those that wait keep their place.
    let mut served = retries(&shell);
    served.sort();
    served.dedup();
    assert_eq!(served.len(), 40);
}

#[test]
fn who_comes_late_does_not_overtake_who_waits_for_a_token() {
    let mut shell = silent(20, quick());
    shell.pass(5 * MILLISECOND);
    assert_eq!(retries(&shell).len(), 10);
    // Those that were served want to leave again when the next token comes, and the owner is woken late.
    for served in 11..=20 {
        shell.answer_all(&silence());
        shell.now = shell.now + 101 * MILLISECOND;
        shell.tick();
        assert_eq!(retries(&shell).len(), served);
    }
    let mut served = retries(&shell);
    served.sort();
    served.dedup();
    assert_eq!(served.len(), 20, "some were served twice while others waited");
}

#[test]
fn a_retry_that_succeeds_gives_its_token_back_so_that_what_was_missed_is_told_at_once() {
    let mut shell = silent(40, quick());
    shell.pass(5 * MILLISECOND);
    while shell.calls.iter().any(|call| call.operation == Operation::Prepare) {
        let at = shell.calls.iter().position(|call| call.operation == Operation::Prepare).unwrap();
        shell.answer_at(at, done());
    }
    assert_eq!(retries(&shell).len(), 40);
}

#[test]
fn a_first_telling_needs_no_token_and_no_pause() {
    let mut shell = silent(30, quick());
    shell.pass(5 * MILLISECOND);
    assert_eq!(shell.calls.len(), 10);
    // Nothing is left of the budget, and twenty wait for it.
    shell.pass(3_600 * SECOND);
    let undone: Vec<&ParticipantCall> =
        shell.calls.iter().filter(|call| call.operation == Operation::Rollback).collect();
    assert_eq!(undone.len(), 30);
    assert!(undone.iter().all(|call| call.attempt == 1));
}

#[test]
fn one_service_s_budget_is_no_other_service_s() {
    let mut shell = silent(20, quick());
    shell.pass(5 * MILLISECOND);
    let mut other = plan(Mode::TwoPhase, 1);
    other.branches[0].service = "elsewhere".into();
    shell.calls.clear();
    shell.begin(submission(&other));
    shell.answer(0, silence());
    shell.pass(2 * MILLISECOND);
    assert_eq!((shell.calls.len(), shell.calls[0].attempt), (1, 2));
}

#[test]
fn after_a_replay_a_first_call_takes_no_token_and_brings_none_back() {
    let retry = Retry { budget_ratio: 0.0, ..quick() };
    let mut shell = silent(30, retry);
    shell.calls.clear();
    let mut shell = shell.crash(0);
    assert_eq!(shell.calls.len(), 30);
    // Half of the undos are heard, half are not; only the saved second of tokens pays for their retries.
    for _ in 0..15 {
        shell.answer_at(0, silence());
    }
    shell.pass(2 * MILLISECOND);
    assert_eq!(shell.calls.iter().filter(|call| call.attempt > 2).count(), 10);
    while let Some(at) = shell.calls.iter().position(|call| call.attempt == 2) {
        shell.answer_at(at, done());
    }
    assert_eq!(shell.calls.iter().filter(|call| call.attempt > 2).count(), 10);
}

#[test]
fn a_verdict_that_stays_untold_is_stuck_named_once_and_still_told() {
    let mut shell = Shell::new();
    shell.begin(submission(&plan(Mode::TwoPhase, 3)));
    // The first only read: nobody waits for it.
    shell.answer(0, crate::fixtures::read_only());
    shell.answer(1, done());
    shell.answer(2, done());
    shell.sync();
    shell.answer(1, done());
    shell.pass(59 * SECOND);
    assert_eq!((shell.notices.len(), shell.owner.tally().stuck), (0, 0));
    shell.pass(SECOND);
    assert_eq!(shell.notices, [Notice::Stuck { branch: "c".into() }]);
    assert_eq!(shell.owner.tally().stuck, 1);
    shell.answer(2, silence());
    shell.pass(200 * SECOND);
    assert_eq!(shell.notices.len(), 1);
    assert_eq!(shell.calls[0].attempt, 2);
    shell.answer(2, done());
    assert_eq!((shell.owner.open_len(), shell.owner.tally().stuck), (0, 0));
}

#[test]
fn a_no_where_none_is_allowed_is_stuck_at_once_and_names_who_said_it() {
    for (mode, vote) in [(Mode::TwoPhase, true), (Mode::Tcc, true), (Mode::Tcc, false)] {
        let mut shell = Shell::new();
        shell.begin(submission(&plan(mode, 2)));
        if vote {
            shell.answer_all(&done());
            shell.sync();
        } else {
            shell.pass(5 * SECOND);
            shell.calls.retain(|call| call.operation.tells().is_some());
        }
        let no = status(&shell.calls[1], 404, None);
        shell.answer(1, no);
        assert_eq!(shell.notices, [Notice::Stuck { branch: "b".into() }]);
        shell.pass(SECOND);
        let again = shell.calls.iter().find(|call| call.branch == BranchIndex(1)).unwrap();
        assert_eq!(again.attempt, 2);
    }
}

#[test]
fn a_client_s_credentials_travel_on_first_operations_alone() {
    let mut shell = Shell::new();
    shell.begin(submission(&plan(Mode::Tcc, 1)));
    shell.answer(0, silence());
    shell.pass(SECOND);
    shell.answer(0, done());
    shell.sync();
    let travelled: Vec<_> =
        shell.left.iter().map(|(_, call)| (call.operation, call.credentials.len())).collect();
    assert_eq!(travelled, [(Operation::Try, 1), (Operation::Try, 1), (Operation::Confirm, 0)]);
    let remaining: Vec<_> = shell.left.iter().map(|(_, call)| call.remaining.is_some()).collect();
    assert_eq!(remaining, [true, true, false]);
}
