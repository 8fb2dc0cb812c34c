//! The protocols, one file each: which fact follows, and what is due.
//!
//! A closed enum, no trait: the compiler finds every case that was forgotten.
//! The whole table of each mode, every state and every event, is printed by `tests/transaction/table.rs`.

pub(crate) mod atomic;
pub(crate) mod by_hand;
pub mod tcc;
pub mod two_phase;

use crate::{BranchIndex, Mode, Outcome, Record, Render, Transaction};

/// What follows from the answer to a first operation, before the verdict or after it.
pub(crate) fn voted(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let vote = match transaction.outline().mode() {
        Mode::TwoPhase => two_phase::vote(outcome),
        Mode::Tcc => tcc::vote(outcome),
    };
    atomic::ballot(transaction, branch, vote, render)
}
