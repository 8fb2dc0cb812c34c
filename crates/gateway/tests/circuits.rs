//! What clients of plain routes see of a service whose circuit opens, and what they cannot do to it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::{Gateway, Setup};
use std::time::Duration;
use unanimo_gateway::Action;
use unanimo_upstream::CircuitConfig;

const OPEN: &str = "gateway_upstream_failures_total{route=\"all\",kind=\"circuit-open\"}";

/// A gateway whose service has a circuit that opens after two failures, and stays open.
fn with_circuit(service: &Service, timeout: Duration) -> Gateway {
    let mut setup = Setup::forwarding(service.address);
    let long = Duration::from_secs(3600);
    let circuit = CircuitConfig { failures: 2, open: long, cap: long, ..CircuitConfig::default() };
    setup.service.circuit = Some(circuit);
    for route in &mut setup.routes {
        if let Action::Proxy(proxy) = &mut route.action {
            proxy.timeout = timeout;
        }
    }
    setup.start()
}

#[test]
fn a_service_that_does_not_answer_in_time_is_left_alone() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.assert_closed();
    });
    let gateway = with_circuit(&service, Duration::from_millis(100));
    for request in
        ["GET / HTTP/1.1\r\nhost: h\r\n\r\n", "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"]
    {
        assert_eq!(gateway.ask(request).problem(), "gateway-timeout");
        service.request();
    }
    let answer = gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.problem().as_str(), answer.header("retry-after")), ("bad-gateway", Some("1")));
    assert!(answer.text().contains("nothing was sent"), "{}", answer.text());
    assert!(service.saw_nothing());
    assert_eq!(gateway.metric(OPEN), 1.0);
}

#[test]
fn a_service_that_breaks_off_while_it_is_sent_a_body_is_left_alone() {
    let service = Service::start(|wire, seen| {
        seen(wire.head());
    });
    let gateway = with_circuit(&service, Duration::from_secs(5));
    for _ in 0..2 {
        let answer = gateway.ask("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(answer.problem(), "bad-gateway");
    }
    assert_eq!(gateway.metric(OPEN), 0.0);
    gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(gateway.metric(OPEN), 1.0);
}

#[test]
fn clients_that_break_off_open_no_circuit() {
    let service = Service::start(|wire, _| {
        loop {
            let head = wire.head();
            if head.line.starts_with("GET") {
                wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            } else {
                wire.rest();
                return;
            }
        }
    });
    let gateway = with_circuit(&service, Duration::from_secs(5));
    for _ in 0..5 {
        let mut wire = gateway.connect();
        wire.send("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nnonsense");
        wire.rest();
        let mut wire = gateway.connect();
        wire.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nhi");
        wire.finish_sending();
        wire.rest();
    }
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").text(), "ok");
    assert_eq!(gateway.metric(OPEN), 0.0);
}
