//! The process as operators see it: its signals, and what the admin pages ask of it.

use crate::failure::Failure;
use crate::reload::{Reloading, Status};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use unanimo_control::Probe;
use unanimo_runtime::Handle;
use unanimo_upstream::{CircuitState, Services};

/// The signals that ask for something.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn new(runtime: &Runtime) -> Result<Signals, Failure> {
        let _entered = runtime.enter();
        let listen = |kind| signal(kind).map_err(Failure::thread);
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one that asks for an orderly end. Whoever asks for another reading of the configuration gets it.
    pub async fn end(&mut self, reloading: &Reloading) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => reloading.ask(),
            }
        }
    }
}

/// What the admin pages ask of the process.
#[derive(Clone)]
pub struct Process {
    /// The transactions.
    pub handle: Handle,
    /// Every metric.
    pub registry: Arc<Registry>,
    /// The counts of transactions.
    pub counts: unanimo_runtime::metrics::Metrics,
    /// The configuration.
    pub status: Status,
    /// The services in force now.
    pub services: watch::Receiver<Arc<Services>>,
}

impl Probe for Process {
    fn ready(&self) -> Result<(), String> {
        match self.handle.journal().poison() {
            Some(poison) => Err(poison.to_string()),
            None => Ok(()),
        }
    }

    fn configuration(&self) -> Value {
        self.status.to_json()
    }

    fn outline(&self) -> Value {
        json!(self.status.outline())
    }

    async fn metrics(&self) -> String {
        self.counts.refresh(&self.handle).await;
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n# EOF\n"),
        }
    }

    fn services(&self) -> Value {
        shown(&self.services.borrow())
    }
}

/// The services with their endpoints, as the admin pages show them.
fn shown(services: &Services) -> Value {
    let mut shown: Vec<Value> = Vec::new();
    for (name, endpoint, state) in services.endpoint_states() {
        let circuit = match state.circuit {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::HalfOpen => "half-open",
        };
        let endpoint = json!({ "address": endpoint, "circuit": circuit, "healthy": state.is_healthy });
        match shown.last_mut().filter(|service| service["name"] == name) {
            Some(service) => {
                service["endpoints"].as_array_mut().into_iter().for_each(|it| it.push(endpoint.clone()))
            }
            None => shown.push(json!({ "name": name, "endpoints": [endpoint] })),
        }
    }
    shown.into()
}
