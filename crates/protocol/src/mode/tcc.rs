//! Try, confirm, cancel: the participant's own business code holds a reservation between the calls.
//!
//! ```text
//!  initial ──Begun──▶ preparing ──all tried──▶ committing ──all confirmed──▶ committed
//!                        │
//!                        └──refused, deadline, crash──▶ undoing ──all cancelled──▶ rolled-back
//!                                                 └──nobody to cancel──────────▶ rolled-back
//! ```
//!
//! Every try is confirmed or cancelled: `read-only` is no vote here, and is read as `done`. Cost with N branches:
//! 2N calls and two forced records to commit.

use crate::mode::atomic;
use crate::{BranchIndex, Operation, Outcome, Record, Render, Transaction};

/// What follows from the answer to a try.
pub(crate) fn voted(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let outcome = if outcome == Outcome::ReadOnly { Outcome::Done } else { outcome };
    atomic::ballot(transaction, branch, Operation::Try, outcome, render)
}
