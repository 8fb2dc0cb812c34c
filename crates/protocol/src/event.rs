//! What can happen to a transaction.

use crate::{BranchIndex, Operation, Outcome, Resolution};

/// One thing that happened. [`crate::Transaction::decide`] says which records follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The route's request was accepted and its calls were rendered.
    Submitted,
    /// A call that was due is about to leave.
    Sending {
        /// To which branch.
        branch: BranchIndex,
        /// Asking what.
        operation: Operation,
    },
    /// An answer came, or the wait for one ended.
    Answered {
        /// From which branch.
        branch: BranchIndex,
        /// To which operation.
        operation: Operation,
        /// To which attempt, counted from 1.
        attempt: u32,
        /// What it means.
        outcome: Outcome,
    },
    /// Its client is to be told the address where the answer will be: it must not be forgotten any more.
    Promised,
    /// What was decided is too large to be written.
    Unwritable,
    /// The deadline has come.
    DeadlinePassed,
    /// An operator ends something by hand. [`crate::Transaction::may_resolve`] says whether that is possible.
    Resolving(Resolution),
    /// Replay has ended, and nobody remembers what was sent before.
    Recovered,
}
