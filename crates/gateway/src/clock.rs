//! The only place of this crate that reads the clock.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
