//! The one place where this crate reads clocks.

use std::time::Duration;
use unanimo_coordinator::Now;
use unanimo_protocol::Time;

/// A clock that counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: tokio::time::Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub(crate) fn new() -> Clock {
        Clock { start: tokio::time::Instant::now() }
    }

    /// The moment, on both clocks.
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    pub(crate) fn now(&self) -> Now {
        let time = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Now { time: Time(time), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }

    /// When a moment will be, for a timer.
    pub(crate) fn instant(&self, time: Time) -> tokio::time::Instant {
        self.start + Duration::from_micros(time.0)
    }
}
