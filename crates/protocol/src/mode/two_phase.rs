//! Two-phase commit with presumed abort: a missing verdict means rollback.
//!
//! `Begun` is written before anything is sent, so that whoever was asked is told; where every participant asks by
//! itself, it is only written with a commit.
//!
//! ```text
//!  initial ──Begun──▶ preparing ──all done or read-only──▶ committing ──all told──▶ committed
//!                        │  └────all read-only, nobody to tell────────────────────▶ committed
//!                        │
//!                        └──refused, deadline, crash──▶ undoing ──all told──▶ rolled-back
//!                                                 └──nobody to tell────────▶ rolled-back
//! ```
//!
//! A branch that votes read-only is told nothing; one that refused its only attempt neither. Cost with N branches,
//! R of them read-only, in W waves: 2N−R calls and W+1 forced records to commit; where everybody asks one, or none if
//! all only read.

use crate::Outcome;

/// What the answer to a prepare says: every outcome is a vote of its own.
pub(crate) fn vote(outcome: Outcome) -> Outcome {
    outcome
}
