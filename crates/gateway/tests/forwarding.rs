//! Plain routes, as they are on the wire.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::service::Service;
use common::{Gateway, Setup, until};

fn forwarding(service: &Service) -> Gateway {
    Setup::forwarding(service.address).start()
}

#[test]
fn a_request_goes_there_and_its_answer_comes_back() {
    let service = Service::answering(
        "HTTP/1.1 201 Created\r\nlocation: /orders/7\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 4\r\n\r\ndone",
    );
    let gateway = forwarding(&service);
    let answer = gateway.ask(
        "POST /orders?x=%20y&z HTTP/1.1\r\nhost: shop.example:8080\r\naccept: a\r\naccept: b\r\n\
         authorization: Bearer mine\r\ncontent-length: 5\r\n\r\nhello",
    );
    assert_eq!((answer.status(), answer.text()), (201, "done"));
    assert_eq!(answer.header("location"), Some("/orders/7"));
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert!(answer.header("date").is_some());
    let request = service.request();
    assert_eq!(request.line, "POST /orders?x=%20y&z HTTP/1.1");
    assert_eq!(request.text(), "hello");
    assert_eq!(request.header("host"), Some("shop.example:8080"));
    assert_eq!(request.header("content-length"), Some("5"));
    assert_eq!(request.all("accept"), ["a", "b"]);
    assert_eq!(request.header("authorization"), Some("Bearer mine"), "a client's own credential passes");
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.header("x-forwarded-proto"), Some("http"));
    assert_eq!(request.header("x-forwarded-host"), Some("shop.example:8080"));
    assert_eq!(request.header("via"), Some("1.1 unanimo"));
    assert_eq!(gateway.metric("gateway_requests_total{route=\"all\",status=\"2xx\"}"), 1.0);
}

#[test]
fn what_concerns_one_connection_stays_on_it() {
    let service = Service::answering(
        "HTTP/1.1 200 OK\r\nconnection: x-inner, keep-alive\r\nx-inner: 1\r\nkeep-alive: timeout=5\r\n\
         upgrade: h2c\r\nproxy-authenticate: Basic\r\nx-outer: 2\r\ncontent-length: 0\r\n\r\n",
    );
    let gateway = forwarding(&service);
    let answer = gateway.ask(
        "GET / HTTP/1.1\r\nhost: h\r\nconnection: x-secret, Keep-Alive, host\r\nx-secret: 1\r\nkeep-alive: 5\r\n\
         proxy-connection: keep-alive\r\nte: gzip\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nx-open: 1\r\n\
         x-forwarded-for: 10.0.0.1\r\nx_forwarded_for: 10.0.0.1\r\nforwarded: for=10.0.0.1\r\nx-real-ip: 10.0.0.1\r\n\
         unanimo-transaction: x\r\nUnanimo_Branch: x\r\n\r\n",
    );
    assert_eq!(answer.status(), 200, "an offer of h2c is not taken up, and does no harm");
    let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-outer", "content-length", "date"]);
    let request = service.request();
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "host",
            "http2-settings",
            "traceparent",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-open"
        ]
    );
    assert_eq!(request.header("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn both_connections_are_used_again() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    for at in 0..50 {
        wire.send(format!("GET /{at} HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert_eq!(wire.answer().text(), "ok");
        assert_eq!(service.request().line, format!("GET /{at} HTTP/1.1"));
    }
    assert_eq!(service.connections(), 1);
    assert_eq!(gateway.metric("gateway_connections_accepted_total"), 1.0);
    wire.send("GET /last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    assert_eq!(wire.answer().header("connection"), Some("close"));
    wire.assert_closed();
    until("the connection is counted as closed", || gateway.metric("gateway_connections") == 0.0);
}

#[test]
fn requests_in_one_packet_are_answered_in_their_order() {
    let service = Service::start(|wire, _| {
        loop {
            let request = wire.request();
            let path = request.line.split(' ').nth(1).unwrap().to_owned();
            wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len()));
        }
    });
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    let requests: Vec<_> = (0..40)
        .map(|at| match at % 3 {
            0 => format!("GET /{at} HTTP/1.1\r\nhost: h\r\n\r\n"),
            1 => format!("POST /{at} HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"),
            _ => format!(
                "POST /{at} HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            ),
        })
        .collect();
    wire.send(requests.concat());
    for at in 0..40 {
        assert_eq!(wire.answer().text(), format!("/{at}"));
    }
}

#[test]
fn bodies_in_chunks_pass_both_ways_as_they_come() {
    let service = Service::start(|wire, seen| {
        let head = wire.head();
        assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        // An echo of each chunk, before the next one is sent: nothing may be held back.
        for _ in 0..3 {
            let length = usize::from_str_radix(&wire.line(), 16).unwrap();
            let chunk = String::from_utf8(wire.take(length)).unwrap();
            assert_eq!(wire.line(), "");
            wire.send(format!("{length:x}\r\n{chunk}\r\n"));
        }
        assert_eq!((wire.line(), wire.line()), ("0".to_owned(), String::new()));
        wire.send("0\r\n\r\n");
        seen(head);
    });
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: Chunked\r\n\r\n");
    for part in ["one", "two!", "three"] {
        wire.send(format!("{:x};ext=1\r\n{part}\r\n", part.len()));
        if part == "one" {
            let head = wire.head();
            assert_eq!(head.header("transfer-encoding"), Some("chunked"));
        }
        let length = usize::from_str_radix(&wire.line(), 16).unwrap();
        assert_eq!(wire.take(length), part.as_bytes());
        assert_eq!(wire.line(), "");
    }
    wire.send("0\r\n\r\n");
    assert_eq!((wire.line(), wire.line()), ("0".to_owned(), String::new()));
    service.request();
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    for body in [
        "content-length: 26\r\n\r\nabcdefghijklmnopqrstuvwxyz",
        "transfer-encoding: chunked\r\n\r\n1\r\na\r\n19\r\nbcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
    ] {
        let mut wire = gateway.connect();
        wire.dribble(format!("PUT /slow HTTP/1.1\r\nhost: h\r\n{body}"));
        assert_eq!(wire.answer().text(), "ok");
        assert_eq!(service.request().text(), "abcdefghijklmnopqrstuvwxyz");
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let service = Service::start(|wire, seen| {
        loop {
            seen(wire.request());
            wire.dribble("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nbyte by byte");
        }
    });
    let gateway = forwarding(&service);
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").text(), "byte by byte");
}

#[test]
fn large_bodies_pass_whole() {
    let service = Service::start(|wire, _| {
        let request = wire.request();
        wire.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", request.body.len()));
        wire.send(&request.body);
    });
    let gateway = forwarding(&service);
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let mut wire = gateway.connect();
    wire.send(format!("PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", body.len()));
    wire.send(&body);
    assert!(wire.answer().body == body);
}

#[test]
fn head_has_the_length_and_no_body() {
    let service = Service::start(|wire, seen| {
        loop {
            let request = wire.request();
            let is_head = request.line.starts_with("HEAD");
            seen(request);
            wire.send(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
                if is_head { "" } else { "hello" }
            ));
        }
    });
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    wire.send("HEAD / HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer_to_head().header("content-length"), Some("5"));
    assert_eq!(wire.answer().text(), "hello");
    wire.send("HEAD /problems/refused HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_ne!(wire.answer_to_head().header("content-length"), Some("0"));
    assert_eq!(wire.answer().text(), "hello");
}

#[test]
fn answers_without_a_body_have_none() {
    for status in ["204 No Content", "304 Not Modified"] {
        let service = Service::answering(format!("HTTP/1.1 {status}\r\netag: \"x\"\r\n\r\n"));
        let gateway = forwarding(&service);
        let mut wire = gateway.connect();
        for _ in 0..2 {
            wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
            let answer = wire.answer();
            assert_eq!(answer.header("etag"), Some("\"x\""));
            assert_eq!(answer.header("transfer-encoding"), None);
        }
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_given_an_end() {
    let service = Service::start(|wire, seen| {
        seen(wire.request());
        wire.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        let answer = wire.answer();
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        assert_eq!(answer.text(), "until the end");
    }
}

#[test]
fn a_client_of_http_1_0_is_understood() {
    let service =
        Service::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.0\r\n\r\n");
    let answer = wire.answer();
    assert_eq!(answer.line, "HTTP/1.0 200 OK");
    assert_eq!((answer.header("transfer-encoding"), answer.text()), (None, "ok"));
    let request = service.request();
    assert_eq!(request.line, "GET / HTTP/1.1");
    assert_eq!(request.header("host"), Some(service.address.to_string().as_str()));
    assert_eq!(request.header("x-forwarded-host"), None);
}

#[test]
fn a_client_that_waits_is_told_to_go_on_only_when_the_service_reads() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    wire.send("POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(wire.head().line, "HTTP/1.1 100 Continue");
    wire.send("hello");
    assert_eq!(wire.answer().text(), "ok");
    let request = service.request();
    assert_eq!((request.header("expect"), request.text()), (None, "hello"));
    // Refused without a look at the body: the client never sends it.
    wire.send("POST /a%2Fb HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(wire.answer().problem(), "bad-request");
    wire.assert_closed();
}

#[test]
fn trailers_of_answers_pass_to_those_who_take_them() {
    let service = Service::answering(
        "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
    );
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    wire.send("GET / HTTP/1.1\r\nhost: h\r\nte: trailers, gzip\r\nconnection: te\r\n\r\n");
    let answer = wire.answer();
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let request = service.request();
    assert_eq!((request.header("te"), request.header("connection")), (Some("trailers"), Some("te")));
    wire.send("GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().trailers, []);
    assert_eq!(service.request().header("te"), None);
}

#[test]
fn trailers_of_requests_are_dropped() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    let answer = gateway.ask(
        "POST / HTTP/1.1\r\nhost: h\r\ntrailer: unanimo-branch\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nunanimo-branch: x\r\n\r\n",
    );
    assert_eq!(answer.text(), "ok");
    let request = service.request();
    assert_eq!((request.text(), request.trailers.len(), request.header("trailer")), ("hi", 0, None));
}

#[test]
fn another_protocol_is_refused() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    for request in [
        "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h3\r\n\r\n",
        "CONNECT h:80 HTTP/1.1\r\nhost: h:80\r\n\r\n",
        "TRACE / HTTP/1.1\r\nhost: h\r\n\r\n",
    ] {
        let answer = gateway.ask(request);
        assert_eq!((answer.status(), answer.problem().as_str()), (501, "not-implemented"), "{request}");
    }
    assert!(service.saw_nothing());
}

#[test]
fn a_service_that_changes_its_protocol_unasked_is_not_followed() {
    let service =
        Service::answering("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    let gateway = forwarding(&service);
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").problem(), "bad-gateway");
}

#[test]
fn an_offer_of_http2_leaves_the_connection_in_use() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    let mut wire = gateway.connect();
    for headers in ["connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n", "", ""] {
        wire.send(format!("GET / HTTP/1.1\r\nhost: h\r\n{headers}\r\n"));
        assert_eq!(wire.answer().text(), "ok");
        assert_eq!(service.request().header("http2-settings"), None);
    }
    assert_eq!(service.connections(), 1);
}

#[test]
fn a_trace_goes_on_with_a_step_of_our_own_or_begins_here() {
    let service = Service::ok();
    let gateway = forwarding(&service);
    let sent = |headers: &str| {
        gateway.ask(&format!("GET / HTTP/1.1\r\nhost: h\r\n{headers}\r\n"));
        let request = service.request();
        assert_eq!(request.all("traceparent").len(), 1);
        let parts: Vec<_> = request.header("traceparent").unwrap().split('-').map(str::to_owned).collect();
        let [version, trace, step, flags] = parts.try_into().unwrap();
        assert_eq!((version.as_str(), trace.len(), step.len()), ("00", 32, 16));
        (trace, step, flags, request.all("tracestate").join(";"))
    };
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let named = format!("traceparent: 00-{trace}-{parent}-00\r\n");
    let state = "tracestate: a=1, b=2\r\ntracestate: c=3\r\n";
    let mut steps = vec![parent.to_owned()];
    for _ in 0..2 {
        let (same, step, flags, state) = sent(&format!("{named}{state}"));
        assert_eq!((same.as_str(), flags.as_str(), state.as_str()), (trace, "00", "a=1, b=2;c=3"));
        assert!(!steps.contains(&step), "{step} again");
        steps.push(step);
    }
    let mut traces = vec![trace.to_owned(), "0".repeat(32)];
    for broken in
        ["", state, &format!("{named}{named}{state}"), &format!("traceparent: 00-{trace}\r\n{state}")]
    {
        let (other, _, flags, state) = sent(broken);
        assert_eq!((flags.as_str(), state.as_str()), ("01", ""), "{broken}");
        assert!(!traces.contains(&other), "{other} again");
        traces.push(other);
    }
}
