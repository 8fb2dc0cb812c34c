//! The only place of the demonstration that reads the clock.

use std::time::Instant;

/// The present.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits until then.
pub async fn until(then: Instant) {
    tokio::time::sleep_until(then.into()).await;
}
