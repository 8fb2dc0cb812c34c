//! Services that speak HTTP/2: requests share connections, and none is lost when one of those ends.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use common::{Server, get, listen, one, run, service, text, until};
use http::header::{HOST, HeaderMap, HeaderValue, TE};
use http::{Request, Response, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Notify;
use unanimo_upstream::{Body, Broken, Kind, Protocol, Sent, ServiceConfig, Stats};

fn h2c(address: SocketAddr) -> ServiceConfig {
    ServiceConfig { protocol: Protocol::H2c, ..service(&[address]) }
}

/// Holds every request until it is told to go on.
fn holding() -> (Server, Arc<AtomicUsize>, Arc<Notify>) {
    let (arrived, go) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let (counted, gate) = (arrived.clone(), go.clone());
    let handler = move |_: Request<Incoming>| {
        let (counted, gate) = (counted.clone(), gate.clone());
        async move {
            let opened = gate.notified();
            counted.fetch_add(1, Ordering::SeqCst);
            opened.await;
            text("ok")
        }
    };
    (Server::multiplexed(listen(), handler), arrived, go)
}

#[test]
fn requests_share_connections_up_to_a_bound_and_the_next_is_refused() {
    run(async {
        let (server, arrived, go) = holding();
        let one = one(ServiceConfig { streams: 2, connections: 2, ..h2c(server.address) });
        let asking = async {
            let (a, b, c, d) = tokio::join!(one.get("/"), one.get("/"), one.get("/"), one.get("/"));
            for answer in [a, b, c, d] {
                assert_eq!(answer.unwrap(), "ok");
            }
        };
        let watching = async {
            until("all four have arrived", || arrived.load(Ordering::SeqCst) == 4).await;
            let error = one.get("/").await.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Overloaded, Sent::No));
            go.notify_waiters();
        };
        tokio::join!(asking, watching);
        assert_eq!(server.accepted(), 2);
        let stats = one.upstream.services().stats(one.id);
        assert_eq!((stats.connects, stats.overloads, stats.under_way), (2, 1, 0));
    });
}

#[test]
fn one_connection_serves_request_after_request() {
    run(async {
        let server = Server::multiplexed(listen(), async |_| text("ok"));
        let one = one(h2c(server.address));
        for _ in 0..10 {
            one.get("/").await.unwrap();
        }
        assert_eq!(server.accepted(), 1);
        let stats = one.upstream.services().stats(one.id);
        assert_eq!(stats, Stats { requests: 10, connects: 1, reused: 9, ..Stats::default() });
    });
}

#[test]
fn a_request_arrives_as_http2_has_it() {
    run(async {
        let handler = async |request: Request<Incoming>| {
            let names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
            assert_eq!(request.version(), Version::HTTP_2);
            let te = request.headers().get(TE).map(|te| te.to_str().unwrap().to_owned());
            text(format!("{} {} {te:?}", request.uri(), names.join(",")))
        };
        let server = Server::multiplexed(listen(), handler);
        let one = one(h2c(server.address));
        let seen = one.get("/a?b=c").await.unwrap();
        assert_eq!(seen, format!("http://{}/a?b=c  None", server.address));
        let request = Request::post("/")
            .header(HOST, "bank.example:81")
            .header("connection", "te")
            .header("te", "trailers")
            .header("transfer-encoding", "chunked")
            .header("content-length", "7");
        let answer = one.send(request.body(Body::Full("abc".into())).unwrap()).await.unwrap();
        assert_eq!(
            answer.collect().await.unwrap().to_bytes(),
            "http://bank.example:81/ te,content-length Some(\"trailers\")"
        );
    });
}

#[test]
fn trailers_come_back() {
    run(async {
        let handler = async |_: Request<Incoming>| {
            let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from(0))]);
            let frames = [Frame::data(Bytes::from_static(b"m")), Frame::trailers(trailers)];
            let frames =
                Frames(frames.into_iter().map(Ok::<_, hyper::Error>).collect::<Vec<_>>().into_iter());
            Response::new(BodyExt::boxed(frames))
        };
        let server = Server::multiplexed(listen(), handler);
        let one = one(h2c(server.address));
        let answer = one.send(get("/")).await.unwrap().collect().await.unwrap();
        assert_eq!(answer.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(answer.to_bytes(), "m");
    });
}

#[test]
fn a_request_that_is_given_up_leaves_the_others_alone() {
    run(async {
        let (server, arrived, go) = holding();
        let one = one(h2c(server.address));
        let given_up = async {
            tokio::select! {
                _ = one.get("/") => panic!("nobody answers"),
                () = until("both have arrived", || arrived.load(Ordering::SeqCst) == 2) => {}
            }
            go.notify_waiters();
        };
        let (answer, ()) = tokio::join!(one.get("/"), given_up);
        assert_eq!(answer.unwrap(), "ok");
        assert_eq!((server.accepted(), one.upstream.services().stats(one.id).under_way), (1, 0));
    });
}

/// Data and trailers, one after the other.
struct Frames<E>(std::vec::IntoIter<Result<Frame<Bytes>, E>>);

impl<E> http_body::Body for Frames<E>
where
    Frames<E>: Unpin,
{
    type Data = Bytes;
    type Error = E;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, E>>> {
        Poll::Ready(self.0.next())
    }
}

fn streaming(parts: &[usize]) -> Request<Body> {
    let parts = parts.iter().map(|bytes| Ok::<_, Broken>(Frame::data(Bytes::from(vec![b'x'; *bytes]))));
    let body = Frames(parts.collect::<Vec<_>>().into_iter());
    Request::post("/").body(Body::Streaming(Box::pin(body))).unwrap()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// One side of a connection, frame by frame.
struct Peer(TcpStream);

impl Peer {
    /// Takes the next connection, up to where requests come.
    fn accept(listener: &TcpListener) -> Peer {
        let mut stream = listener.accept().unwrap().0;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_exact(&mut [0; 24]).unwrap();
        let mut peer = Peer(stream);
        peer.write(SETTINGS, 0, 0, &[]);
        peer
    }

    fn write(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).unwrap();
    }

    /// Reads up to the next frame of this kind that has these flags, and returns its stream and how much of a body came on the way.
    fn read_to(&mut self, kind: u8, flags: u8) -> (u32, usize) {
        let mut body = 0;
        loop {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            self.0.read_exact(&mut vec![0; length]).unwrap();
            if head[3] == DATA {
                body += length;
            }
            if head[3] == kind && head[4] & flags == flags {
                return (u32::from_be_bytes([head[5], head[6], head[7], head[8]]), body);
            }
        }
    }

    /// Answers 200 without a body.
    fn answer(&mut self, stream: u32) {
        self.write(HEADERS, END_HEADERS | END_STREAM, stream, &[0x88]);
    }

    fn go_away(&mut self, last: u32) {
        self.write(GO_AWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
    }
}

/// A service that does as the script says, on a thread of its own; what the script returns comes at its end.
fn scripted<R: Send + 'static>(
    script: impl FnOnce(TcpListener) -> R + Send + 'static,
) -> (SocketAddr, Receiver<R>) {
    let listener = listen();
    let address = listener.local_addr().unwrap();
    let (done, result) = sync_channel(1);
    std::thread::spawn(move || done.send(script(listener)));
    (address, result)
}

#[test]
fn what_came_too_late_for_a_service_that_goes_away_is_sent_again_and_the_rest_ends_there() {
    run(async {
        let (address, end) = scripted(|listener| {
            let mut first = Peer::accept(&listener);
            assert_eq!(first.read_to(HEADERS, END_STREAM), (1, 0));
            let (late, body) = first.read_to(DATA, END_STREAM);
            assert_eq!(late, 3);
            first.go_away(1);
            let mut second = Peer::accept(&listener);
            let (again, body_again) = second.read_to(DATA, END_STREAM);
            second.answer(again);
            // Only now the one that was in time.
            first.answer(1);
            // The caller closes both: nobody's request is under way any more.
            let _ = second.0.read_to_end(&mut Vec::new());
            (body, body_again)
        });
        let one = one(h2c(address));
        let early = one.get("/");
        let late = async {
            let answer = one.send(streaming(&[1000, 24])).await.unwrap();
            assert_eq!(answer.status(), 200);
        };
        let (early, ()) = tokio::join!(early, late);
        early.unwrap();
        let stats = one.upstream.services().stats(one.id);
        assert_eq!((stats.requests, stats.connects, stats.broken), (2, 2, 0));
        drop(one);
        let ended = until("both are closed", || end.try_recv().is_ok_and(|bodies| bodies == (1024, 1024)));
        ended.await;
    });
}

#[test]
fn a_refused_stream_is_sent_again_once() {
    run(async {
        let (address, end) = scripted(|listener| {
            let mut first = Peer::accept(&listener);
            let (stream, _) = first.read_to(HEADERS, END_STREAM);
            first.write(RESET, 0, stream, &7_u32.to_be_bytes());
            let mut second = Peer::accept(&listener);
            let (stream, _) = second.read_to(HEADERS, END_STREAM);
            second.write(RESET, 0, stream, &7_u32.to_be_bytes());
            // Open until they were looked at.
            let _ = second.0.read_to_end(&mut Vec::new());
        });
        let one = one(h2c(address));
        let error = one.get("/").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::No));
        drop(one);
        until("the connections are closed", || end.try_recv().is_ok()).await;
    });
}

#[test]
fn what_a_service_may_have_looked_at_is_not_sent_again() {
    // Any other reason says nothing of how far it got; and a connection that breaks says nothing at all.
    for reset in [Some(2_u32), Some(8), None] {
        run(async move {
            let (address, end) = scripted(move |listener| {
                let mut first = Peer::accept(&listener);
                let (stream, _) = first.read_to(HEADERS, END_STREAM);
                match reset {
                    Some(reason) => {
                        first.write(RESET, 0, stream, &reason.to_be_bytes());
                        let _ = first.0.read_to_end(&mut Vec::new());
                    }
                    None => {
                        first.go_away(stream);
                        drop(first);
                    }
                }
                listener.set_nonblocking(true).unwrap();
                listener.accept().is_err()
            });
            let one = one(h2c(address));
            let error = one.get("/").await.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::Perhaps), "{reset:?}");
            assert_eq!(one.upstream.services().stats(one.id).broken, 1);
            drop(one);
            until("nobody has come again", || end.try_recv().is_ok_and(|is_alone| is_alone)).await;
        });
    }
}

#[test]
fn a_body_of_which_too_much_has_gone_is_not_sent_again() {
    run(async {
        let (address, _end) = scripted(|listener| {
            let mut first = Peer::accept(&listener);
            let (_, mut body) = first.read_to(DATA, 0);
            // The window that a connection begins with.
            while body < 65_535 {
                body += first.read_to(DATA, 0).1;
            }
            first.go_away(0);
            let _ = first.0.read_to_end(&mut Vec::new());
        });
        let one = one(h2c(address));
        let error = one.send(streaming(&[40_000, 40_000])).await.map(|_| ()).unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::No));
    });
}

#[test]
fn who_waits_for_a_connection_that_cannot_be_made_hears_so_at_once() {
    run(async {
        let nobody = listen().local_addr().unwrap();
        let one = one(h2c(nobody));
        let asked = tokio::join!(one.get("/"), one.get("/"), one.get("/"));
        for answer in [asked.0, asked.1, asked.2] {
            let error = answer.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Connect, Sent::No));
        }
        assert_eq!(one.upstream.services().stats(one.id).connect_failures, 1);
    });
}
