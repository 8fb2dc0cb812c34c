//! What a worker counts, and anybody may read.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What was counted for one service since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that were to be sent.
    pub requests: u64,
    /// Connections that were made.
    pub connects: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Times that an idle connection was taken for a request.
    pub reused: u64,
}

impl Add for Stats {
    type Output = Stats;

    fn add(self, other: Stats) -> Stats {
        Stats {
            requests: self.requests + other.requests,
            connects: self.connects + other.connects,
            connect_failures: self.connect_failures + other.connect_failures,
            reused: self.reused + other.reused,
        }
    }
}

/// What one worker counts for one service.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) reused: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            requests: self.requests.0.load(Relaxed),
            connects: self.connects.0.load(Relaxed),
            connect_failures: self.connect_failures.0.load(Relaxed),
            reused: self.reused.0.load(Relaxed),
        }
    }
}

/// Many may read it, but only the worker that owns it counts: so no locked instruction is needed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Relaxed);
    }
}
