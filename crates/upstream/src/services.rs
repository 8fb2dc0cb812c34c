//! All services as configured: shared by the workers, and never changed.

use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::affinity::Lot;
use crate::standing::Standing;
use crate::stats::Meter;
use crate::{
    Balance, CircuitConfig, CircuitState, Config, Credential, EndpointState, HealthConfig, Invalid, Protocol,
    ServiceConfig, Stats,
};

/// All services as configured. A new configuration makes new ones.
#[derive(Debug)]
pub struct Services {
    ids: BTreeMap<Arc<str>, ServiceId>,
    /// Those of the configuration in the order of their names, then those that are retired: so that an id stays what it
    /// is while retired ones go.
    services: Box<[Service]>,
}

/// A service, among those of one [`Services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u32);

#[derive(Debug)]
pub(crate) struct Service {
    name: Arc<str>,
    pub(crate) endpoints: Box<[Endpoint]>,
    is_retired: bool,
    credential: Credential,
    pub(crate) balance: Balance,
    pub(crate) affinity: bool,
    pub(crate) health: Option<HealthConfig>,
    pub(crate) limits: Limits,
}

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `host:port`
    pub(crate) address: Arc<str>,
    /// The same as the value of a `Host` header.
    pub(crate) host: HeaderValue,
    pub(crate) lot: Lot,
    /// The same for as long as the service keeps this endpoint, whatever else is configured anew.
    pub(crate) meter: Arc<Meter>,
    /// The same.
    pub(crate) standing: Arc<Standing>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) protocol: Protocol,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) idle_connections: usize,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) circuit: Option<CircuitConfig>,
    /// Whether what checks have found counts.
    pub(crate) is_checked: bool,
}

impl Services {
    /// Checks the configuration, and takes it; the error names all that is wrong.
    pub fn new(config: Config) -> Result<Self, Vec<Invalid>> {
        Self::succeeding(None, config, Config::default())
    }

    /// The same for services that follow on others: an endpoint that a service keeps goes on being counted where it
    /// stood. `retired` are services that the configuration no longer has, and that something begun still needs; one
    /// that it has is not among them, whatever `retired` says.
    pub fn succeeding(
        before: Option<&Services>,
        config: Config,
        mut retired: Config,
    ) -> Result<Self, Vec<Invalid>> {
        config.validate()?;
        retired.services.retain(|name, _| !config.services.contains_key(name));
        retired.validate()?;
        let retired = retired.services.into_iter().map(|(name, service)| (name, service, true));
        let all = config.services.into_iter().map(|(name, service)| (name, service, false)).chain(retired);
        let services = all.map(|(name, service, is_retired)| Service::new(name, service, is_retired, before));
        let services = services.collect::<Result<Box<[_]>, _>>().map_err(|invalid| vec![invalid])?;
        let ids =
            (0..).map(ServiceId).zip(&services).map(|(id, service)| (service.name.clone(), id)).collect();
        Ok(Self { ids, services })
    }

    fn endpoint(&self, service: &str, address: &str) -> Option<&Endpoint> {
        let endpoints = &self.service(self.id(service)?).endpoints;
        endpoints.iter().find(|endpoint| *endpoint.address == *address)
    }

    /// The service with this name.
    pub fn id(&self, name: &str) -> Option<ServiceId> {
        self.ids.get(name).copied()
    }

    /// The service's name. The id must be one of ours, here and below.
    pub fn name(&self, id: ServiceId) -> &str {
        &self.service(id).name
    }

    /// What to show the service when nobody else's credential may be shown.
    pub fn credential(&self, id: ServiceId) -> &Credential {
        &self.service(id).credential
    }

    /// Whether the configuration no longer has it.
    pub fn is_retired(&self, id: ServiceId) -> bool {
        self.service(id).is_retired
    }

    /// What all workers have counted for the service. It takes locks that no request takes.
    pub fn stats(&self, id: ServiceId) -> Stats {
        let service = self.service(id);
        service.endpoints.iter().map(|endpoint| service.stats(endpoint)).fold(Stats::default(), Stats::add)
    }

    /// The same for each endpoint: the service's name, the endpoint as configured, and what was counted.
    pub fn endpoint_stats(&self) -> impl Iterator<Item = (&str, &str, Stats)> {
        self.services.iter().flat_map(|service| {
            let endpoints = service.endpoints.iter();
            endpoints.map(|endpoint| (&*service.name, &*endpoint.address, service.stats(endpoint)))
        })
    }

    /// What is known of each endpoint: the service's name, the endpoint as configured, and its state.
    pub fn endpoint_states(&self) -> impl Iterator<Item = (&str, &str, EndpointState)> {
        self.services.iter().flat_map(|service| {
            let state = |endpoint: &Endpoint| EndpointState {
                circuit: service.limits.circuit.map(|_| endpoint.standing.state()).unwrap_or_default(),
                is_healthy: service.limits.is_checked.then(|| !endpoint.standing.is_ill()),
            };
            let endpoints = service.endpoints.iter();
            endpoints.map(move |endpoint| (&*service.name, &*endpoint.address, state(endpoint)))
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.services.iter()
    }

    fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }
}

impl Endpoint {
    fn new(address: Arc<str>, host: HeaderValue) -> Self {
        let (meter, standing) = (Arc::default(), Arc::default());
        Self { lot: Lot::new(&address), address, host, meter, standing }
    }
}

impl ServiceId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Service {
    fn new(
        name: String,
        config: ServiceConfig,
        is_retired: bool,
        before: Option<&Services>,
    ) -> Result<Self, Invalid> {
        let known = |address: &str| before?.endpoint(&name, address).cloned();
        let endpoint = |address: String| match (known(&address), HeaderValue::try_from(&address)) {
            (Some(endpoint), _) => Ok(endpoint),
            (None, Ok(host)) => Ok(Endpoint::new(address.into(), host)),
            (None, Err(error)) => {
                Err(Invalid { service: name.clone(), message: format!("`{address}`: {error}") })
            }
        };
        let endpoints = config.endpoints.into_iter().map(endpoint).collect::<Result<_, _>>()?;
        let limits = Limits {
            protocol: config.protocol,
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            idle_connections: config.idle_connections,
            connections: config.connections,
            streams: config.streams,
            circuit: config.circuit,
            is_checked: config.health.is_some(),
        };
        let ServiceConfig { credential, balance, affinity, health, .. } = config;
        Ok(Self { name: name.into(), endpoints, is_retired, credential, balance, affinity, health, limits })
    }

    /// What is known of a circuit or of checks says nothing while the service has none.
    fn stats(&self, endpoint: &Endpoint) -> Stats {
        let standing = &endpoint.standing;
        let is_open = self.limits.circuit.is_some() && standing.state() != CircuitState::Closed;
        Stats {
            circuit_openings: standing.openings(),
            open_circuits: is_open.into(),
            failed_checks: standing.failed_checks(),
            ill: (self.limits.is_checked && standing.is_ill()).into(),
            ..endpoint.meter.read()
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
