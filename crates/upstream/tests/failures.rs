//! What breaks, and whether the service may have acted upon the request.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use common::{get, listen, one, run, service};
use http_body_util::BodyExt;
use socket2::{Domain, Socket, Type};
use unanimo_upstream::{Kind, Sent, ServiceConfig};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A service that does with its connections, one after another, exactly what a script says.
struct Script {
    address: SocketAddr,
    may_close: SyncSender<()>,
    closed: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Script {
    /// Each connection reads one request for each answer, writes the answer, and is closed after the last,
    /// as soon as it may.
    fn start(connections: &'static [&'static [&'static [u8]]]) -> Self {
        let listener = listen();
        let address = listener.local_addr().unwrap();
        let (may_close, allowed) = sync_channel(connections.len());
        let (done, closed) = sync_channel(connections.len());
        let thread = std::thread::spawn(move || play(&listener, connections, &allowed, &done));
        Self { address, may_close, closed, thread }
    }

    fn allow_close(&self) {
        self.may_close.send(()).unwrap();
    }

    /// Closes a connection while this worker looks away: it finds out together with the time that is over, so
    /// that its next request is queued before the connection's own task has looked.
    async fn close_unseen(&self) {
        let blocking = async {
            self.allow_close();
            self.closed.recv_timeout(Duration::from_secs(10)).unwrap();
            // The kernel may take a moment to bring the news.
            std::thread::sleep(Duration::from_millis(20));
        };
        tokio::join!(tokio::time::sleep(Duration::from_millis(1)), blocking);
    }

    fn finish(self) {
        drop(self.may_close);
        self.thread.join().unwrap();
    }
}

fn play(listener: &TcpListener, connections: &[&[&[u8]]], allowed: &Receiver<()>, done: &SyncSender<()>) {
    for answers in connections {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for answer in *answers {
            read_head(&mut stream);
            stream.write_all(answer).unwrap();
        }
        let _ = allowed.recv();
        drop(stream);
        done.send(()).unwrap();
    }
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "the client hung up: {head:?}");
        head.push(byte[0]);
    }
}

#[test]
fn a_connection_that_was_closed_while_idle_is_replaced() {
    run(async {
        let script = Script::start(&[&[OK], &[OK, OK]]);
        let one = one(service(&[script.address]));
        assert_eq!(one.get("/1").await.unwrap(), "ok");
        script.close_unseen().await;
        assert_eq!(one.get("/2").await.unwrap(), "ok");
        assert_eq!(one.get("/3").await.unwrap(), "ok");
        let stats = one.upstream.services().stats(one.id);
        assert_eq!((stats.requests, stats.connects), (3, 2));
        script.finish();
    });
}

#[test]
fn a_close_before_the_answer_may_have_been_acted_upon() {
    run(async {
        for cut in [&b""[..], b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\ncontent-le", b"what is this\r\n\r\n"] {
            let listener = listen();
            let one = one(service(&[listener.local_addr().unwrap()]));
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                read_head(&mut stream);
                stream.write_all(cut).unwrap();
                drop(stream);
                listener.set_nonblocking(true).unwrap();
                listener
            });
            let error = one.get("/").await.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::Perhaps), "{error}");
            let listener = server.join().unwrap();
            assert!(listener.accept().is_err(), "what may have been acted upon is not sent again");
            assert!(error.to_string().ends_with("broke; the request may have been acted upon"), "{error}");
        }
    });
}

#[test]
fn a_reused_connection_that_breaks_after_the_request_is_no_safer() {
    run(async {
        let script = Script::start(&[&[OK, b""]]);
        script.allow_close();
        let one = one(service(&[script.address]));
        assert_eq!(one.get("/1").await.unwrap(), "ok");
        let error = one.get("/2").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::Perhaps), "{error}");
        assert_eq!(one.upstream.services().stats(one.id).reused, 1);
        script.finish();
    });
}

#[test]
fn a_cut_body_is_no_shorter_body() {
    run(async {
        for cut in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        ] {
            let listener = listen();
            let one = one(service(&[listener.local_addr().unwrap()]));
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                read_head(&mut stream);
                stream.write_all(cut).unwrap();
            });
            let answer = one.send(get("/")).await.unwrap();
            let error = answer.collect().await.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::Perhaps), "{error}");
            assert!(error.endpoint.is_some());
            server.join().unwrap();
        }
    });
}

#[test]
fn where_nobody_listens_nothing_is_sent() {
    run(async {
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = silent.local_addr().unwrap().as_socket().unwrap();
        let one = one(service(&[address]));
        let error = one.get("/").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Connect, Sent::No));
        assert_eq!(error.to_string(), format!("{address} cannot be connected to; nothing was sent"));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(one.upstream.services().stats(one.id).connect_failures, 1);
    });
}

#[test]
fn a_name_without_an_address_is_told_apart() {
    run(async {
        // A label of more than 63 characters is refused without asking anybody.
        let endpoints = vec![format!("{}:80", "a".repeat(64))];
        let one = one(ServiceConfig { endpoints, ..ServiceConfig::default() });
        let error = one.get("/").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Resolve, Sent::No));
    });
}

#[test]
fn every_address_of_a_name_is_tried() {
    run(async {
        let script = Script::start(&[&[OK]]);
        // Often two addresses, of which only one has a listener.
        let endpoints = vec![format!("localhost:{}", script.address.port())];
        let one = one(ServiceConfig { endpoints, ..ServiceConfig::default() });
        assert_eq!(one.get("/").await.unwrap(), "ok");
        script.finish();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_host_that_swallows_packets_costs_the_connect_timeout() {
    run(async {
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap().as_socket().unwrap();
        // Linux drops what exceeds the queue of a listener that accepts nothing.
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            assert!(queued.len() < 10, "the queue is never full");
        }
        let connect_timeout = Duration::from_millis(50);
        let one = one(ServiceConfig { connect_timeout, ..service(&[address]) });
        let error = one.get("/").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::ConnectTimeout, Sent::No), "{error}");
    });
}
