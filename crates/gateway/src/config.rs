//! What the gateway is told to do. Plain values: the binary reads them from its file.

use crate::RetryConfig;
use http::{HeaderName, Method};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::Plan;
use unanimo_contract::budget::Allowance;

/// The data plane's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where requests come in.
    pub listeners: Vec<ListenerConfig>,
    /// What is done with them. The most specific match wins; where two are as specific, the one that is listed first.
    pub routes: Vec<RouteConfig>,
    /// The bounds of every input.
    pub limits: Limits,
}

/// One address that takes requests.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Its name, for logs and metrics.
    pub name: String,
    /// Its address. Off loopback only where the configuration says so.
    pub address: SocketAddr,
}

/// A rule: which requests, and what is done with them.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// The route's name, unique.
    pub name: String,
    /// Which requests.
    pub matching: Match,
    /// What is done with them.
    pub action: Action,
}

/// Which requests a route takes.
#[derive(Clone, Debug)]
pub struct Match {
    /// The host (lower case, without port); any where `None`. `*.example.org` takes every host below it.
    pub host: Option<String>,
    /// The path.
    pub path: PathMatch,
    /// The methods; any where empty.
    pub methods: Vec<Method>,
    /// What headers must say, each name once. Of several lines one that fits is enough.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// What parameters of the query must say, percent-decoded, each name once. Of several values one that fits is
    /// enough.
    pub query: Vec<(String, ValueMatch)>,
}

/// How a value is compared, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// It is this.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// There is one.
    Present,
    /// There is none.
    Absent,
}

/// How a path is compared, after normalisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Segment by segment; `{name}` takes one segment that is not empty. Literals may be percent-encoded.
    Exact(String),
    /// The path itself and everything below it. A slash at its end says nothing.
    Prefix(String),
}

impl Config {
    /// The plans of all transactional routes.
    pub fn plans(&self) -> impl Iterator<Item = &Arc<Plan>> {
        self.routes.iter().filter_map(|route| match &route.action {
            Action::Proxy(_) => None,
            Action::Transaction(transaction) => Some(&transaction.plan),
        })
    }
}

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes to one service, and its answer comes back.
    Proxy(ProxyConfig),
    /// It becomes a transaction.
    Transaction(TransactionConfig),
}

/// A plain route.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The service, by name.
    pub service: String,
    /// How long the service may take until the head of its answer, from when it has all that the client has sent.
    pub timeout: Duration,
    /// What the matched path prefix becomes towards the service; unchanged where `None`.
    pub rewrite_prefix: Option<String>,
    /// To which protocols a client may change its connection, such as `websocket`.
    pub upgrades: Vec<String>,
    /// When requests are sent again; never where `None`.
    pub retry: Option<RetryConfig>,
}

/// A transactional route.
#[derive(Clone, Debug)]
pub struct TransactionConfig {
    /// What is run.
    pub plan: Arc<Plan>,
    /// The client's headers that travel on first operations only, and are never journaled.
    pub pass_credentials: Vec<HeaderName>,
}

/// The bounds of every input.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes.
    pub header_bytes: usize,
    /// How long a client may take for the head of a request.
    pub header_timeout: Duration,
    /// The largest body of a request to a transactional route, in bytes.
    pub transaction_body_bytes: usize,
    /// The largest body of a request to a plain route, in bytes.
    pub body_bytes: u64,
    /// How long a client or a service may be silent in the middle of a body.
    pub body_idle_timeout: Duration,
    /// How long nothing may move in a connection that has changed its protocol.
    pub tunnel_idle_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// How many connections a worker accepts at a time.
    pub connections: usize,
    /// What retries of plain requests may cost each service, in one worker.
    pub retries: Allowance,
    /// How long requests that are under way may take when a worker ends.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            header_bytes: 32 * 1024,
            header_timeout: Duration::from_secs(10),
            transaction_body_bytes: 256 * 1024,
            body_bytes: 1024 * 1024 * 1024,
            body_idle_timeout: Duration::from_secs(30),
            tunnel_idle_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(75),
            connections: 10_000,
            retries: Allowance::default(),
            grace: Duration::from_secs(30),
        }
    }
}
