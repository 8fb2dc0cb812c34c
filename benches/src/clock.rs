//! The one file of this package that reads the clock.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}
