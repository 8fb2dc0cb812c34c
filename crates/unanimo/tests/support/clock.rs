//! Waiting with a bound: for a condition, never for a while.

use std::time::{Duration, Instant};

/// A moment after which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Bound(Instant);

impl Bound {
    pub fn after(patience: Duration) -> Bound {
        Bound(now() + patience)
    }

    pub fn is_over(self) -> bool {
        now() >= self.0
    }

    /// What is left of it; never nothing, so that it can be a socket's time-out.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now()).max(Duration::from_millis(1))
    }
}

/// Asks until there is an answer; panics with the last obstacle when the patience is over.
pub fn within<T>(what: &str, patience: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let bound = Bound::after(patience);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(obstacle) if bound.is_over() => panic!("not within {patience:?}: {what}: {obstacle}"),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

pub fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "it bounds the waiting of tests")]
    Instant::now()
}
