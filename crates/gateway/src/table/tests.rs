//! The table by cases; `agreement.rs` holds it against a matcher that tries every route.

mod agreement;

use super::*;
use crate::{Action, Config, Limits, Match, PathMatch, ProxyConfig, RouteConfig, ValueMatch};
use std::time::Duration;
use unanimo_upstream::{ServiceConfig, Services};

fn services() -> Services {
    let service = ServiceConfig { endpoints: vec!["127.0.0.1:1".into()], ..ServiceConfig::default() };
    Services::new(unanimo_upstream::Config { services: [("s".to_owned(), service)].into() }).unwrap()
}

/// `[METHOD[,METHOD]] [host]/path[…][ condition]…`; a path that ends with `…` is a prefix. A condition is `h:NAME` of a
/// header or `q:NAME` of the query, and then `=value`, `^prefix`, `+` or `-`.
fn route(name: &str, text: &str) -> RouteConfig {
    let (text, conditions) =
        text.split_at(text.find(" h:").into_iter().chain(text.find(" q:")).min().unwrap_or(text.len()));
    let (mut headers, mut query) = (vec![], vec![]);
    for condition in conditions.split_whitespace() {
        let (name, wanted) = condition[2..].split_at(condition[2..].find(['=', '^', '+', '-']).unwrap());
        let wanted = match (&wanted[..1], wanted[1..].to_owned()) {
            ("=", text) => ValueMatch::Exact(text),
            ("^", text) => ValueMatch::Prefix(text),
            ("+", _) => ValueMatch::Present,
            _ => ValueMatch::Absent,
        };
        match &condition[..2] {
            "h:" => headers.push((name.parse().unwrap(), wanted)),
            _ => query.push((name.to_owned(), wanted)),
        }
    }

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
            headers,
            query,
        },
        action: Action::Proxy(ProxyConfig {
            service: "s".to_owned(),
            timeout: Duration::from_secs(1),
            rewrite_prefix: None,
            upgrades: vec![],
            retry: None,
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

/// `METHOD [host]/path[?query][ NAME=value]…`, the latter for headers.
fn find<'t>(table: &'t Table, text: &str) -> Result<&'t str, String> {
    let (method, target) = text.split_once(' ').unwrap();
    let (target, lines) = target.split_once(' ').unwrap_or((target, ""));
    let (target, query) =
        target.split_once('?').map_or((target, None), |(target, query)| (target, Some(query)));
    let (host, path) = target.split_at(target.find('/').unwrap());
    let lines = lines.split_whitespace().map(|line| line.split_once('=').unwrap());
    let headers: HeaderMap =
        lines.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let host = Some(host).filter(|host| !host.is_empty());
    match table.find(Sought { host, path, method: &method.parse().unwrap(), headers: &headers, query }) {
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
fn among_routes_of_one_path_the_one_that_asks_for_most_wins() {
    let table = table(&[
        "/a",
        "GET /a",
        "/a h:x=1",
        "/a h:x^1 q:p+",
        "/a q:p=1 q:r=1",
        "/a h:y+",
        "/a h:x=2 h:y-",
        "GET /a h:x=1",
        "/a… h:z+",
        "/b h:x=1",
        "GET /b h:x=2",
        "/b…",
        "PUT /c h:x+",
    ])
    .unwrap();
    for (request, expected) in [
        ("PUT /a", "/a"),
        ("GET /a", "GET /a"),
        ("GET /a x=2", "GET /a"),
        ("GET /a x=1", "GET /a h:x=1"),
        ("PUT /a x=1", "/a h:x=1"),
        ("PUT /a x=11", "/a"),
        ("PUT /a?p x=11", "/a h:x^1 q:p+"),
        ("PUT /a?p=1&r=1 x=1", "/a h:x^1 q:p+"),
        ("PUT /a?r=1&p=1", "/a q:p=1 q:r=1"),
        ("PUT /a?r=1&p=2", "/a"),
        ("PUT /a?p=2&r=1&p=1", "/a q:p=1 q:r=1"),
        ("PUT /a?%70=%31&r=1", "/a q:p=1 q:r=1"),
        // Both ask for one header: the first that is listed wins.
        ("PUT /a x=1 y=1", "/a h:x=1"),
        ("PUT /a x=2", "/a h:x=2 h:y-"),
        ("PUT /a x=2 y=1", "/a h:y+"),
        ("PUT /a z=1", "/a"),
        ("PUT /a/b z=1", "/a… h:z+"),
        ("PUT /b x=1", "/b h:x=1"),
        ("PUT /b x=2", "/b…"),
        ("GET /b x=2", "GET /b h:x=2"),
    ] {
        assert_eq!(find(&table, request), Ok(expected), "{request}");
    }
    assert_eq!(find(&table, "GET /a/b"), Err(String::new()));
    assert_eq!(find(&table, "GET /c x=1"), Err("PUT".into()));
    assert_eq!(find(&table, "GET /c"), Err(String::new()), "no method would help");
}

#[test]
fn a_route_that_no_request_would_reach_is_refused() {
    let refused = |routes: &[&str]| match table(routes) {
        Ok(_) => String::new(),
        Err(wrong) => wrong.iter().map(|invalid| invalid.message.split("; ").next().unwrap()).collect(),
    };
    for (first, second) in [
        ("PUT /a h:x=1", "GET,PUT /a h:x=1"),
        ("/a h:x=1 h:y+", "/a h:y+ h:x=1"),
        ("GET,PUT /a q:p=1", "PUT,POST /a q:p=1"),
    ] {
        assert_eq!(refused(&[first, second]), format!("route `{first}` takes the same requests"));
    }
    for (first, second) in [
        ("/a h:x+", "/a h:x=1"),
        ("/a h:x^1", "/a h:x=12"),
        ("/a h:x^1 q:p+", "/a h:x^12 q:p=1"),
        ("PUT /a h:x+", "GET,PUT /a h:x=1"),
    ] {
        let reason = "takes every request that this one would, since it is listed first";
        assert_eq!(refused(&[first, second]), format!("route `{first}` {reason}"));
        assert_eq!(refused(&[second, first]), "", "{second} before {first}");
    }
    for (first, second) in [
        ("/a", "/a h:x=1"),
        ("/a h:x=1", "/a h:x=2"),
        ("/a h:x+", "/a h:x-"),
        ("/a h:x=1", "/a q:x=1"),
        ("/a h:x+", "GET /a h:x=1"),
        ("GET /a h:x+", "/a h:x=1"),
        ("/a h:x+", "/a… h:x+"),
    ] {
        assert_eq!(refused(&[first, second]), "");
        assert_eq!(refused(&[second, first]), "");
    }
    let route = route("r", "/a h:x_forwarded_for=10.0.0.1");
    let wrong = Table::build(&config([route]), &services()).unwrap_err();
    assert!(wrong[0].message.contains("header `x_forwarded_for`"), "{}", wrong[0]);
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
    let clash = "takes the same requests; change the host, path, methods, headers or query of one of them";
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
