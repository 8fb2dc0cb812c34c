//! Requests that two programs might read differently: refused, or read in one way and the connection closed.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::Setup;
use common::service::Service;

/// A request that nobody may ever see on its own.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n";

#[test]
fn what_has_no_clear_end_is_refused_and_the_connection_closed() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    for head in [
        "content-length: 3\r\ncontent-length: 4",
        "content-length: +3",
        "content-length: 3, 4",
        "content-length: -1",
        "content-length: 0x3",
        "content-length: 99999999999999999999",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, gzip",
        "transfer-encoding: identity",
        "transfer-encoding: gzip, chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "content-length : 3",
        " content-length: 3",
        "x: y\r\n content-length: 3",
        "x\r\ncontent-length: 3",
    ] {
        let mut wire = gateway.connect();
        wire.send(format!("POST / HTTP/1.1\r\nhost: h\r\n{head}\r\n\r\n{SMUGGLED}"));
        // Some of it is answered by a status, some by closing at once.
        let said = String::from_utf8(wire.rest()).unwrap();
        let status = said.split(' ').nth(1).unwrap_or("none");
        assert!(["400", "501", "none"].contains(&status), "{head}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), usize::from(status != "none"), "{head}: {said}");
    }
    assert!(service.saw_nothing());
}

#[test]
fn one_coding_is_all_that_is_taken() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    for codings in
        ["transfer-encoding: chunked\r\ntransfer-encoding: chunked", "transfer-encoding: gzip, chunked"]
    {
        let mut wire = gateway.connect();
        wire.send(format!("POST / HTTP/1.1\r\nhost: h\r\n{codings}\r\n\r\n2\r\nhi\r\n0\r\n\r\n{SMUGGLED}"));
        assert_eq!(wire.answer().problem(), "not-implemented", "{codings}");
        wire.assert_closed();
    }
    assert!(service.saw_nothing());
}

#[test]
fn chunks_beat_a_length_and_end_the_connection() {
    for both in [
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "content-length: 3\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: nonsense",
    ] {
        let service = Service::ok();
        let gateway = Setup::forwarding(service.address).start();
        let mut wire = gateway.connect();
        wire.send(format!("POST / HTTP/1.1\r\nhost: h\r\n{both}\r\n\r\n2\r\nhi\r\n0\r\n\r\n{SMUGGLED}"));
        assert_eq!(wire.answer().text(), "ok");
        wire.assert_closed();
        let request = service.request();
        assert_eq!((request.text(), request.header("content-length")), ("hi", None), "{both}");
        assert!(service.saw_nothing(), "{both}");
    }
}

#[test]
fn an_old_client_has_no_chunks() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send(format!("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}"));
    assert_eq!(wire.answer().status(), 400);
    wire.assert_closed();
    assert!(service.saw_nothing());
}

#[test]
fn malformed_chunks_are_not_a_body() {
    for chunks in [
        "3\r\nabcd\r\n0\r\n\r\n",
        "zz\r\nab\r\n0\r\n\r\n",
        "-1\r\n\r\n",
        "fffffffffffffffff\r\na",
        "2\nab\n0\n\n",
    ] {
        let service = Service::start(|wire, seen| {
            // It must never see a whole request.
            let whole = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| wire.request()));
            if let Ok(request) = whole {
                seen(request);
            }
        });
        let gateway = Setup::forwarding(service.address).start();
        let mut wire = gateway.connect();
        wire.send(format!(
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{SMUGGLED}"
        ));
        let said = String::from_utf8(wire.rest()).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{chunks:?}: {said}");
        assert_eq!(said.matches("HTTP/1.1 ").count(), usize::from(!said.is_empty()), "{chunks:?}: {said}");
        assert!(service.saw_nothing(), "{chunks:?}");
    }
}

#[test]
fn there_is_one_host() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    for hosts in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host: a, b\r\n",
        "host: a@b\r\n",
        "host: a/b\r\n",
    ] {
        let answer = gateway.ask(&format!("GET / HTTP/1.1\r\n{hosts}\r\n"));
        assert_eq!(answer.problem(), "bad-request", "{hosts:?}");
    }
    assert_eq!(gateway.ask("GET http://u@h/ HTTP/1.1\r\nhost: h\r\n\r\n").problem(), "bad-request");
    assert!(service.saw_nothing());
}

#[test]
fn a_line_cannot_be_broken_in_two() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    for request in [
        "GET /a HTTP/1.1 \r\nhost: h\r\n\r\n",
        "GET  /a HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a b HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx: a\rb\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx: a\0b\r\n\r\n",
        "GET /a HTTP/1.1\r\nhost: h\r\nx y: a\r\n\r\n",
        "G\u{e4}T /a HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET /a HTTP/3.0\r\nhost: h\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let mut wire = gateway.connect();
        wire.send(request);
        let said = String::from_utf8(wire.rest()).unwrap();
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{request:?}: {said}");
    }
    assert!(service.saw_nothing());
}

#[test]
fn an_answer_with_two_lengths_has_one() {
    let service = Service::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let gateway = Setup::forwarding(service.address).start();
    let answer = gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!((answer.text(), answer.header("content-length")), ("ok", None));
    for contradiction in
        ["content-length: 2\r\ncontent-length: 3", "content-length: x", "transfer-encoding: gzip"]
    {
        let service = Service::start({
            let answer = format!("HTTP/1.1 200 OK\r\n{contradiction}\r\n\r\nok!");
            move |wire, _| {
                wire.request();
                wire.send(&answer);
            }
        });
        let gateway = Setup::forwarding(service.address).start();
        let answer = gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert!(answer.status() == 502 || answer.text() == "ok!", "{contradiction}: {answer:?}");
    }
}
