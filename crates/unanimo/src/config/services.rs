//! The services: their addresses, and how they know us.

use super::bearer;
use super::cursor::{Cursor, Fields, Named};
use super::mistake::Notes;
use super::scalars::{PATIENCE, check_name};
use super::server::ParticipantsConfig;
use super::source::Span;
use super::standing;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use unanimo_upstream::{Balance, Config, Credential, Protocol, ServiceConfig};

const KEYS: [&str; 16] = [
    "endpoints",
    "protocol",
    "balance",
    "affinity",
    "circuit",
    "health",
    "credential",
    "anonymous",
    "asks",
    "fenced",
    "connect_timeout",
    "call_timeout",
    "idle_timeout",
    "idle_connections",
    "connections",
    "streams",
];

const PROTOCOLS: [(&str, Protocol); 2] = [("http/1.1", Protocol::Http1), ("h2c", Protocol::H2c)];

const BALANCES: [(&str, Balance); 2] =
    [("round-robin", Balance::RoundRobin), ("least-request", Balance::LeastRequest)];

/// Whether something stays at one endpoint: one day perhaps more than a transaction.
const AFFINITIES: [(&str, bool); 1] = [("transaction", true)];

/// How long a participant's call may take, where nothing is said.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// What routes need to know of a service.
pub struct Service {
    /// Where its name stands.
    pub span: Span,
    /// How long a participant's call may take.
    pub call_timeout: Duration,
    /// Whether it asks for the verdict of what it has prepared.
    pub asks: bool,
    /// Whether it keeps a participant's duties: without, it may only take part in sagas.
    pub fenced: bool,
    /// Whether it says how it knows us, be it not at all.
    pub knows_us: bool,
    /// Whether a route names it.
    pub is_used: Cell<bool>,
    /// Whether it carries a branch of a transaction.
    pub is_participant: Cell<bool>,
    /// Where its credential comes from.
    pub origin: Origin,
}

/// Where the credential comes from that a service is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// There is none.
    #[default]
    Anonymous,
    /// This file.
    File(PathBuf),
    /// The environment of the process.
    Environment,
}

/// The services by name, as routes see them, with their configuration.
#[derive(Default)]
pub struct Services {
    /// What routes need to know.
    pub known: BTreeMap<String, Service>,
    /// What is needed to reach them.
    pub config: Config,
}

/// Reads `services`.
pub fn services(fields: &Fields) -> Services {
    let mut services = Services::default();
    let named = fields.need("services").and_then(|cursor| cursor.named("`services`")).unwrap_or_default();
    for named in named {
        if let Err(message) = check_name("a service", named.key) {
            named.wrong(message);
        }
        let service = Service {
            span: named.key_span,
            call_timeout: CALL_TIMEOUT,
            asks: false,
            fenced: true,
            // A service that cannot be read is known all the same: its routes are not wrong.
            knows_us: true,
            is_used: Cell::new(false),
            is_participant: Cell::new(false),
            origin: Origin::Anonymous,
        };
        let service = services.known.entry(named.key.to_owned()).or_insert(service);
        if let Some(config) = read(&named, service) {
            services.config.services.insert(named.key.to_owned(), config);
        }
    }
    services
}

impl Services {
    /// What can be said of the services once the routes are known.
    pub fn check_use(&self, participants: Option<&ParticipantsConfig>, notes: &Notes) {
        for (name, service) in &self.known {
            if service.asks && participants.is_none() {
                let message = format!("the service `{name}` asks for verdicts, and nobody listens");
                notes.wrong_but(
                    service.span,
                    message,
                    "say where: `participants: { address: 127.0.0.1:8082 }`",
                );
            }
            // After a mistake, a route that could not be read may be the one that names it.
            if !service.is_used.get() && !notes.has_errors() {
                let message = format!("no route names the service `{name}`");
                notes.unwise(service.span, message, "remove it, or name it in a route");
            }
            if service.is_participant.get() && !service.knows_us {
                let message =
                    format!("the service `{name}` takes part in transactions, and has no `credential`");
                let help = "calls after a crash carry the gateway's own credential: \
                            give it `credential: { bearer_file: … }`, or say `anonymous: true`";
                notes.wrong_but(service.span, message, help);
            }
        }
    }
}

fn read(named: &Named, service: &mut Service) -> Option<ServiceConfig> {
    let fields = named.value.fields("a service", &KEYS)?;
    let mut config = ServiceConfig::default();
    let endpoints = fields.need("endpoints").and_then(|cursor| cursor.elements("`endpoints`"));
    let texts = endpoints.iter().flatten().filter_map(|cursor| cursor.text());
    config.endpoints = texts.map(str::to_owned).collect();
    fields.set("protocol", &mut config.protocol, |cursor| cursor.word("a protocol", &PROTOCOLS));
    fields.set("balance", &mut config.balance, |cursor| cursor.word("a way to balance", &BALANCES));
    fields.set("affinity", &mut config.affinity, |cursor| {
        cursor.word("what can stay at one endpoint", &AFFINITIES)
    });
    fields.set("circuit", &mut config.circuit, |cursor| standing::circuit(cursor).map(Some));
    fields.set("health", &mut config.health, |cursor| standing::health(cursor).map(Some));
    let patience = |cursor: Cursor| cursor.duration(PATIENCE);
    fields.set("connect_timeout", &mut config.connect_timeout, patience);
    fields.set("idle_timeout", &mut config.idle_timeout, patience);
    fields.set("idle_connections", &mut config.idle_connections, |cursor| cursor.count(0..=100_000));
    fields.set("connections", &mut config.connections, |cursor| cursor.count(1..=100_000));
    fields.set("streams", &mut config.streams, |cursor| cursor.count(1..=1000));
    if fields.has("streams") && config.protocol == Protocol::Http1 {
        let message = "`streams` says how many requests share a connection, and over HTTP/1.1 none do";
        fields.notes().wrong_but(
            fields.span_of("streams"),
            message,
            "say `protocol: h2c` where the service speaks it, or leave it out",
        );
    }
    fields.set("call_timeout", &mut service.call_timeout, Cursor::milliseconds);
    fields.set("asks", &mut service.asks, Cursor::boolean);
    fields.set("fenced", &mut service.fenced, Cursor::boolean);
    if service.asks && !service.fenced {
        let message = "a service that asks for verdicts keeps a fence";
        fields.notes().wrong_but(
            fields.span_of("fenced"),
            message,
            "say one of `asks: true` and `fenced: false`",
        );
    }
    let is_anonymous = fields.get("anonymous").and_then(Cursor::boolean).unwrap_or(false);
    service.knows_us = is_anonymous || fields.has("credential");
    if is_anonymous && fields.has("credential") {
        let message = "a service is either `anonymous` or has a `credential`, not both";
        fields.notes().wrong(fields.span_of("anonymous"), message);
    }
    let mut known_by = (Credential::Anonymous, Origin::Anonymous);
    fields.set("credential", &mut known_by, credential);
    (config.credential, service.origin) = known_by;
    if let Some(endpoints) = endpoints.filter(|endpoints| endpoints.len() == config.endpoints.len()) {
        check(named, &endpoints, config.clone());
    }
    Some(config)
}

fn credential(cursor: Cursor) -> Option<(Credential, Origin)> {
    let fields = cursor.fields("`credential`", &["bearer_file", "bearer"])?;
    let file = fields.get("bearer_file").and_then(|cursor| Some(bearer::path(cursor, cursor.text()?)));
    let token = match (fields.has("bearer_file"), fields.has("bearer")) {
        (true, true) => {
            fields.wrong("`credential` has `bearer_file` or `bearer`, not both");
            None
        }
        (false, true) => bearer::from_environment(fields.get("bearer")?),
        (true, false) => bearer::read(fields.get("bearer_file")?),
        (false, false) => {
            fields.wrong("`credential` needs `bearer_file` or `bearer`");
            None
        }
    };
    token.map(|token| (Credential::Bearer(token), file.map_or(Origin::Environment, Origin::File)))
}

/// Lets the crate that reaches the services judge the settings; what it names by its value is marked there.
fn check(named: &Named, endpoints: &[Cursor], config: ServiceConfig) {
    let config = Config { services: BTreeMap::from([(named.key.to_owned(), config)]) };
    let mut marked = Vec::new();
    for invalid in config.validate().err().unwrap_or_default() {
        let is_meant = |cursor: &&Cursor| {
            cursor.text().is_some_and(|text| invalid.message.contains(&format!("`{text}`")))
        };
        // Of two that are equal the later one is too many.
        let meant = endpoints.iter().rev().filter(is_meant).find(|cursor| !marked.contains(&cursor.span()));
        let span = meant.map_or(named.key_span, |cursor| cursor.span());
        marked.push(span);
        named.value.notes().wrong(span, format!("service `{}`: {}", named.key, invalid.message));
    }
}
