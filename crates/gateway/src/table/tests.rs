//! The table by cases, and against a matcher that tries every route.

use super::*;
use crate::{Action, Config, Limits, Match, PathMatch, ProxyConfig, RouteConfig};
use proptest::prelude::*;
use std::time::Duration;
use unanimo_upstream::{ServiceConfig, Services};

fn services() -> Services {
    let service = ServiceConfig { endpoints: vec!["127.0.0.1:1".into()], ..ServiceConfig::default() };
    Services::new(unanimo_upstream::Config { services: [("s".to_owned(), service)].into() }).unwrap()
}

/// `[METHOD[,METHOD]] [host]/path[…]`; a path that ends with `…` is a prefix.
fn route(name: &str, text: &str) -> RouteConfig {
    let (methods, target) = text.split_once(' ').unwrap_or(("", text));
    let (host, path) = target.split_at(target.find('/').unwrap());
    RouteConfig {
        name: name.to_owned(),
        matching: Match {
            host: Some(host).filter(|host| !host.is_empty()).map(str::to_owned),
            path: match path.strip_suffix('…') {
                Some(prefix) => PathMatch::Prefix(prefix.to_owned()),
                None => PathMatch::Exact(path.to_owned()),
            },
            methods: methods
                .split(',')
                .filter(|name| !name.is_empty())
                .map(|name| name.parse().unwrap())
                .collect(),
        },
        action: Action::Proxy(ProxyConfig {
            service: "s".to_owned(),
            timeout: Duration::from_secs(1),
            rewrite_prefix: None,
        }),
    }
}

fn config(routes: impl IntoIterator<Item = RouteConfig>) -> Config {
    Config { listeners: vec![], routes: routes.into_iter().collect(), limits: Limits::default() }
}

/// A table whose routes are named by what they match.
fn table(routes: &[&str]) -> Result<Table, Vec<Invalid>> {
    Table::build(&config(routes.iter().map(|text| route(text, text))), &services())
}

/// `METHOD [host]/path`
fn find<'t>(table: &'t Table, text: &str) -> Result<&'t str, String> {
    let (method, target) = text.split_once(' ').unwrap();
    let (host, path) = target.split_at(target.find('/').unwrap());
    match table.find(Some(host).filter(|host| !host.is_empty()), path, &method.parse().unwrap()) {
        Found::Route(route) => Ok(&route.name),
        Found::OtherMethods(allowed) => Err(allowed),
        Found::Nothing => Err(String::new()),
    }
}

#[test]
fn the_most_specific_route_wins() {
    let table = table(&[
        "/…",
        "/a…",
        "/a/b…",
        "/a/b",
        "/a/{x}",
        "/a/{x}/c",
        "/{y}/b/{z}",
        "/a/b/",
        "GET /a/b",
        "POST /only",
        "PUT,DELETE /{any}",
        "*.example.org/…",
        "*.api.example.org/…",
        "x.api.example.org/a",
    ])
    .unwrap();
    for (request, expected) in [
        ("GET /", "/…"),
        ("GET /zzz/yyy", "/…"),
        ("GET /a", "/a…"),
        ("GET /a/", "/a…"),
        ("GET /ab", "/…"),
        ("GET /a/b", "GET /a/b"),
        ("POST /a/b", "/a/b"),
        ("GET /a/b/", "/a/b/"),
        ("GET /a/b/c", "/a/b…"),
        ("GET /a/z", "/a/{x}"),
        ("GET /a/z/", "/a…"),
        ("GET /a/z/c", "/a/{x}/c"),
        ("GET /a/z/d", "/a…"),
        ("GET /q/b/c", "/{y}/b/{z}"),
        ("POST /only", "POST /only"),
        ("GET /only", "/…"),
        ("PUT /only", "PUT,DELETE /{any}"),
        ("GET example.org/a", "/a…"),
        ("GET y.example.org/a", "*.example.org/…"),
        ("GET a.b.example.org/a", "*.example.org/…"),
        ("GET y.api.example.org/a", "*.api.example.org/…"),
        ("GET x.api.example.org/a", "x.api.example.org/a"),
        ("GET x.api.example.org/b", "*.api.example.org/…"),
        ("GET api.example.org/b", "*.example.org/…"),
    ] {
        assert_eq!(find(&table, request), Ok(expected), "{request}");
    }
}

#[test]
fn what_no_route_takes_is_told_apart() {
    let table = table(&["GET,HEAD /a", "POST /{x}", "h.org/b", "PUT h.org/{y}/z"]).unwrap();
    assert_eq!(find(&table, "DELETE /a"), Err("GET, HEAD, POST".into()));
    assert_eq!(find(&table, "DELETE /b"), Err("POST".into()));
    assert_eq!(find(&table, "DELETE h.org/b"), Ok("h.org/b"));
    assert_eq!(find(&table, "GET h.org/q/z"), Err("PUT".into()));
    assert_eq!(find(&table, "GET /q/z"), Err(String::new()));
    assert_eq!(find(&table, "GET /"), Err(String::new()));
}

#[test]
fn an_empty_table_takes_nothing() {
    assert_eq!(find(&table(&[]).unwrap(), "GET /"), Err(String::new()));
}

#[test]
fn everything_wrong_is_said_at_once() {
    let said = |routes: &[&str]| -> Vec<String> {
        table(routes).map(|_| vec![]).unwrap_or_else(|wrong| wrong.iter().map(ToString::to_string).collect())
    };
    let clash = "takes the same requests; change the host, path or methods of one of them";
    assert_eq!(
        said(&["/a/{x}", "/a/{y}", "GET,PUT /b", "PUT,POST /b", "/c…", "/c/…"]),
        [
            format!("route `/a/{{y}}`: route `/a/{{x}}` {clash}"),
            format!("route `PUT,POST /b`: route `GET,PUT /b` {clash}"),
            format!("route `/c/…`: route `/c…` {clash}"),
        ]
    );
    assert_eq!(
        said(&["/transactions/{id}", "GET /problems…", "A.org/x"]),
        [
            "route `/transactions/{id}`: the paths below `/transactions/` are the gateway's own; choose another one",
            "route `GET /problems…`: the paths below `/problems/` are the gateway's own; choose another one",
            "route `A.org/x`: the host `A.org` must be a name in lower case without a port, as in `api.example.org`",
        ]
    );
    assert_eq!(said(&["/a", "GET /a", "h/a", "*.h/a", "/a…", "/transactions", "/{x}/{y}"]), [""; 0]);
    let mut twice = config([route("r", "/a"), route("r", "/b")]);
    let wrong = Table::build(&twice, &services()).unwrap_err();
    assert_eq!(wrong[0].to_string(), "route `r`: another route has this name too");
    twice.routes.truncate(1);
    if let Action::Proxy(plain) = &mut twice.routes[0].action {
        plain.service = "t".to_owned();
        plain.rewrite_prefix = Some("/x".to_owned());
    }
    let wrong = Table::build(&twice, &services()).unwrap_err();
    assert_eq!(wrong[0].to_string(), "route `r`: service `t` is not defined");
    if let Action::Proxy(plain) = &mut twice.routes[0].action {
        plain.service = "s".to_owned();
    }
    let wrong = Table::build(&twice, &services()).unwrap_err();
    assert_eq!(wrong[0].to_string(), "route `r`: `rewrite_prefix` needs a path that is a prefix");
}

/// How specific a match is; larger is more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    host: (u8, usize),
    /// Each segment, and the path's end.
    path: Vec<u8>,
    method: bool,
}

const LITERAL: u8 = 3;
const PARAMETER: u8 = 2;
const EXACT_END: u8 = 1;
const PREFIX_END: u8 = 0;

/// Says by the text of the rule alone how well a route fits a request; `None` if host or path do not.
fn rank(route: &RouteConfig, host: &str, path: &str, method: &Method) -> Option<Rank> {
    let by_host = match route.matching.host.as_deref() {
        None => (0, 0),
        Some(wildcard) if wildcard.starts_with('*') => {
            host.ends_with(&wildcard[1..]).then_some((1, wildcard.len()))?
        }
        Some(name) => (name == host).then_some((2, 0))?,
    };
    let (pattern, is_prefix) = match &route.matching.path {
        PathMatch::Exact(path) => (path.as_str(), false),
        PathMatch::Prefix(path) => (path.trim_end_matches('/'), true),
    };
    let wanted: Vec<_> = pattern.split('/').skip(1).collect();
    let given: Vec<_> = path.split('/').skip(1).collect();
    if given.len() < wanted.len() || !is_prefix && given.len() > wanted.len() {
        return None;
    }
    let mut by_path = Vec::new();
    for (wanted, given) in wanted.iter().zip(&given) {
        by_path.push(match wanted.starts_with('{') {
            true if !given.is_empty() => PARAMETER,
            false if wanted == given => LITERAL,
            true | false => return None,
        });
    }
    by_path.push(if is_prefix { PREFIX_END } else { EXACT_END });
    Some(Rank { host: by_host, path: by_path, method: route.matching.methods.contains(method) })
}

fn naive<'r>(routes: &'r [RouteConfig], host: &str, path: &str, method: &Method) -> Result<&'r str, String> {
    let fitting = || routes.iter().filter_map(|route| Some((rank(route, host, path, method)?, route)));
    let taking = fitting().filter(|(rank, route)| rank.method || route.matching.methods.is_empty());
    let best = taking.max_by(|(one, _), (other, _)| one.cmp(other));
    best.map(|(_, route)| route.name.as_str()).ok_or_else(|| {
        let methods: BTreeSet<_> =
            fitting().flat_map(|(_, route)| &route.matching.methods).map(Method::as_str).collect();
        Vec::from_iter(methods).join(", ")
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..5)
        .prop_map(|segments| segments.iter().fold(String::new(), |path, segment| path + "/" + segment))
}

prop_compose! {
    fn rule()(
        methods in prop::sample::select(vec!["", "GET ", "PUT ", "GET,PUT "]),
        host in prop::sample::select(vec!["", "", "h.org", "*.org", "*.h.org"]),
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "{p}"]), 0..4),
        end in prop::sample::select(vec!["", "…", "/"]),
    ) -> String {
        let named = segments.iter().enumerate().map(|(at, segment)| match *segment {
            "{p}" => format!("/{{p{at}}}"),
            literal => format!("/{literal}"),
        });
        let path: String = named.collect();
        let end = if path.is_empty() { format!("/{}", end.trim_matches('/')) } else { end.to_owned() };
        format!("{methods}{host}{path}{end}")
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_trying_every_route(
        rules in prop::collection::vec(rule(), 0..12),
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["GET", "PUT", "POST"]),
                prop::sample::select(vec!["h.org", "x.org", "x.h.org", "org"]),
                path(),
                any::<bool>(),
            ),
            1..20,
        ),
    ) {
        // Rules that clash are left out one by one; the error names them.
        let mut routes = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            routes.push(route(&format!("{at} {rule}"), rule));
            if Table::build(&config(routes.clone()), &services()).is_err() {
                routes.pop();
            }
        }
        let table = Table::build(&config(routes.clone()), &services()).unwrap();
        for (method, host, path, slash) in requests {
            let path = if slash { path + "/" } else { path };
            let found = find(&table, &format!("{method} {host}{path}"));
            let expected = naive(&routes, host, &path, &method.parse().unwrap());
            prop_assert_eq!(found, expected, "{} {}{}", method, host, path);
        }
    }
}
