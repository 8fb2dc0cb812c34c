//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use unanimo_protocol::Time;

/// A moment, as the shell hands it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the monotonic clock: paces syncs.
    pub time: Time,
    /// Milliseconds since 1970 on the wall clock: written down for people, decides nothing.
    pub unix_ms: u64,
}

/// The process's clock, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    #[allow(clippy::disallowed_methods, reason = "this is clock.rs")]
    pub(crate) fn new() -> Clock {
        Clock(Instant::now())
    }

    #[allow(clippy::disallowed_methods, reason = "this is clock.rs")]
    pub(crate) fn now(self) -> Now {
        let micros = u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX);
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { time: Time(micros), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX) }
    }
}
