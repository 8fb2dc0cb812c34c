//! What a configuration comes to, in plain texts that can be compared, shown, and sent to another process.

use crate::config::{Config, Origin};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::{Component, Path, PathBuf};
use unanimo_contract::Plan;
use unanimo_gateway::{
    Action, Limits, Match, PathMatch, ProxyConfig, RetryConfig, RouteConfig, TransactionConfig, ValueMatch,
};
use unanimo_upstream::{CircuitConfig, HealthConfig, Protocol, ServiceConfig};

/// Names and values.
pub type Facts = BTreeMap<String, String>;

/// What a configuration comes to. Nothing secret stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The hash of the configuration's text.
    pub hash: String,
    /// What holds from the start of the process to its end.
    pub process: Facts,
    /// What a reload may change beside services and routes.
    pub settings: Facts,
    /// The services by name.
    pub services: BTreeMap<String, Facts>,
    /// The routes by name.
    pub routes: BTreeMap<String, Facts>,
    /// The routes in the order of the file: where two take the same request and neither is more specific, the first does.
    pub order: Vec<String>,
}

impl Outline {
    /// Of this configuration, whose text has this hash, and whose paths are reckoned from this folder: they are shown
    /// as they are written, so that the same text comes to the same wherever it stands.
    pub fn of(config: &Config, hash: &str, folder: &Path) -> Outline {
        let Config { gateway, upstream, credentials, .. } = config;
        let service = |(name, service): (&String, &ServiceConfig)| {
            let origin = credentials.get(name).cloned().unwrap_or_default();
            (name.clone(), of_service(service, &origin, folder))
        };
        Outline {
            hash: hash.to_owned(),
            process: of_process(config, folder),
            settings: of_settings(config),
            services: upstream.services.iter().map(service).collect(),
            routes: gateway.routes.iter().map(|route| (route.name.clone(), of_route(route))).collect(),
            order: gateway.routes.iter().map(|route| route.name.clone()).collect(),
        }
    }
}

fn of_process(config: &Config, folder: &Path) -> Facts {
    let Config { gateway, journal, history, keys, admin, participants, workers, log, .. } = config;
    let unanimo_journal::Config { directory, segment_size, commit_interval, accept_ephemeral, queue_bytes } =
        journal;
    let mut facts = Facts::new();
    for listener in &gateway.listeners {
        facts.note(&format!("listeners.{}", listener.name), listener.address);
    }
    facts.note_some("admin", *admin);
    if let Some(participants) = participants {
        facts.note("participants.address", participants.address);
        facts.note_some("participants.url", participants.url.as_ref());
    }
    facts.note("workers", workers);
    facts.note("journal.directory", written(directory, folder));
    facts.note("journal.segment_size", segment_size);
    facts.note("journal.commit_interval", shown(commit_interval));
    facts.note("journal.accept_ephemeral", accept_ephemeral);
    facts.note("journal.queue_bytes", queue_bytes);
    facts.note("history.file", written(&history.file, folder));
    facts.note("history.retention.time", shown(&history.retention.time));
    facts.note("history.retention.transactions", history.retention.transactions);
    facts.note("history.retention.size", history.retention.size);
    facts.note("history.keys.time", shown(&keys.time));
    facts.note("history.keys.count", keys.count);
    facts.note("limits.connections", gateway.limits.connections);
    facts.note("log.level", shown(&log.level).to_lowercase());
    facts.note("log.format", shown(&log.format).to_lowercase());
    facts
}

fn of_settings(config: &Config) -> Facts {
    let Config { gateway, keyring, open_transactions, retry, drain, log, .. } = config;
    let Limits {
        header_bytes,
        header_timeout,
        transaction_body_bytes,
        body_bytes,
        body_idle_timeout,
        tunnel_idle_timeout,
        idle_timeout,
        connections: _,
        // As `retry.budget` has it, for each worker.
        retries: _,
        // It follows `drain`.
        grace: _,
    } = &gateway.limits;
    let mut facts = Facts::new();
    facts.note("limits.header_size", header_bytes);
    facts.note("limits.header_timeout", shown(header_timeout));
    facts.note("limits.transaction_body_size", transaction_body_bytes);
    facts.note("limits.body_size", body_bytes);
    facts.note("limits.body_idle_timeout", shown(body_idle_timeout));
    facts.note("limits.tunnel_idle_timeout", shown(tunnel_idle_timeout));
    facts.note("limits.idle_timeout", shown(idle_timeout));
    facts.note("limits.open_transactions", open_transactions);
    if let Some(keyring) = keyring {
        facts.note("journal.sealing.keys", keyring.ids().collect::<Vec<_>>().join(", "));
        facts.note("journal.sealing.current", keyring.current());
    }
    facts.note("drain", shown(drain));
    facts.note("retry.initial", shown(&retry.initial));
    facts.note("retry.cap", shown(&retry.cap));
    facts.note("retry.stuck_after", shown(&retry.stuck_after));
    facts.note("retry.budget.ratio", retry.budget_ratio);
    facts.note("retry.budget.per_second", retry.budget_per_second);
    facts.note("log.access", log.access);
    facts
}

fn of_service(service: &ServiceConfig, origin: &Origin, folder: &Path) -> Facts {
    let ServiceConfig {
        endpoints,
        credential: _,
        protocol,
        balance,
        affinity,
        circuit,
        health,
        connect_timeout,
        idle_timeout,
        idle_connections,
        connections,
        streams,
    } = service;
    let mut facts = Facts::new();
    facts.note("endpoints", endpoints.join(", "));
    // Not the token: a hash of a short one tells it.
    match origin {
        Origin::Anonymous => {}
        Origin::File(path) => facts.note("credential", written(path, folder)),
        Origin::Environment => facts.note("credential", "from the environment"),
    }
    facts.note("protocol", shown(protocol));
    facts.note("balance", shown(balance));
    facts.note("affinity", affinity);
    if let Some(CircuitConfig { failures, statuses, open, cap }) = circuit {
        facts.note("circuit.failures", failures);
        facts.note("circuit.statuses", format!("{}-{}", statuses.from, statuses.to));
        facts.note("circuit.open", shown(open));
        facts.note("circuit.cap", shown(cap));
    }
    if let Some(HealthConfig { path, interval, timeout, healthy, unhealthy, statuses }) = health {
        facts.note("health.path", path);
        facts.note("health.interval", shown(interval));
        facts.note("health.timeout", shown(timeout));
        facts.note("health.healthy", healthy);
        facts.note("health.unhealthy", unhealthy);
        facts.note("health.statuses", format!("{}-{}", statuses.from, statuses.to));
    }
    facts.note("connect_timeout", shown(connect_timeout));
    facts.note("idle_timeout", shown(idle_timeout));
    facts.note("idle_connections", idle_connections);
    facts.note("connections", connections);
    if *protocol == Protocol::H2c {
        facts.note("streams", streams);
    }
    facts
}

fn of_route(route: &RouteConfig) -> Facts {
    let RouteConfig { name: _, matching, action } = route;
    let Match { host, path, methods, headers, query } = matching;
    let mut facts = Facts::new();
    facts.note_some("match.host", host.as_ref());
    match path {
        PathMatch::Exact(path) => facts.note("match.path", path),
        PathMatch::Prefix(path) => facts.note("match.prefix", path),
    }
    if !methods.is_empty() {
        facts.note("match.method", methods.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", "));
    }
    for (header, value) in headers {
        facts.note(&format!("match.headers.{header}"), condition(value));
    }
    for (parameter, value) in query {
        facts.note(&format!("match.query.{parameter}"), condition(value));
    }
    match action {
        Action::Proxy(ProxyConfig { service, timeout, rewrite_prefix, upgrades, retry }) => {
            facts.note("service", service);
            facts.note("timeout", shown(timeout));
            facts.note_some("rewrite_prefix", rewrite_prefix.as_ref());
            if !upgrades.is_empty() {
                facts.note("upgrades", upgrades.join(", "));
            }
            if let Some(retry) = retry {
                of_retry(retry, &mut facts);
            }
        }
        Action::Transaction(TransactionConfig { plan, pass_credentials }) => {
            if !plan.secret.is_empty() {
                facts.note("secret", plan.secret.join(", "));
            }
            facts.note("mode", &plan.mode);
            facts.note("plan", hash_of(plan));
            facts.note("services", services_of(plan).join(", "));
            if !pass_credentials.is_empty() {
                let names: Vec<_> = pass_credentials.iter().map(|name| name.as_str()).collect();
                facts.note("pass_credentials", names.join(", "));
            }
        }
    }
    facts
}

fn of_retry(retry: &RetryConfig, facts: &mut Facts) {
    let RetryConfig { attempts, methods, statuses, per_try_timeout, body_bytes } = retry;
    facts.note("retry.attempts", attempts);
    facts.note("retry.methods", methods.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", "));
    facts.note("retry.status", format!("{}-{}", statuses.from, statuses.to));
    facts.note_some("retry.per_try_timeout", per_try_timeout.as_ref().map(shown));
    facts.note("retry.body_size", body_bytes);
}

/// The plan's content hash, as it is shown.
fn hash_of(plan: &Plan) -> String {
    Plan::digest_of(&plan.encode()).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The services that carry a plan's branches, each once.
pub fn services_of(plan: &Plan) -> Vec<&str> {
    let mut services: Vec<_> = plan.branches.iter().map(|branch| branch.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    services
}

fn condition(value: &ValueMatch) -> String {
    match value {
        ValueMatch::Exact(text) => format!("is `{text}`"),
        ValueMatch::Prefix(text) => format!("begins with `{text}`"),
        ValueMatch::Present => "is there".to_owned(),
        ValueMatch::Absent => "is not there".to_owned(),
    }
}

fn written(path: &Path, folder: &Path) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    let told = path.components().filter(|part| *part != Component::CurDir);
    told.collect::<PathBuf>().display().to_string()
}

/// A duration as the file has it, or one of a few words.
fn shown(value: &impl Debug) -> String {
    format!("{value:?}")
}

trait Note {
    fn note(&mut self, name: &str, value: impl Display);
    fn note_some(&mut self, name: &str, value: Option<impl Display>);
}

impl Note for Facts {
    fn note(&mut self, name: &str, value: impl Display) {
        self.insert(name.to_owned(), value.to_string());
    }

    fn note_some(&mut self, name: &str, value: Option<impl Display>) {
        value.into_iter().for_each(|value| self.note(name, value));
    }
}
