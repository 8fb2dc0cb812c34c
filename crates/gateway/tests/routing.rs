//! Which route a request takes, and in which form its path goes on.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::{Setup, plain};
use unanimo_gateway::{Action, PathMatch, ValueMatch};

#[test]
fn a_whole_target_says_the_host() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    gateway.ask("GET http://inner.example:81/a/../b?q HTTP/1.1\r\nhost: outer\r\n\r\n");
    let request = service.request();
    assert_eq!(request.line, "GET /b?q HTTP/1.1");
    assert_eq!(request.header("host"), Some("inner.example:81"));
    gateway.ask("GET http://inner.example HTTP/1.1\r\nhost: outer\r\n\r\n");
    assert_eq!(service.request().line, "GET / HTTP/1.1");
}

#[test]
fn what_was_matched_is_what_is_sent() {
    let service = Service::ok();
    let mut setup = Setup::forwarding(service.address);
    setup.routes.push(plain("api", PathMatch::Prefix("/api/{tenant}".into())));
    if let Action::Proxy(api) = &mut setup.routes[1].action {
        api.rewrite_prefix = Some("/v1".to_owned());
    }
    let gateway = setup.start();
    for (asked, sent) in [
        ("/x/%2e%2e/%61//b?a=%2e//..", "/a/b?a=%2e//.."),
        ("/a%20b%3b", "/a%20b%3B"),
        ("/api/t1/x%3fy/", "/v1/x%3Fy/"),
        ("/api/t1?z", "/v1?z"),
        ("/x/../api//t1/y", "/v1/y"),
        ("/api", "/api"),
    ] {
        gateway.ask(&format!("GET {asked} HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert_eq!(service.request().line, format!("GET {sent} HTTP/1.1"), "{asked}");
    }
    for asked in ["/a%2Fb", "/..", "/a/..;/b", "/%00", "/a\\b", "*", "/%ff", "/a//../b"] {
        let answer = gateway.ask(&format!("OPTIONS {asked} HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert_eq!(answer.problem(), "bad-request", "{asked}");
    }
    assert!(service.saw_nothing());
}

#[test]
fn the_route_is_chosen_by_host_path_and_method() {
    let service = Service::ok();
    let mut setup = Setup::forwarding(service.address);
    setup.routes[0].matching.host = Some("a.example".to_owned());
    setup.routes[0].matching.methods = vec![http::Method::GET, http::Method::PUT];
    let gateway = setup.start();
    assert_eq!(gateway.ask("GET /x HTTP/1.1\r\nhost: A.example.:8080\r\n\r\n").status(), 200);
    let answer = gateway.ask("DELETE /x HTTP/1.1\r\nhost: a.example\r\n\r\n");
    assert_eq!((answer.problem().as_str(), answer.header("allow")), ("method-not-allowed", Some("GET, PUT")));
    assert_eq!(gateway.ask("GET /x HTTP/1.1\r\nhost: b.example\r\n\r\n").problem(), "no-route");
    assert_eq!(gateway.ask("GET /x HTTP/1.0\r\n\r\n").problem(), "no-route");
    assert_eq!(gateway.metric("gateway_requests_total{route=\"(none)\",status=\"4xx\"}"), 3.0);
}

#[test]
fn the_route_is_chosen_by_headers_and_query_too() {
    let (service, other) = (Service::ok(), Service::ok());
    let mut setup = Setup::forwarding(service.address);
    setup.service.endpoints.push(other.address.to_string());
    for (name, header, query) in
        [("gold", Some("gold"), None), ("beta", None, Some("a b")), ("both", Some("gold"), Some("a b"))]
    {
        let mut route = plain(name, PathMatch::Prefix("/".into()));
        let exact = |text: &str| ValueMatch::Exact(text.to_owned());
        route
            .matching
            .headers
            .extend(header.map(|text| (http::HeaderName::from_static("x-tenant"), exact(text))));
        route.matching.query.extend(query.map(|text| ("beta".to_owned(), exact(text))));
        setup.routes.push(route);
    }
    let gateway = setup.start();
    // A worker that has served is one that counts.
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
    for (target, line, route) in [
        ("/", "", "all"),
        ("/?beta=a", "x-tenant: silver\r\n", "all"),
        ("/", "x-tenant: silver\r\nX-Tenant: gold\r\n", "gold"),
        ("/x?q&b%65ta=a+b", "", "beta"),
        ("/?beta=a%20b", "x-tenant: gold\r\n", "both"),
    ] {
        let metric = format!("gateway_requests_total{{route=\"{route}\",status=\"2xx\"}}");
        let before = gateway.metric(&metric);
        assert_eq!(gateway.ask(&format!("GET {target} HTTP/1.1\r\nhost: h\r\n{line}\r\n")).status(), 200);
        assert_eq!(gateway.metric(&metric), before + 1.0, "{target} {line}");
    }
}
