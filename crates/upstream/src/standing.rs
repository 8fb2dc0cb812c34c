//! How an endpoint stands with us: what all workers together have found out about it.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::circuit::{Circuit, Pass};
use crate::health::Health;
use crate::pool::Pool;
use crate::{CircuitConfig, CircuitState, HealthConfig, clock};

/// What all workers know of one endpoint. While it is sound, a request meets one plain load here, and no lock.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    circuit: Mutex<Circuit>,
    /// Whether the circuit is anything but closed without a failure. Written under the lock.
    is_suspect: AtomicBool,
    openings: AtomicU64,
    health: Mutex<Health>,
    /// What the health says. Written under the lock.
    is_ill: AtomicBool,
    failed_checks: AtomicU64,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointState {
    /// Its circuit; always closed where the service has none.
    pub circuit: CircuitState,
    /// What checks have found, where the service has any.
    pub is_healthy: Option<bool>,
}

impl Standing {
    /// Whether a request may pass, and as what.
    pub(crate) fn ask(&self, now: Instant, config: &CircuitConfig, is_last: bool) -> Option<Pass> {
        if self.is_sound() {
            Some(Pass::Free)
        } else {
            self.change(|circuit| circuit.ask(now, config, is_last))
        }
    }

    /// Whether a request would not pass.
    pub(crate) fn withholds(&self, now: Instant, config: &CircuitConfig) -> bool {
        !self.is_sound() && self.circuit().withholds(now, config)
    }

    pub(crate) fn state(&self) -> CircuitState {
        if self.is_sound() { CircuitState::Closed } else { self.circuit().state() }
    }

    /// One more check has said whether the endpoint is well.
    pub(crate) fn checked(&self, is_well: bool, config: &HealthConfig) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.checked(is_well, config);
        self.is_ill.store(health.is_ill(), Relaxed);
        if !is_well {
            self.failed_checks.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn is_ill(&self) -> bool {
        self.is_ill.load(Relaxed)
    }

    /// How many checks have failed.
    pub(crate) fn failed_checks(&self) -> u64 {
        self.failed_checks.load(Relaxed)
    }

    /// How often the circuit has opened.
    pub(crate) fn openings(&self) -> u64 {
        self.openings.load(Relaxed)
    }

    pub(crate) fn succeeded(&self, pass: Pass) {
        if !self.is_sound() {
            self.change(|circuit| circuit.succeeded(pass));
        }
    }

    pub(crate) fn failed(&self, pass: Pass, config: &CircuitConfig) {
        let chance = fastrand::f64();
        if self.change(|circuit| circuit.failed(pass, clock::now(), config, chance)) {
            self.openings.fetch_add(1, Relaxed);
        }
    }

    fn abandoned(&self, pass: Pass) {
        if pass != Pass::Free {
            self.change(|circuit| circuit.abandoned(pass, clock::now()));
        }
    }

    fn is_sound(&self) -> bool {
        !self.is_suspect.load(Relaxed)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Circuit) -> R) -> R {
        let mut circuit = self.circuit();
        let result = change(&mut circuit);
        self.is_suspect.store(!circuit.is_sound(), Relaxed);
        result
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way past an endpoint's circuit. Whoever drops it has nothing to say about the endpoint.
pub(crate) struct Passage {
    pool: Rc<Pool>,
    /// `None` once it was told how it went, and where the service has no circuits.
    pass: Option<Pass>,
}

impl Passage {
    pub(crate) fn new(pool: &Rc<Pool>, pass: Option<Pass>) -> Passage {
        Passage { pool: pool.clone(), pass }
    }

    pub(crate) fn succeeded(mut self) {
        if let Some(pass) = self.pass.take() {
            self.pool.standing().succeeded(pass);
        }
    }

    pub(crate) fn failed(mut self) {
        if let (Some(pass), Some(config)) = (self.pass.take(), self.pool.circuit()) {
            self.pool.standing().failed(pass, &config);
        }
    }

    /// The endpoint has answered with this status.
    pub(crate) fn answered(self, status: u16) {
        let fails = self.pool.circuit().is_some_and(|config| config.statuses.contains(status));
        if fails { self.failed() } else { self.succeeded() }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.pool.standing().abandoned(pass);
        }
    }
}
