//! Connections that change their protocol: on plain routes, when the service agrees, and never otherwise.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use common::double::{Double, Fate, committed};
use common::service::Service;
use common::wire::Wire;
use common::{Setup, until};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use unanimo_gateway::Drained;

const WISH: &str = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-key: k\r\n\r\n";

const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\r\n";

/// A service that agrees, and then does as the script says.
fn agreeing(script: impl Fn(&mut Wire) + Send + Sync + 'static) -> Service {
    Service::start(move |wire, seen| {
        seen(wire.request());
        wire.send(AGREED);
        script(wire);
    })
}

fn echoing() -> Service {
    agreeing(|wire| {
        loop {
            let line = wire.line();
            wire.send(format!("echo {line}\r\n"));
            if line == "end" {
                return;
            }
        }
    })
}

#[test]
fn what_either_side_says_reaches_the_other() {
    let service = echoing();
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send(WISH);
    let answer = wire.head();
    assert_eq!(answer.status(), 101);
    assert_eq!((answer.header("connection"), answer.header("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(answer.header("sec-websocket-accept"), Some("a"));
    let request = service.request();
    assert_eq!(
        (request.header("connection"), request.header("upgrade")),
        (Some("upgrade"), Some("websocket"))
    );
    assert_eq!(
        (request.header("sec-websocket-key"), request.header("via")),
        (Some("k"), Some("1.1 unanimo"))
    );
    for word in ["one", "two", "GET /smuggled HTTP/1.1"] {
        wire.send(format!("{word}\r\n"));
        assert_eq!(wire.line(), format!("echo {word}"));
    }
    assert_eq!(gateway.metric("gateway_tunnels"), 1.0);
    wire.send("end\r\n");
    assert_eq!(wire.line(), "echo end");
    wire.assert_closed();
    drop(wire);
    until("the tunnel has ended", || gateway.metric("gateway_tunnels") == 0.0);
    until("its connection too", || gateway.metric("gateway_connections") == 0.0);
    assert_eq!(gateway.metric("gateway_requests_total{route=\"all\",status=\"2xx\"}"), 1.0);
    assert!(service.saw_nothing());
}

#[test]
fn what_either_side_says_too_early_is_not_lost() {
    let service = Service::start(|wire, _| {
        wire.request();
        wire.send([AGREED, "first\r\n"].concat());
        let line = wire.line();
        wire.send(format!("then {line}\r\n"));
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send([WISH, "eager\r\n"].concat());
    assert_eq!(wire.head().status(), 101);
    assert_eq!((wire.line(), wire.line()), ("first".to_owned(), "then eager".to_owned()));
    wire.assert_closed();
}

#[test]
fn much_passes_both_ways_while_little_is_held() {
    // More than the sockets on the way can hold.
    const MUCH: usize = 32 << 20;
    let open = Arc::new(Barrier::new(2));
    let service = agreeing({
        let open = open.clone();
        move |wire| {
            open.wait();
            let all = wire.take(MUCH);
            wire.send(all);
        }
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send(WISH);
    assert_eq!(wire.head().status(), 101);
    let sent: Vec<u8> = (0..MUCH).map(|at| (at * 31 + at / 4096) as u8).collect();
    let mut sender = wire.second();
    let sending = std::thread::spawn({
        let sent = sent.clone();
        move || sender.send(sent)
    });
    // Until the service reads, the client is held up: somebody would have to hold the rest.
    std::thread::sleep(Duration::from_millis(100));
    assert!(!sending.is_finished());
    open.wait();
    assert!(wire.take(MUCH) == sent);
    sending.join().unwrap();
}

#[test]
fn a_side_that_has_said_all_still_hears_the_rest() {
    let service = agreeing(|wire| {
        let all = wire.rest();
        wire.send([b"heard ", all.as_slice()].concat());
    });
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send(WISH);
    assert_eq!(wire.head().status(), 101);
    wire.send("all");
    wire.finish_sending();
    assert_eq!(wire.rest(), b"heard all");
}

#[test]
fn a_tunnel_in_which_nothing_moves_ends() {
    let service = echoing();
    let mut setup = Setup::forwarding(service.address);
    setup.limits.tunnel_idle_timeout = Duration::from_millis(300);
    let gateway = setup.start();
    let mut wire = gateway.connect();
    wire.send(WISH);
    assert_eq!(wire.head().status(), 101);
    for word in ["a", "b", "c", "d"] {
        std::thread::sleep(Duration::from_millis(120));
        wire.send(format!("{word}\r\n"));
        assert_eq!(wire.line(), format!("echo {word}"), "what moves is not idle");
    }
    wire.assert_closed();
    until("it is counted", || gateway.metric("gateway_tunnels") == 0.0);
}

#[test]
fn a_worker_that_drains_ends_its_tunnels_at_once() {
    let service = echoing();
    let mut gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    wire.send(WISH);
    assert_eq!(wire.head().status(), 101);
    wire.send("word\r\n");
    assert_eq!(wire.line(), "echo word");
    gateway.leave();
    wire.assert_closed();
    drop(wire);
    assert_eq!(gateway.end(), Drained { cut: 0 });
}

#[test]
fn an_answer_that_is_no_change_is_an_answer() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    let mut wire = gateway.connect();
    for _ in 0..2 {
        wire.send(WISH);
        let answer = wire.answer();
        assert_eq!((answer.text(), answer.header("upgrade")), ("ok", None));
    }
    // The connection is still one of requests, and each of them finds its route.
    wire.send("GET /problems/refused HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(wire.answer().status(), 200);
    assert_eq!(gateway.metric("gateway_tunnels"), 0.0);
}

#[test]
fn a_change_to_another_protocol_than_was_wanted_is_not_followed() {
    for upgrade in ["upgrade: x-chat/2\r\n", "upgrade: websocket, x-chat/2\r\n", "upgrade: h2c\r\n", ""] {
        let service = Service::answering(format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}\r\n"));
        let gateway = Setup::forwarding(service.address).start();
        let answer = gateway.ask(WISH);
        assert_eq!((answer.problem().as_str(), answer.header("upgrade")), ("bad-gateway", None), "{upgrade}");
    }
}

#[test]
fn only_what_the_route_lists_may_be_wanted() {
    let service = Service::ok();
    let gateway = Setup::forwarding(service.address).start();
    for (headers, problem) in [
        ("connection: upgrade\r\nupgrade: h3\r\n", "not-implemented"),
        ("connection: upgrade\r\nupgrade: h2c, tls/1.2\r\n", "not-implemented"),
        ("upgrade: websocket\r\n", "bad-request"),
        ("connection: close\r\nupgrade: websocket\r\n", "bad-request"),
        ("connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n", "not-implemented"),
        ("connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n", "not-implemented"),
    ] {
        let answer = gateway.ask(&format!("GET / HTTP/1.1\r\nhost: h\r\n{headers}\r\n"));
        assert_eq!(answer.problem(), problem, "{headers}");
    }
    assert_eq!(gateway.ask(&WISH.replace("1.1", "1.0")).problem(), "not-implemented");
    assert!(service.saw_nothing());
    gateway.ask("GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c, other, X-Chat/2\r\n\r\n");
    assert_eq!(service.request().header("upgrade"), Some("x-chat/2"));
}

#[test]
fn a_transaction_changes_no_protocol() {
    let gateway = Setup::transacting(Double::always(Fate::Reply(committed()))).start();
    let wish = WISH.replace("GET /chat", "POST /transfers/1");
    assert_eq!(gateway.ask(&wish).problem(), "not-implemented");
    assert_eq!(gateway.ask(&WISH.replace("/chat", "/problems/refused")).problem(), "not-implemented");
    assert_eq!(gateway.double.submissions().len(), 0);
}
