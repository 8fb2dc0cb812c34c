//! Two-phase commit with presumed abort: `Begun` is always written, a missing verdict means rollback.
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
//! R of them read-only: 2N−R calls and two forced records to commit.

use crate::Outcome;

/// What the answer to a prepare says: every outcome is a vote of its own.
pub(crate) fn vote(outcome: Outcome) -> Outcome {
    outcome
}
