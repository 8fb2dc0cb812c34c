//! Try, confirm, cancel: the participant's own business code holds a reservation between the calls.
//!
//! ```text
//!  initial ──Begun──▶ preparing ──all tried──▶ committing ──all confirmed──▶ committed
//!                        │
//!                        └──refused, deadline, crash──▶ undoing ──all cancelled──▶ rolled-back
//!                                                 └──nobody to cancel──────────▶ rolled-back
//! ```
//!
//! Every try is confirmed or cancelled: `read-only` is no vote here, and is read as `done`. Cost with N branches in W
//! waves: 2N calls and W+1 forced records to commit.

use crate::Outcome;

/// What the answer to a try says: every try is confirmed or cancelled, also one that has changed nothing.
pub(crate) fn vote(outcome: Outcome) -> Outcome {
    if outcome == Outcome::ReadOnly { Outcome::Done } else { outcome }
}
