//! When a sync may happen.

use crate::batcher::Due;
use std::time::Duration;
use unanimo_protocol::Time;

/// From so many forced records on, syncs keep their distance: below it nobody would share the wait.
pub(crate) const CROWD: u64 = 8;

/// How long lazy records may wait for company.
pub(crate) const LAZY_WAIT: Duration = Duration::from_millis(100);

/// How long after the last batch with records an empty one carries the watermark on.
pub(crate) const IDLE: Duration = Duration::from_millis(50);

/// What has come since the last batch was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) forced: u64,
    pub(crate) lazy: u64,
}

/// What the next sync's time depends on.
#[derive(Debug)]
pub(crate) struct Pacing {
    interval: Duration,
    /// When the last batch was taken.
    last: Option<Time>,
    /// Since when lazy records wait.
    lazy_since: Option<Time>,
    /// Whether the last batch had records that no later batch calls durable.
    uncovered: bool,
}

impl Pacing {
    pub(crate) fn new(interval: Duration) -> Pacing {
        Pacing { interval, last: None, lazy_since: None, uncovered: false }
    }

    /// When the next batch is due.
    pub(crate) fn due(&mut self, waiting: Waiting, now: Time) -> Due {
        if waiting.lazy > 0 && self.lazy_since.is_none() {
            self.lazy_since = Some(now);
        }
        let forced = match (waiting.forced, self.last) {
            (0, _) => None,
            (CROWD.., Some(last)) => Some(last + self.interval),
            _ => return Due::Now,
        };
        let lazy = self.lazy_since.map(|since| since + LAZY_WAIT);
        let idle = self.last.filter(|_| self.uncovered).map(|last| last + IDLE);
        match [forced, lazy, idle].into_iter().flatten().min() {
            Some(at) if at > now => Due::At(at),
            Some(_) => Due::Now,
            None => Due::Never,
        }
    }

    /// A batch was taken, with records or without.
    pub(crate) fn taken(&mut self, now: Time, records: bool) {
        self.last = Some(now);
        self.lazy_since = None;
        self.uncovered = records;
    }
}
