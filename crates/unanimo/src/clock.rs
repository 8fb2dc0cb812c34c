//! The only place of the commands that reads the clock; the demonstration has one of its own.

use std::time::{Duration, Instant, SystemTime};

/// Milliseconds since 1970 on the wall clock.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// This moment, to be subtracted from a later one.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}
