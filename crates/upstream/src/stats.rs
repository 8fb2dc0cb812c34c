//! What a worker counts, and anybody may read.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// What was counted for one endpoint or service since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that were given to a connection. One that a closed connection gave back counts once.
    pub requests: u64,
    /// Those of them whose connection broke before the whole answer was there.
    pub broken: u64,
    /// Requests that are under way now, connecting ones included.
    pub under_way: u64,
    /// Requests that found all connections in use.
    pub overloads: u64,
    /// Connections that were made.
    pub connects: u64,
    /// Connections that could not be made.
    pub connect_failures: u64,
    /// Times that a connection which was there already took a request.
    pub reused: u64,
    /// Times that a circuit opened, for the first time or after a probe that failed.
    pub circuit_openings: u64,
    /// Circuits that are not closed now.
    pub open_circuits: u64,
    /// Health checks that failed.
    pub failed_checks: u64,
    /// Endpoints that health checks have found ill.
    pub ill: u64,
}

impl Add for Stats {
    type Output = Stats;

    fn add(self, other: Stats) -> Stats {
        Stats {
            requests: self.requests + other.requests,
            broken: self.broken + other.broken,
            under_way: self.under_way + other.under_way,
            overloads: self.overloads + other.overloads,
            connects: self.connects + other.connects,
            connect_failures: self.connect_failures + other.connect_failures,
            reused: self.reused + other.reused,
            circuit_openings: self.circuit_openings + other.circuit_openings,
            open_circuits: self.open_circuits + other.open_circuits,
            failed_checks: self.failed_checks + other.failed_checks,
            ill: self.ill + other.ill,
        }
    }
}

/// What all workers count for one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Meter(Mutex<Vec<Arc<Counters>>>);

impl Meter {
    /// New counters, for one worker to count with.
    pub(crate) fn register(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    /// The sum over all workers. It takes a lock that no request takes.
    pub(crate) fn read(&self) -> Stats {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().fold(Stats::default(), |sum, counters| sum + counters.read())
    }
}

/// What one worker counts for one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) requests: Counter,
    pub(crate) broken: Counter,
    pub(crate) under_way: Counter,
    pub(crate) overloads: Counter,
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) reused: Counter,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        Stats {
            requests: self.requests.read(),
            broken: self.broken.read(),
            under_way: self.under_way.read(),
            overloads: self.overloads.read(),
            connects: self.connects.read(),
            connect_failures: self.connect_failures.read(),
            reused: self.reused.read(),
            // No worker's own: the endpoint's standing knows.
            ..Stats::default()
        }
    }
}

/// Many may read it, but only the worker that owns it counts: so no locked instruction is needed.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.0.store(self.read().wrapping_add(1), Relaxed);
    }

    /// One less: of what is under way now.
    pub(crate) fn uncount(&self) {
        self.0.store(self.read().wrapping_sub(1), Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
