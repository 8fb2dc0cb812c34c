//! The protocols, one file each: which fact follows, and what is due.
//!
//! A closed enum, no trait: the compiler finds every case that was forgotten.
//! The whole table of each mode, every state and every event, is printed by `tests/transaction/table.rs`.

pub(crate) mod atomic;
pub(crate) mod by_hand;
pub mod saga;
pub mod tcc;
pub mod two_phase;

use crate::{
    BranchIndex, BranchSet, Cause, Mode, Operation, Outcome, Progress, Record, Render, Transaction, Verdict,
};

/// What follows from an answer.
pub(crate) fn answered(
    transaction: &Transaction,
    branch: BranchIndex,
    operation: Operation,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let vote = match transaction.outline().mode() {
        Mode::TwoPhase => two_phase::vote(outcome),
        Mode::Tcc => tcc::vote(outcome),
        Mode::Saga => return saga::answered(transaction, branch, operation, outcome, render),
    };
    match operation.tells() {
        None => atomic::ballot(transaction, branch, vote, render),
        Some(verdict) => acknowledged(transaction, branch, verdict, outcome),
    }
}

/// No verdict came in time, or none can be written: what may have been done is undone, where there is a way back.
pub(crate) fn given_up(transaction: &Transaction, cause: Cause, render: &dyn Render) -> Vec<Record> {
    match transaction.outline().mode() {
        Mode::TwoPhase | Mode::Tcc => atomic::given_up(transaction, cause, render),
        Mode::Saga => saga::given_up(transaction, cause, render),
    }
}

/// What was decided is too large to be written.
pub(crate) fn unwritable(transaction: &Transaction, render: &dyn Render) -> Vec<Record> {
    match transaction.outline().mode() {
        Mode::TwoPhase | Mode::Tcc => atomic::given_up(transaction, Cause::Unwritable, render),
        Mode::Saga => saga::unwritable(transaction, render),
    }
}

/// What an operator's choice of a rollback brings.
pub(crate) fn rolled_back_by_hand(transaction: &Transaction, render: &dyn Render) -> Vec<Record> {
    match transaction.outline().mode() {
        Mode::TwoPhase | Mode::Tcc => atomic::given_up(transaction, Cause::ByHand, render),
        Mode::Saga => saga::undo(transaction, Cause::ByHand, BranchSet::EMPTY, render).collect(),
    }
}

/// A crash came, and nobody remembers what was sent.
pub(crate) fn recovered(transaction: &Transaction, render: &dyn Render) -> Vec<Record> {
    match transaction.outline().mode() {
        Mode::TwoPhase | Mode::Tcc => atomic::given_up(transaction, Cause::Interrupted, render),
        Mode::Saga => saga::recovered(transaction, render),
    }
}

/// The answer to a call that told the verdict.
pub(crate) fn acknowledged(
    transaction: &Transaction,
    branch: BranchIndex,
    told: Verdict,
    outcome: Outcome,
) -> Vec<Record> {
    let done = matches!(outcome, Outcome::Done | Outcome::ReadOnly);
    let heard = match (told, outcome) {
        (_, Outcome::Done | Outcome::ReadOnly) if transaction.written => Record::Told { branch },
        (Verdict::Commit, Outcome::Refused) => Record::Heuristic { branch },
        _ => Record::Answered { branch, operation: transaction.outline().mode().telling(told), outcome },
    };
    let mut records = vec![heard];
    if done && others_are_over(transaction, branch) {
        records.push(end(transaction.written));
    }
    records
}

/// Whether every other branch that was to be told has acknowledged the verdict, or is signed off.
pub(crate) fn others_are_over(transaction: &Transaction, branch: BranchIndex) -> bool {
    let tell = transaction.concluded.map_or(BranchSet::EMPTY, |(_, _, tell)| tell);
    let is_over = |other: BranchIndex| {
        matches!(transaction.branches[other.at()].progress, Progress::Told | Progress::SignedOff)
    };
    tell.iter().filter(|other| *other != branch).all(is_over)
}

/// Every branch that may have work to undo: asked, and not spared.
pub(crate) fn to_undo(transaction: &Transaction) -> BranchSet {
    let may_have_work = |branch: &BranchIndex| match transaction.branches[branch.at()].progress {
        Progress::Idle | Progress::ReadOnly | Progress::Refused { spared: true } => false,
        Progress::Asked | Progress::Ready | Progress::Refused { spared: false } => true,
        Progress::Told | Progress::Heuristic | Progress::SignedOff => false,
    };
    transaction.indices().filter(may_have_work).collect()
}

/// The last record, where nobody is left to tell.
pub(crate) fn end(written: bool) -> Record {
    if written { Record::Ended } else { Record::Forgotten }
}
