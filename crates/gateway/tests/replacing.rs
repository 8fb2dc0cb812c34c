//! Rules that are replaced while a worker serves.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::{Setup, plain, until};
use std::sync::{Arc, Barrier};
use unanimo_gateway::PathMatch;
use unanimo_upstream::ServiceConfig;

fn at(service: &Service) -> ServiceConfig {
    ServiceConfig { endpoints: vec![service.address.to_string()], ..ServiceConfig::default() }
}

#[test]
fn a_request_under_way_ends_under_the_rules_with_which_it_came() {
    let barrier = Arc::new(Barrier::new(2));
    let theirs = barrier.clone();
    let old = Service::start(move |wire, seen| {
        seen(wire.request());
        theirs.wait();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold");
    });
    let new = Service::answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew");
    let mut setup = Setup::forwarding(old.address);
    setup.routes = vec![plain("one", PathMatch::Prefix("/x".into()))];
    let gateway = setup.start();
    let mut busy = gateway.connect();
    busy.send("GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    old.request();
    gateway.replace(vec![plain("other", PathMatch::Prefix("/y".into()))], at(&new));
    until("the new rules are in force", || {
        gateway.ask("GET /y HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").status() == 200
    });
    barrier.wait();
    assert_eq!(busy.answer().text(), "old");
    // The connection was never in the way.
    busy.send("GET /x HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(busy.answer().status(), 404);
    busy.send("GET /y HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(busy.answer().text(), "new");
}

#[test]
fn connections_to_a_service_survive_and_so_do_the_counts_of_a_route() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    for round in 0..20 {
        wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(wire.answer().status(), 200, "{round}");
        service.request();
        gateway.replace(vec![plain("all", PathMatch::Prefix("/".into()))], at(&service));
    }
    assert_eq!(service.connections(), 1);
    assert_eq!(gateway.metric("gateway_requests_total{route=\"all\",status=\"2xx\"}"), 20.0);
}
