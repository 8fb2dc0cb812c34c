//! Which endpoints to leave alone for a while, because they could not be connected to.

use std::time::{Duration, Instant};

/// How long an endpoint is put aside after its first failure; each further failure doubles it.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// How an endpoint has fared lately.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aside {
    failures: u32,
    until: Option<Instant>,
}

impl Aside {
    pub(crate) fn is_aside(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Somebody tries to connect, which may take until `deadline`. After a failure one try at a time is enough.
    pub(crate) fn tried(&mut self, deadline: Instant) {
        if self.failures > 0 {
            self.until = Some(deadline);
        }
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        let doubled = SHORTEST.saturating_mul(1 << self.failures.min(16));
        self.until = Some(now + doubled.min(LONGEST));
        self.failures = self.failures.saturating_add(1);
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn the_time_aside_grows_and_is_bounded() {
        let start = clock::now();
        let mut aside = Aside::default();
        assert!(!aside.is_aside(start));
        for expected_ms in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            aside.failed(start);
            assert!(aside.is_aside(start + Duration::from_millis(expected_ms - 1)));
            assert!(!aside.is_aside(start + Duration::from_millis(expected_ms)));
        }
        for _ in 0..100 {
            aside.failed(start);
        }
        assert!(!aside.is_aside(start + LONGEST));
        aside.succeeded();
        assert!(!aside.is_aside(start));
    }

    #[test]
    fn one_try_keeps_the_others_away() {
        let start = clock::now();
        let mut aside = Aside::default();
        aside.tried(start + LONGEST);
        assert!(!aside.is_aside(start), "an endpoint that never failed is free to all");
        aside.failed(start);
        aside.tried(start + LONGEST);
        assert!(aside.is_aside(start + LONGEST - SHORTEST));
    }
}
