//! All services as configured: shared by the workers, and never changed.

use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;

use crate::affinity::Lot;
use crate::stats::Counters;
use crate::{Balance, Config, Credential, Invalid, ServiceConfig, Stats};

/// All services as configured. A new configuration makes new ones.
#[derive(Debug)]
pub struct Services {
    ids: BTreeMap<Arc<str>, ServiceId>,
    services: Box<[Service]>,
    /// What each worker counts, for each endpoint of each service in their order.
    counters: Mutex<Vec<Arc<[Counters]>>>,
}

/// A service, among those of one [`Services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(u32);

#[derive(Debug)]
pub(crate) struct Service {
    name: Arc<str>,
    pub(crate) endpoints: Box<[Endpoint]>,
    /// How many endpoints stand before its own.
    pub(crate) first: usize,
    credential: Credential,
    pub(crate) balance: Balance,
    pub(crate) affinity: bool,
    pub(crate) limits: Limits,
}

#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `host:port`
    pub(crate) address: Arc<str>,
    /// The same as the value of a `Host` header.
    pub(crate) host: HeaderValue,
    pub(crate) lot: Lot,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) idle_connections: usize,
    pub(crate) connections: usize,
}

impl Services {
    /// Checks the configuration, and takes it; the error names all that is wrong.
    pub fn new(config: Config) -> Result<Self, Vec<Invalid>> {
        config.validate()?;
        let mut first = 0;
        let services = config.services.into_iter().map(|(name, service)| {
            let service = Service::new(name, service, first)?;
            first += service.endpoints.len();
            Ok(service)
        });
        let services = services.collect::<Result<Box<[_]>, _>>().map_err(|invalid| vec![invalid])?;
        let ids =
            (0..).map(ServiceId).zip(&services).map(|(id, service)| (service.name.clone(), id)).collect();
        Ok(Self { ids, services, counters: Mutex::default() })
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

    /// What all workers have counted for the service. It takes a lock that no request takes.
    pub fn stats(&self, id: ServiceId) -> Stats {
        let service = self.service(id);
        let places = service.first..service.first + service.endpoints.len();
        places.map(|place| self.counted(place)).fold(Stats::default(), Stats::add)
    }

    /// The same for each endpoint: the service's name, the endpoint as configured, and what was counted.
    pub fn endpoint_stats(&self) -> impl Iterator<Item = (&str, &str, Stats)> {
        let endpoints = self.services.iter().flat_map(|service| {
            service.endpoints.iter().map(|endpoint| (&*service.name, &*endpoint.address))
        });
        endpoints.enumerate().map(|(place, (service, endpoint))| (service, endpoint, self.counted(place)))
    }

    fn counted(&self, place: usize) -> Stats {
        let workers = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        workers.iter().fold(Stats::default(), |sum, counters| sum + counters[place].read())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Service> {
        self.services.iter()
    }

    /// New counters, one for each endpoint, for one worker to count with.
    pub(crate) fn register_worker(&self) -> Arc<[Counters]> {
        let counters: Arc<[Counters]> = {
            let endpoints = self.services.iter().flat_map(|service| &service.endpoints);
            endpoints.map(|_| Counters::default()).collect()
        };
        self.counters.lock().unwrap_or_else(PoisonError::into_inner).push(counters.clone());
        counters
    }

    fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }
}

impl ServiceId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl Service {
    fn new(name: String, config: ServiceConfig, first: usize) -> Result<Self, Invalid> {
        let endpoint = |address: String| match HeaderValue::try_from(&address) {
            Ok(host) => Ok(Endpoint { lot: Lot::new(&address), address: address.into(), host }),
            Err(error) => Err(Invalid { service: name.clone(), message: format!("`{address}`: {error}") }),
        };
        let endpoints = config.endpoints.into_iter().map(endpoint).collect::<Result<_, _>>()?;
        let limits = Limits {
            connect_timeout: config.connect_timeout,
            idle_timeout: config.idle_timeout,
            idle_connections: config.idle_connections,
            connections: config.connections,
        };
        let ServiceConfig { credential, balance, affinity, .. } = config;
        Ok(Self { name: name.into(), endpoints, first, credential, balance, affinity, limits })
    }
}
