//! What all workers have counted for each endpoint, as metrics with stable names.

use crate::{Services, Stats};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The collector of the endpoints of those services that are in force. Clones show the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    services: Arc<Mutex<Arc<Services>>>,
}

impl Metrics {
    /// Of these services.
    pub fn new(services: Arc<Services>) -> Metrics {
        Metrics { services: Arc::new(Mutex::new(services)) }
    }

    /// Shows these services from now on.
    pub fn follow(&self, services: Arc<Services>) {
        *self.services.lock().unwrap_or_else(PoisonError::into_inner) = services;
    }

    /// Shows the counts to whoever asks the registry.
    pub fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

/// Name, help, and which of the counts.
type Count = (&'static str, &'static str, fn(&Stats) -> u64);

const COUNTERS: [Count; 8] = [
    ("endpoint_requests", "Requests that were given to the endpoint", |stats| stats.requests),
    (
        "endpoint_requests_broken",
        "Requests whose connection broke before the whole answer was there",
        |stats| stats.broken,
    ),
    ("endpoint_overloads", "Requests that found all connections to the endpoint in use", |stats| {
        stats.overloads
    }),
    ("endpoint_connections", "Connections that were made to the endpoint", |stats| stats.connects),
    ("endpoint_connection_failures", "Connections to the endpoint that could not be made", |stats| {
        stats.connect_failures
    }),
    ("endpoint_connections_reused", "Times that an idle connection took a request", |stats| stats.reused),
    ("endpoint_circuit_openings", "Times that the endpoint's circuit opened, or opened again", |stats| {
        stats.circuit_openings
    }),
    ("endpoint_health_check_failures", "Health checks of the endpoint that failed", |stats| {
        stats.failed_checks
    }),
];

const GAUGES: [Count; 3] = [
    ("endpoint_requests_open", "Requests to the endpoint that are under way", |stats| stats.under_way),
    ("endpoint_ill", "1 while health checks have found the endpoint ill", |stats| stats.ill),
    ("endpoint_circuit_open", "1 while the endpoint's circuit is not closed", |stats| stats.open_circuits),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let services = self.services.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let endpoints: Vec<_> = services.endpoint_stats().collect();
        let labels = |service, endpoint| [("service", service), ("endpoint", endpoint)];
        for (name, help, count) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (service, endpoint, stats) in &endpoints {
                ConstCounter::new(count(stats))
                    .encode(family.encode_family(&labels(*service, *endpoint))?)?;
            }
        }
        for (name, help, count) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (service, endpoint, stats) in &endpoints {
                let now = i64::try_from(count(stats)).unwrap_or(i64::MAX);
                ConstGauge::new(now).encode(family.encode_family(&labels(*service, *endpoint))?)?;
            }
        }
        Ok(())
    }
}
