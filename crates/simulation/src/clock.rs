//! The only place of this crate that reads a clock: to say how fast the simulation itself was.

use std::time::Instant;

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
