//! The only place of this crate that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};
use unanimo_protocol::Time;

/// A moment, as the shell hands it in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the monotonic clock: paces syncs.
    pub time: Time,
    /// Seconds since 1970 on the wall clock: ages segments, decides nothing else.
    pub unix_seconds: u64,
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
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Now { time: Time(micros), unix_seconds: unix }
    }
}
