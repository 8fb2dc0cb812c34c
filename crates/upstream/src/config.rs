//! What an operator says about services, checked before anything uses it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::time::Duration;

use crate::{CircuitConfig, Credential, HealthConfig};

/// The most requests that may share a connection: each has its share of what is received ahead.
const MAX_STREAMS: usize = 1000;

/// All services by name.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The services.
    pub services: BTreeMap<String, ServiceConfig>,
}

/// One service.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// Its addresses, each `host:port`. A host that is a name is resolved whenever a connection is made.
    pub endpoints: Vec<String>,
    /// How it knows us.
    pub credential: Credential,
    /// What its endpoints speak.
    pub protocol: Protocol,
    /// Which endpoint takes a request that may go to any.
    pub balance: Balance,
    /// Whether requests with the same [`crate::Affinity`] all go to one endpoint, and to no other while it is down.
    pub affinity: bool,
    /// When an endpoint that fails is left alone; never where `None`.
    pub circuit: Option<CircuitConfig>,
    /// How endpoints are asked whether they are well; never where `None`.
    pub health: Option<HealthConfig>,
    /// How long one endpoint may take to be resolved and to accept a connection. It should be well below what
    /// a caller waits for an answer, or there is no time left for another endpoint.
    pub connect_timeout: Duration,
    /// A connection that was idle for this long is not used again.
    pub idle_timeout: Duration,
    /// How many idle connections each worker keeps for each endpoint.
    pub idle_connections: usize,
    /// How many connections each worker opens to each endpoint. What needs one more is refused at once.
    pub connections: usize,
    /// How many requests share a connection at a time, where the protocol lets them.
    pub streams: usize,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            credential: Credential::Anonymous,
            protocol: Protocol::default(),
            balance: Balance::default(),
            affinity: false,
            circuit: None,
            health: None,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(60),
            idle_connections: 512,
            connections: 1024,
            streams: 100,
        }
    }
}

/// What the endpoints of a service speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1: each request has a connection to itself.
    #[default]
    Http1,
    /// HTTP/2 without TLS and without asking first: requests share connections.
    H2c,
}

/// How requests are spread over the endpoints of a service. Each worker sees only what it has sent itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each has its turn.
    #[default]
    RoundRobin,
    /// Of two that are drawn by chance, the one with fewer requests under way.
    LeastRequest,
}

/// Statuses of answers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The lowest.
    pub from: u16,
    /// The highest.
    pub to: u16,
}

impl Statuses {
    /// Whether this is one of them.
    pub fn contains(&self, status: u16) -> bool {
        (self.from..=self.to).contains(&status)
    }
}

/// What is wrong with a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Which service.
    pub service: String,
    /// What is wrong with it.
    pub message: String,
}

impl Display for Invalid {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "service `{}`: {}", self.service, self.message)
    }
}

impl Error for Invalid {}

impl Config {
    /// Checks every service; the error names all that is wrong.
    pub fn validate(&self) -> Result<(), Vec<Invalid>> {
        let mut found = Vec::new();
        for (name, service) in &self.services {
            service.check(&mut |message| found.push(Invalid { service: name.clone(), message }));
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

impl ServiceConfig {
    fn check(&self, wrong: &mut dyn FnMut(String)) {
        if self.endpoints.is_empty() {
            wrong("it has no endpoints".to_owned());
        }
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            if !is_host_and_port(endpoint) {
                wrong(format!(
                    "`{endpoint}` is not an endpoint: write `host:port`, such as `bank.internal:8080`"
                ));
            }
            if self.endpoints[..index].contains(endpoint) {
                wrong(format!("the endpoint `{endpoint}` stands there twice"));
            }
        }
        if self.connect_timeout.is_zero() {
            wrong("`connect_timeout` must be longer than nothing".to_owned());
        }
        if let Some(circuit) = &self.circuit {
            if circuit.failures == 0 || circuit.open.is_zero() {
                wrong("`circuit`: `failures` must be at least 1, and `open` longer than nothing".to_owned());
            }
            if circuit.cap < circuit.open {
                wrong("`circuit`: `cap` must be no shorter than `open`".to_owned());
            }
        }
        if let Some(health) = &self.health {
            let is_path = health.path.starts_with('/') && http::Uri::try_from(&*health.path).is_ok();
            if !is_path || health.path.contains('#') {
                wrong(format!("`health`: `{}` is not a path, such as `/healthz`", health.path));
            }
            if health.healthy == 0 || health.unhealthy == 0 {
                wrong("`health`: `healthy` and `unhealthy` must be at least 1".to_owned());
            }
            if health.interval.is_zero() || health.timeout.is_zero() {
                wrong("`health`: `interval` and `timeout` must be longer than nothing".to_owned());
            }
        }
        if self.connections == 0 {
            wrong("`connections` must be at least 1".to_owned());
        }
        if !(1..=MAX_STREAMS).contains(&self.streams) {
            wrong(format!("`streams` must be 1 to {MAX_STREAMS}"));
        }
    }
}

/// Whether `endpoint` is a name, an IPv4 address, or an IPv6 address in brackets, and a port other than 0.
fn is_host_and_port(endpoint: &str) -> bool {
    if let Ok(address) = endpoint.parse::<SocketAddr>() {
        return address.port() != 0;
    }
    let Some((host, port)) = endpoint.rsplit_once(':') else { return false };
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let decimal = port.bytes().all(|byte| byte.is_ascii_digit());
    !host.is_empty()
        && host.len() <= 255
        && host.bytes().all(in_name)
        && decimal
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_a_host_and_a_port() {
        for good in ["127.0.0.1:80", "[::1]:8080", "bank.internal:65535", "bank_a-1:1"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "bank",
            "bank:",
            "bank:0",
            "bank:65536",
            "bank:+80",
            "http://bank:80",
            "::1:80:",
            "[::1]",
            "127.0.0.1:0",
            "a b:80",
            "bank:80/",
            "user@bank:80",
            "b\u{e4}nk:80",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }

    #[test]
    fn everything_wrong_is_said_with_its_service() {
        let sick = ServiceConfig {
            endpoints: vec!["a:1".into(), "b".into(), "a:1".into()],
            connections: 0,
            connect_timeout: Duration::ZERO,
            ..ServiceConfig::default()
        };
        let sound = ServiceConfig { endpoints: vec!["a:1".into()], ..ServiceConfig::default() };
        let services = [("sick", sick), ("sound", sound), ("void", ServiceConfig::default())];
        let config = Config { services: services.map(|(name, service)| (name.to_owned(), service)).into() };
        let said: Vec<_> = config.validate().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "service `sick`: `b` is not an endpoint: write `host:port`, such as `bank.internal:8080`",
                "service `sick`: the endpoint `a:1` stands there twice",
                "service `sick`: `connect_timeout` must be longer than nothing",
                "service `sick`: `connections` must be at least 1",
                "service `void`: it has no endpoints",
            ]
        );
    }
}
