//! Every input has a bound, in size and in time.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::wire::Wire;
use common::{Gateway, PATIENCE, Setup, transactional, until};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;
use unanimo_gateway::{Action, Limits};

/// Long enough that nothing is late by chance, short enough to wait for.
const SOON: Duration = Duration::from_millis(300);
/// What must not come.
const LATE: Duration = Duration::from_secs(3600);

/// Plain routes everywhere, but for `POST /transfers/{id}`.
fn limited(service: &Service, limits: Limits) -> Gateway {
    let mut setup = Setup::forwarding(service.address);
    setup.routes.push(transactional("transfer", "/transfers/{id}"));
    setup.limits = limits;
    setup.start()
}

/// Limits of which none comes soon.
fn patient() -> Limits {
    Limits { header_timeout: LATE, body_idle_timeout: LATE, idle_timeout: LATE, ..Limits::default() }
}

#[test]
fn a_head_that_never_ends_is_not_waited_for() {
    let service = Service::ok();
    let gateway = limited(&service, Limits { header_timeout: SOON, ..patient() });
    for start in ["", "GET / HTTP/1.1\r\nhost:"] {
        let mut wire = gateway.connect();
        wire.send(start);
        wire.assert_closed();
    }
    // Further bytes buy no time.
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\n");
    until("the connection is closed", || {
        std::thread::sleep(Duration::from_millis(20));
        !wire.try_send("x: y\r\n")
    });
    // Nor on a connection that has served before.
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().text(), "ok");
    wire.send("GET / HT");
    wire.assert_closed();
    until("all are closed", || gateway.metric("gateway_connections") == 0.0);
}

#[test]
fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let service = Service::start(|wire, _| {
        loop {
            wire.request();
            std::thread::sleep(SOON * 3);
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let gateway = limited(&service, Limits { header_timeout: SOON, idle_timeout: SOON, ..patient() });
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().text(), "ok");
    wire.assert_closed();
}

#[test]
fn a_head_may_be_as_long_as_it_may_be() {
    let service = Service::ok();
    let gateway = limited(&service, Limits { header_bytes: 8 * 1024, ..Limits::default() });
    let long = |bytes| format!("GET / HTTP/1.1\r\nhost: h\r\nx: {}\r\n\r\n", "y".repeat(bytes));
    assert_eq!(gateway.ask(&long(8_000)).text(), "ok");
    for request in
        [long(8_200), long(100_000), format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "x".repeat(9_000))]
    {
        let mut wire = gateway.connect();
        wire.send(request);
        assert_eq!(wire.answer().status(), 431);
        wire.assert_closed();
    }
    let many = format!("GET / HTTP/1.1\r\nhost: h\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_eq!(gateway.ask(&many).status(), 431);
}

#[test]
fn a_body_that_is_too_long_by_its_own_word_is_not_read() {
    let service = Service::ok();
    let limits = Limits { body_bytes: 1000, transaction_body_bytes: 100, ..Limits::default() };
    let gateway = limited(&service, limits);
    for (path, longest) in [("/plain", 1000), ("/transfers/1", 100)] {
        let head = |length| format!("POST {path} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n");
        let mut wire = gateway.connect();
        wire.send(head(longest) + &"x".repeat(longest));
        assert_eq!(wire.answer().status(), 200, "{path}");
        wire.send(head(longest + 1));
        let answer = wire.answer();
        assert_eq!((answer.status(), answer.problem().as_str()), (413, "too-large"), "{path}");
        assert_eq!(answer.header("connection"), Some("close"));
        // Whoever sends on regardless is not reset: that could cost it the answer.
        for _ in 0..20 {
            wire.send("x".repeat(10_000));
            std::thread::sleep(Duration::from_millis(2));
        }
        wire.assert_closed();
        // Whoever asks first is not told to go on.
        let mut wire = gateway.connect();
        wire.send(head(longest + 1).replace("\r\n\r\n", "\r\nexpect: 100-continue\r\n\r\n"));
        assert_eq!(wire.answer().problem(), "too-large");
    }
    service.request();
    assert!(service.saw_nothing());
    assert_eq!(gateway.double.submissions().len(), 1);
}

#[test]
fn a_body_that_turns_out_too_long_is_not_taken() {
    let service = Service::start(|wire, seen| {
        let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wire.request()));
        if let Ok(request) = whole {
            seen(request);
        }
    });
    let limits = Limits { body_bytes: 1000, transaction_body_bytes: 1000, ..Limits::default() };
    let gateway = limited(&service, limits);
    for path in ["/plain", "/transfers/1"] {
        let mut wire = gateway.connect();
        wire.send(format!("POST {path} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"));
        let chunk = format!("190\r\n{}\r\n", "x".repeat(400));
        wire.send(chunk.repeat(3));
        for _ in 0..50 {
            wire.try_send(&chunk);
        }
        assert_eq!(wire.answer().problem(), "too-large", "{path}");
        wire.assert_closed();
    }
    assert!(service.saw_nothing());
    assert_eq!(gateway.double.submissions().len(), 0);
}

#[test]
fn a_client_that_falls_silent_in_a_body_is_told_so() {
    let service = Service::start(|wire, _| {
        wire.head();
        wire.rest();
    });
    let gateway = limited(&service, Limits { body_idle_timeout: SOON, ..patient() });
    for path in ["/plain", "/transfers/1"] {
        for length in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
            let mut wire = gateway.connect();
            wire.send(format!("POST {path} HTTP/1.1\r\nhost: h\r\n{length}"));
            let answer = wire.answer();
            assert_eq!((answer.status(), answer.problem().as_str()), (408, "request-timeout"), "{path}");
            wire.assert_closed();
        }
    }
    assert_eq!(gateway.double.submissions().len(), 0);
}

#[test]
fn a_slow_body_is_no_silence_and_not_the_services_fault() {
    let service = Service::ok();
    let mut setup = Setup::forwarding(service.address);
    if let Action::Proxy(plain) = &mut setup.routes[0].action {
        plain.timeout = SOON;
    }
    setup.limits = Limits { body_idle_timeout: SOON * 2, ..patient() };
    let gateway = setup.start();
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\n");
    // In all longer than either limit.
    for byte in b"0123456789" {
        std::thread::sleep(SOON / 2);
        wire.send([*byte]);
    }
    assert_eq!(wire.answer().text(), "ok");
    assert_eq!(service.request().text(), "0123456789");
}

#[test]
fn a_service_that_does_not_answer_in_time_is_given_up() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        // The connection is closed, so that nobody takes a late answer for another one's.
        wire.assert_closed();
        seen(common::wire::Message {
            line: "closed".into(),
            headers: vec![],
            body: vec![],
            trailers: vec![],
        });
    });
    let mut setup = Setup::forwarding(service.address);
    if let Action::Proxy(plain) = &mut setup.routes[0].action {
        plain.timeout = SOON;
    }
    let gateway = setup.start();
    for request in
        ["GET / HTTP/1.1\r\nhost: h\r\n\r\n", "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi"]
    {
        let answer = gateway.ask(request);
        assert_eq!((answer.status(), answer.problem().as_str()), (504, "gateway-timeout"));
        service.request();
        assert_eq!(service.request().line, "closed");
    }
    assert_eq!(gateway.metric("gateway_upstream_failures_total{route=\"all\",kind=\"timeout\"}"), 2.0);
}

#[test]
fn a_service_that_falls_silent_in_its_answer_is_cut_off_visibly() {
    for head in ["content-length: 10\r\n\r\nabc", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let service = Service::start(move |wire, _| {
            wire.request();
            wire.send(format!("HTTP/1.1 200 OK\r\n{head}"));
            wire.rest();
        });
        let gateway = limited(&service, Limits { body_idle_timeout: SOON, ..patient() });
        let mut wire = gateway.connect();
        wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(wire.head().status(), 200);
        let rest = String::from_utf8(wire.rest()).unwrap();
        assert!(rest.contains("abc") && !rest.ends_with("0\r\n\r\n"), "{rest:?}");
    }
}

#[test]
fn a_service_that_breaks_off_is_told_apart_from_one_that_was_never_reached() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = Setup::forwarding(closed).start();
    let answer = gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.status(), answer.problem().as_str()), (502, "bad-gateway"));
    assert!(answer.text().contains("nothing was sent"), "{}", answer.text());
    assert_eq!(gateway.metric("gateway_upstream_failures_total{route=\"all\",kind=\"connect\"}"), 1.0);

    let service = Service::start(|wire, seen| seen(wire.request()));
    let gateway = Setup::forwarding(service.address).start();
    let answer = gateway.ask("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(answer.problem(), "bad-gateway");
    assert!(answer.text().contains("may have acted"), "{}", answer.text());
    service.request();
    assert!(service.saw_nothing(), "nothing is sent twice");

    let service = Service::start(|wire, _| {
        wire.request();
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.head().status(), 200);
    assert_eq!(wire.rest(), b"abc", "the client sees that seven bytes are missing");
}

#[test]
fn no_more_connections_to_a_service_than_it_may_have() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.rest();
    });
    let mut setup = Setup::forwarding(service.address);
    setup.service.connections = 1;
    let gateway = setup.start();
    let mut first = gateway.connect();
    first.send("GET /first HTTP/1.1\r\nhost: h\r\n\r\n");
    service.request();
    let answer = gateway.ask("GET /second HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.status(), answer.problem().as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[test]
fn a_worker_takes_no_more_connections_than_it_may() {
    let service = Service::ok();
    let gateway = limited(&service, Limits { connections: 2, ..Limits::default() });
    let ask = |wire: &mut Wire| {
        wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(wire.answer().text(), "ok");
    };
    let (mut first, mut second, mut third) = (gateway.connect(), gateway.connect(), gateway.connect());
    ask(&mut first);
    ask(&mut second);
    third.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(gateway.metric("gateway_connections"), 2.0);
    drop(first);
    assert_eq!(third.answer().text(), "ok", "it is served as soon as there is room");
    ask(&mut second);
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for() {
    let service = Service::start(|wire, _| {
        wire.request();
        // More than all buffers hold.
        let chunk = vec![b'x'; 1 << 20];
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", chunk.len() * 64));
        for _ in 0..64 {
            if !wire.try_send(&chunk) {
                return;
            }
        }
    });
    let gateway = limited(&service, Limits { body_idle_timeout: SOON, ..patient() });
    let mut stream = TcpStream::connect(gateway.address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    until("the connection is open", || gateway.metric("gateway_connections") == 1.0);
    until("it is closed", || gateway.metric("gateway_connections") == 0.0);
}
