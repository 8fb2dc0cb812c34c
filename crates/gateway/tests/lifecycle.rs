//! How a worker ends, and what becomes of those whom it serves.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::double::{Double, Fate, committed};
use common::service::Service;
use common::{Setup, until};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Duration;
use unanimo_gateway::Drained;

/// A service that answers each request when the test comes to the barrier.
fn held() -> (Service, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    let theirs = barrier.clone();
    let service = Service::start(move |wire, seen| {
        loop {
            seen(wire.request());
            theirs.wait();
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    (service, barrier)
}

#[test]
fn a_worker_that_ends_lets_requests_end_and_closes_what_is_idle() {
    let (service, barrier) = held();
    let mut gateway = Setup::forwarding(service.address).start();
    let mut idle = gateway.connect();
    idle.send("GET /problems/refused HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(idle.answer().status(), 200);
    let mut busy = gateway.connect();
    busy.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    service.request();
    gateway.leave();
    idle.assert_closed();
    until("nobody is listened to", || TcpStream::connect(gateway.address).is_err());
    assert!(!gateway.has_ended());
    barrier.wait();
    let answer = busy.answer();
    assert_eq!((answer.text(), answer.header("connection")), ("ok", Some("close")));
    busy.assert_closed();
    assert_eq!(gateway.end(), Drained { cut: 0 });
}

#[test]
fn a_request_that_crosses_the_end_on_an_idle_connection_is_served_as_the_last() {
    let mut gateway = Setup::forwarding(Service::ok().address).start();
    let mut idle = gateway.connect();
    idle.send("GET /problems/refused HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(idle.answer().header("connection"), None);
    gateway.leave();
    until("nobody is listened to", || TcpStream::connect(gateway.address).is_err());
    idle.send("GET /problems/refused HTTP/1.1\r\nhost: h\r\n\r\n");
    let answer = idle.answer();
    assert_eq!((answer.status(), answer.header("connection")), (200, Some("close")));
    idle.assert_closed();
    assert_eq!(gateway.end(), Drained { cut: 0 });
}

#[test]
fn the_grace_has_an_end() {
    let (service, _barrier) = held();
    let mut setup = Setup::forwarding(service.address);
    setup.limits.grace = Duration::from_millis(200);
    let mut gateway = setup.start();
    let mut busy = gateway.connect();
    busy.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    service.request();
    assert_eq!(gateway.end(), Drained { cut: 1 });
    busy.assert_closed();
}

#[test]
fn a_worker_with_nobody_ends_at_once() {
    let mut gateway = Setup::default().start();
    assert_eq!(gateway.end(), Drained { cut: 0 });
    assert!(TcpStream::connect(gateway.address).is_err());
}

#[test]
fn whoever_was_connected_before_the_end_is_served_once() {
    let (busy, free) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let double = Double::new({
        let (busy, free) = (busy.clone(), free.clone());
        move |submission| {
            if submission.request.path == "/transfers/busy" {
                busy.wait();
                free.wait();
            }
            Fate::Reply(committed())
        }
    });
    let mut gateway = Setup::transacting(double).start();
    let mut first = gateway.connect();
    first.send("POST /transfers/busy HTTP/1.1\r\nhost: h\r\n\r\n");
    // The worker's thread can do nothing now: the next client is connected by the system alone.
    busy.wait();
    let mut second = gateway.connect();
    second.send("POST /transfers/2 HTTP/1.1\r\nhost: h\r\n\r\n");
    gateway.leave();
    free.wait();
    for wire in [&mut first, &mut second] {
        assert_eq!(wire.answer().status(), 200);
        wire.assert_closed();
    }
    assert_eq!(gateway.end(), Drained { cut: 0 });
}

#[test]
fn a_client_that_hangs_up_ends_its_plain_request() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.assert_closed();
        seen(common::wire::Message {
            line: "closed".into(),
            headers: vec![],
            body: vec![],
            trailers: vec![],
        });
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    service.request();
    drop(wire);
    assert_eq!(service.request().line, "closed");
    until("it is counted", || gateway.metric("gateway_requests_total{route=\"all\",status=\"none\"}") == 1.0);
}

#[test]
fn a_client_that_hangs_up_in_an_answer_ends_it() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
        // It never ends by itself.
        while wire.try_send(&chunk) {}
        seen(common::wire::Message {
            line: "closed".into(),
            headers: vec![],
            body: vec![],
            trailers: vec![],
        });
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.head().status(), 200);
    service.request();
    drop(wire);
    assert_eq!(service.request().line, "closed");
    until("it is closed", || gateway.metric("gateway_connections") == 0.0);
}

#[test]
fn a_waiting_transaction_is_not_cut_before_its_grace() {
    let mut setup = Setup::transacting(Double::always(Fate::Silence));
    setup.limits.grace = Duration::from_millis(200);
    let mut gateway = setup.start();
    let mut wire = gateway.connect();
    wire.send("POST /transfers/1 HTTP/1.1\r\nhost: h\r\n\r\n");
    until("it is submitted", || gateway.double.submissions().len() == 1);
    assert_eq!(gateway.end(), Drained { cut: 1 });
    wire.assert_closed();
}
