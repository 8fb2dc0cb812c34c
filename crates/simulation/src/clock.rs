//! The only place of this crate that reads a clock: to say how fast the simulation itself was.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Seconds that cores have spent on this process so far, over all its threads: others on the machine do not count.
pub fn core_seconds() -> f64 {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9
}

/// Counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to count.
    #[expect(clippy::disallowed_methods, clippy::new_without_default, reason = "this is the clock")]
    pub fn new() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Seconds since then.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
