//! Time as the core knows it: a number that the shell hands in.

use std::ops::Add;
use std::time::Duration;

/// Microseconds on the shell's monotonic clock, counted from a start that only the shell knows.
///
/// It never leaves the process: deadlines travel to participants as remaining milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// How long it is from `earlier` to this moment; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;

    /// Saturates: a deadline beyond the end of the clock is never.
    fn add(self, duration: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}
