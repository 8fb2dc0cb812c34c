//! A gateway on a thread of its own, with clients and services that write and read bytes as they are on the wire.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

pub mod double;
pub mod service;
pub mod wire;

use double::Double;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use unanimo_contract::{Plan, plan};
use unanimo_gateway::{
    Action, Config, Drained, Governed, Limits, ListenerConfig, Match, Metrics, PathMatch, ProxyConfig,
    RouteConfig, Rules, Socket, Table, TransactionConfig, Worker,
};
use unanimo_upstream::{ServiceConfig, Services, Upstream};
use wire::Wire;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the condition holds.
#[expect(clippy::disallowed_methods, reason = "this bounds the waiting of a test")]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A gateway that serves on loopback until it is dropped.
pub struct Gateway {
    pub address: SocketAddr,
    /// The listener for participants.
    pub inquiries: SocketAddr,
    pub double: Double,
    metrics: Metrics,
    replace: mpsc::Sender<(Arc<Table>, Arc<Services>)>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drained>>,
}

/// What a gateway is made of.
pub struct Setup {
    pub routes: Vec<RouteConfig>,
    /// The service `s`.
    pub service: ServiceConfig,
    pub limits: Limits,
    pub double: Double,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            routes: vec![],
            service: ServiceConfig { endpoints: vec!["127.0.0.1:1".to_owned()], ..ServiceConfig::default() },
            limits: Limits::default(),
            double: Double::default(),
        }
    }
}

impl Setup {
    /// Every path goes to the service at this address.
    pub fn forwarding(service: SocketAddr) -> Setup {
        let mut setup =
            Setup { routes: vec![plain("all", PathMatch::Prefix("/".into()))], ..Setup::default() };
        setup.service.endpoints = vec![service.to_string()];
        setup
    }

    /// Every `POST /transfers/{id}` is a transaction.
    pub fn transacting(double: Double) -> Setup {
        Setup { routes: vec![transactional("transfer", "/transfers/{id}")], double, ..Setup::default() }
    }

    pub fn start(self) -> Gateway {
        Gateway::start(self)
    }
}

pub fn plain(name: &str, path: PathMatch) -> RouteConfig {
    let proxy = ProxyConfig {
        service: "s".to_owned(),
        timeout: Duration::from_secs(5),
        rewrite_prefix: None,
        upgrades: vec!["websocket".to_owned(), "x-chat/2".to_owned()],
        retry: None,
    };
    let matching = Match { host: None, path, methods: vec![], headers: vec![], query: vec![] };
    RouteConfig { name: name.to_owned(), matching, action: Action::Proxy(proxy) }
}

pub fn transactional(name: &str, path: &str) -> RouteConfig {
    let branch = plan::BranchPlan {
        name: "debit".into(),
        service: "s".into(),
        path: "/debits".into(),
        call_timeout_ms: 1000,
        ..plan::BranchPlan::default()
    };
    let plan = Plan {
        language: plan::LANGUAGE,
        route: name.into(),
        mode: "two-phase".into(),
        deadline_ms: 1000,
        answer_timeout_ms: 2000,
        answer_at: plan::AnswerAt::Finished,
        branches: vec![branch],
        respond: None,
        secret: Vec::new(),
        refused: None,
    };
    let transaction = TransactionConfig {
        plan: Arc::new(plan),
        pass_credentials: vec![http::header::AUTHORIZATION, "x-api-key".parse().unwrap()],
    };
    let path = PathMatch::Exact(path.into());
    let methods = vec![http::Method::POST];
    let matching = Match { host: None, path, methods, headers: vec![], query: vec![] };
    RouteConfig { name: name.to_owned(), matching, action: Action::Transaction(transaction) }
}

fn built(routes: Vec<RouteConfig>, service: ServiceConfig) -> (Arc<Table>, Arc<Services>) {
    let services = unanimo_upstream::Config { services: [("s".to_owned(), service)].into() };
    let services = Arc::new(Services::new(services).unwrap());
    let config = Config { listeners: vec![], routes, limits: Limits::default() };
    (Arc::new(Table::build(&config, &services).unwrap()), services)
}

impl Gateway {
    fn start(setup: Setup) -> Gateway {
        let Setup { routes, service, limits, double } = setup;
        let (table, services) = built(routes, service);
        let listener = ListenerConfig { name: "public".into(), address: "127.0.0.1:0".parse().unwrap() };
        let listeners = unanimo_gateway::bind(&listener, 1).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let mut participants = unanimo_gateway::bind(&listener, 1).unwrap();
        let inquiries = participants[0].local_addr().unwrap();
        let metrics = Metrics::new();
        let (stop, stopped) = oneshot::channel();
        let (replace, mut replaced) = mpsc::channel::<(Arc<Table>, Arc<Services>)>(1);
        let thread = std::thread::spawn({
            let (transactions, metrics) = (double.clone(), metrics.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, async move {
                    let upstream = Upstream::new(services);
                    let rules = Rules { table, upstream, limits, logs_requests: false };
                    let governed = Governed::new(rules, &metrics);
                    let inquiries = participants.pop().map(Socket::from).into_iter().collect();
                    let listeners = listeners.into_iter().map(Socket::from).collect();
                    let ours = governed.clone();
                    tokio::task::spawn_local(async move {
                        while let Some((table, services)) = replaced.recv().await {
                            let upstream = ours.upstream().succeeded_by(services);
                            let limits = Limits::default();
                            ours.replace(Rules { table, upstream, limits, logs_requests: false });
                        }
                    });
                    let worker = Worker { listeners, inquiries, governed, transactions };
                    let shutdown = async move { stopped.await.unwrap_or_default() };
                    unanimo_gateway::serve(worker, shutdown).await.unwrap()
                })
            }
        });
        let (stop, thread) = (Some(stop), Some(thread));
        Gateway { address, inquiries, double, metrics, replace, stop, thread }
    }

    /// From now on these routes are in force, and this is the service `s`. It does not wait for it.
    pub fn replace(&self, routes: Vec<RouteConfig>, service: ServiceConfig) {
        self.replace.blocking_send(built(routes, service)).unwrap();
    }

    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn ask(&self, request: &str) -> wire::Answer {
        let mut wire = self.connect();
        wire.send(request);
        wire.answer()
    }

    /// Asks the worker to end, and does not wait for it.
    pub fn leave(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
    }

    pub fn end(&mut self) -> Drained {
        self.leave();
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The value of a metric, named with its labels as the text format has them.
    pub fn metric(&self, name: &str) -> f64 {
        let mut registry = prometheus_client::registry::Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}
