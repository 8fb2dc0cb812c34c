//! The routes: which requests they take, and what becomes of them.

use super::cursor::{Cursor, Fields};
use super::matching::{self, Matching};
use super::names::{service, unique_name};
use super::retries;
use super::scalars::PATIENCE;
use super::services::Services;
use super::source::Span;
use super::transaction;
use http::HeaderName;
use std::collections::BTreeMap;
use std::time::Duration;
use unanimo_gateway::{Action, Limits, Match, PathMatch, ProxyConfig, RouteConfig, Table};
use unanimo_upstream::{Config, Protocol, ServiceConfig};

/// How long a service may take until the head of its answer on a plain route, where nothing is said.
const PROXY_TIMEOUT: Duration = Duration::from_secs(30);

/// To which protocol clients may change on a plain route, where nothing is said.
const WEBSOCKET: &str = "websocket";

/// A route, and where its parts stand.
pub struct Route<'a> {
    /// The route.
    pub config: RouteConfig,
    /// The value of `path` or `prefix`.
    pub path: Cursor<'a>,
    /// The value of `host`, where there is one.
    pub host: Option<Cursor<'a>>,
    /// The headers that must say something, and where that stands.
    pub headers: Vec<(HeaderName, Cursor<'a>)>,
}

impl Route<'_> {
    /// Where that stands which the gateway says is wrong: what it names by its value, else the path.
    fn meant(&self, message: &str) -> Cursor<'_> {
        let is_host =
            |cursor: &Cursor| cursor.text().is_some_and(|host| message.contains(&format!("host `{host}`")));
        let header = || {
            let mut named = self.headers.iter();
            let (_, cursor) = named.find(|(name, _)| message.contains(&format!("header `{name}`")))?;
            Some(*cursor)
        };
        self.host.filter(is_host).or_else(header).unwrap_or(self.path)
    }
}

/// Lets the gateway judge the routes: whether their hosts and paths can be matched, and whether two of them take the
/// same requests.
pub fn check_together(routes: &[Route], services: &Services) {
    // The table only asks which services there are. Those that are wrong have been told so.
    let stand_in = ServiceConfig { endpoints: vec!["127.0.0.1:1".to_owned()], ..ServiceConfig::default() };
    let stand_ins = services.known.keys().map(|name| (name.clone(), stand_in.clone())).collect();
    let Ok(stand_ins) = unanimo_upstream::Services::new(Config { services: stand_ins }) else { return };
    let configs = routes.iter().map(|route| route.config.clone()).collect();
    let config =
        unanimo_gateway::Config { listeners: Vec::new(), routes: configs, limits: Limits::default() };
    for invalid in Table::build(&config, &stand_ins).err().unwrap_or_default() {
        if let Some(route) = routes.iter().find(|route| route.config.name == invalid.route) {
            route.meant(&invalid.message).wrong(invalid.message);
        }
    }
}

/// Reads `routes`.
pub fn routes<'a>(fields: &Fields<'a>, services: &Services) -> Vec<Route<'a>> {
    let Some(cursor) = fields.need("routes") else { return Vec::new() };
    let Some(elements) = cursor.elements("`routes`") else { return Vec::new() };
    if elements.is_empty() {
        cursor.wrong("at least one route is needed");
    }
    let mut names = BTreeMap::new();
    let count = elements.len();
    let routes: Vec<_> =
        elements.into_iter().filter_map(|element| route(element, services, &mut names)).collect();
    assert!(routes.len() == count || cursor.notes().has_errors(), "no route is left out in silence");
    routes
}

fn route<'a>(
    cursor: Cursor<'a>,
    services: &Services,
    names: &mut BTreeMap<&'a str, Span>,
) -> Option<Route<'a>> {
    let fields = cursor.fields("a route", &["name", "match", "proxy", "transaction"])?;
    let name = fields.need("name").and_then(|cursor| unique_name(cursor, "a route", names));
    let matching = fields.need("match").and_then(matching::read);
    let action = action(&fields, name.unwrap_or_default(), matching.as_ref(), services);
    let (name, matching, action) = (name?, matching?, action?);
    let host = matching.host.map(|(host, _)| host.to_owned());
    let (wanted, headers) = matching
        .headers
        .into_iter()
        .map(|(name, wanted, cursor)| ((name.clone(), wanted), (name, cursor)))
        .unzip();
    let requests = Match {
        host,
        path: matching.path,
        methods: matching.methods,
        headers: wanted,
        query: matching.query,
    };
    let config = RouteConfig { name: name.to_owned(), matching: requests, action };
    let host = matching.host.map(|(_, cursor)| cursor);
    Some(Route { config, path: matching.path_cursor, host, headers })
}

fn action(fields: &Fields, name: &str, matching: Option<&Matching>, services: &Services) -> Option<Action> {
    match (fields.has("proxy"), fields.has("transaction")) {
        (true, false) => proxy(fields.get("proxy")?, matching, services).map(Action::Proxy),
        (false, true) => {
            if let Some(matching) = matching {
                matching::check_methods_of_transaction(matching, fields);
            }
            let cursor = fields.get("transaction")?;
            transaction::read(cursor, name, matching, services).map(Action::Transaction)
        }
        (true, true) => {
            let span = fields.span_of("transaction");
            fields.notes().wrong(span, "a route has `proxy` or `transaction`, not both");
            None
        }
        (false, false) => {
            fields.wrong("a route needs `proxy` or `transaction`");
            None
        }
    }
}

fn proxy(cursor: Cursor, matching: Option<&Matching>, services: &Services) -> Option<ProxyConfig> {
    let fields = cursor.fields("`proxy`", &["service", "timeout", "rewrite_prefix", "retry", "upgrades"])?;
    let service = fields.need("service").and_then(|cursor| service(cursor, services));
    let mut timeout = PROXY_TIMEOUT;
    fields.set("timeout", &mut timeout, |cursor| cursor.duration(PATIENCE));
    let rewrite_prefix = fields.get("rewrite_prefix").and_then(|cursor| {
        let is_exact = matching.is_some_and(|matching| matches!(matching.path, PathMatch::Exact(_)));
        if is_exact {
            let help = "match a `prefix`, or leave the path as it is";
            cursor.wrong_but("there is no prefix to rewrite: the route matches one `path`", help);
            return None;
        }
        matching::literal_path(cursor)
    });
    let mut upgrades = vec![WEBSOCKET.to_owned()];
    fields.set("upgrades", &mut upgrades, |cursor| {
        Some(cursor.elements("`upgrades`")?.into_iter().filter_map(upgrade).collect())
    });
    let mut retry = None;
    fields.set("retry", &mut retry, |cursor| retries::read(cursor).map(Some));
    let (service, _) = service?;
    let config = services.config.services.get(service);
    if config.is_some_and(|config| config.protocol == Protocol::H2c) {
        if fields.has("upgrades") && !upgrades.is_empty() {
            let message =
                format!("the service `{service}` speaks HTTP/2, where no connection changes its protocol");
            fields.notes().wrong_but(fields.span_of("upgrades"), message, "leave `upgrades` out");
        }
        upgrades.clear();
    }
    Some(ProxyConfig { service: service.to_owned(), timeout, rewrite_prefix, upgrades, retry })
}

/// One protocol to which a client may change.
fn upgrade(cursor: Cursor) -> Option<String> {
    let protocol = cursor.text()?;
    unanimo_gateway::check_upgrade(protocol).map_err(|message| cursor.wrong(message)).ok()?;
    Some(protocol.to_owned())
}
