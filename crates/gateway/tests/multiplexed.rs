//! HTTP/2 without TLS, as it is between clients, the gateway and services.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use bytes::Bytes;
use common::double::{Double, Fate};
use common::wire::Wire;
use common::{Gateway, Setup};
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::{Context, Poll};
use tokio::task::{LocalSet, spawn_local};
use unanimo_gateway::Limits;
use unanimo_upstream::{Protocol, ServiceConfig};

/// Data, and perhaps trailers after it.
struct Parts(std::vec::IntoIter<Frame<Bytes>>);

impl Parts {
    fn new(data: &[&'static str], trailers: &[(&'static str, &'static str)]) -> Parts {
        let mut frames: Vec<_> =
            data.iter().map(|data| Frame::data(Bytes::from_static(data.as_bytes()))).collect();
        if !trailers.is_empty() {
            let pairs =
                trailers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            frames.push(Frame::trailers(pairs.collect()));
        }
        Parts(frames.into_iter())
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_slice().is_empty()
    }
}

/// A message as it arrived.
#[derive(Debug)]
struct Message<H> {
    head: H,
    body: String,
    trailers: Option<HeaderMap>,
}

async fn read<H>(head: H, mut body: Incoming) -> Result<Message<H>, hyper::Error> {
    let mut message = Message { head, body: String::new(), trailers: None };
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        match frame?.into_data() {
            Ok(data) => message.body += std::str::from_utf8(&data).unwrap(),
            Err(frame) => message.trailers = frame.into_trailers().ok(),
        }
    }
    Ok(message)
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// What a service was asked.
type Requests = Receiver<Message<http::request::Parts>>;

/// A service that answers each request so, and passes on what it was asked.
fn service(answer: fn() -> Response<Parts>) -> (SocketAddr, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (seen, requests) = sync_channel(100);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let seen = seen.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        seen.send(read(head, body).await?).unwrap_or_default();
                        Ok::<_, hyper::Error>(answer())
                    }
                });
                let builder = hyper::server::conn::http2::Builder::new(Local);
                spawn_local(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (address, requests)
}

fn forwarding(service: SocketAddr) -> Gateway {
    let setup = Setup::forwarding(service);
    let service = ServiceConfig { protocol: Protocol::H2c, ..setup.service };
    Setup { service, ..setup }.start()
}

fn grpc() -> Response<Parts> {
    let parts = Parts::new(&["message"], &[("grpc-status", "0")]);
    Response::builder().header("trailer", "grpc-status").body(parts).unwrap()
}

#[test]
fn a_service_behind_http2_is_asked_as_any_other() {
    let (address, requests) = service(grpc);
    let gateway = forwarding(address);
    let mut wire = gateway.connect();
    wire.send(
        "POST /a/../b?c HTTP/1.1\r\nhost: Shop.example:81\r\nconnection: te, x-mine\r\nx-mine: 1\r\nte: trailers\r\n\
         unanimo-branch: x\r\ntrailer: x-late\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-late: 1\r\n\r\n",
    );
    let answer = wire.answer();
    assert_eq!((answer.status(), answer.text()), (200, "message"));
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let Message { head, body, trailers } = requests.recv_timeout(common::PATIENCE).unwrap();
    assert_eq!(head.uri, "http://Shop.example:81/b?c");
    assert_eq!((body.as_str(), trailers), ("hi", None), "trailers of requests are dropped");
    let mut names: Vec<_> = head.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["te", "traceparent", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"]
    );
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(common::PATIENCE, future).await.unwrap() };
    LocalSet::new().block_on(&runtime, bounded)
}

/// A client, and the end of its connection.
async fn client(gateway: &Gateway) -> (SendRequest<Parts>, impl Future<Output = ()> + use<>) {
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(Local);
    let (sender, wire) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let ended = spawn_local(async move { wire.await.unwrap_or_default() });
    (sender, async move { ended.await.unwrap() })
}

async fn ask(sender: &mut SendRequest<Parts>, request: Request<Parts>) -> Message<http::response::Parts> {
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    read(head, body).await.unwrap()
}

fn get(uri: String) -> Request<Parts> {
    Request::get(uri).body(Parts::new(&[], &[])).unwrap()
}

#[test]
fn both_protocols_are_served_at_one_address_and_grpc_passes() {
    let (address, requests) = service(grpc);
    let gateway = forwarding(address);
    run(async {
        let (mut sender, _) = client(&gateway).await;
        let request = Request::post("http://Shop.example:81/a.B/C")
            .header("te", "trailers")
            .header("cookie", "a=1")
            .header("cookie", "b=2")
            .header("x-forwarded-for", "10.0.0.1");
        let request = request.body(Parts::new(&["me", "ssage"], &[("unanimo-branch", "x")])).unwrap();
        let answer = ask(&mut sender, request).await;
        assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (200, "message"));
        assert_eq!(answer.trailers.unwrap()["grpc-status"], "0");
    });
    let Message { head, body, trailers } = requests.recv_timeout(common::PATIENCE).unwrap();
    assert_eq!(head.uri, "http://Shop.example:81/a.B/C");
    assert_eq!((body.as_str(), trailers), ("message", None));
    let header = |name: &str| head.headers[name].to_str().unwrap();
    assert_eq!((header("te"), header("cookie"), header("via")), ("trailers", "a=1; b=2", "2.0 unanimo"));
    assert_eq!((header("x-forwarded-for"), header("x-forwarded-host")), ("127.0.0.1", "Shop.example:81"));
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
}

#[test]
fn many_requests_share_a_connection_and_each_is_judged_alone() {
    let (address, _requests) = service(grpc);
    let gateway = forwarding(address);
    run(async {
        let (sender, _) = client(&gateway).await;
        let asking = (0..50).map(|at| {
            let mut sender = sender.clone();
            let path = if at % 2 == 0 { "/a" } else { "/a%2fb" };
            spawn_local(async move { ask(&mut sender, get(format!("http://h{path}"))).await.head.status })
        });
        for (at, asked) in asking.collect::<Vec<_>>().into_iter().enumerate() {
            assert_eq!(asked.await.unwrap(), if at % 2 == 0 { 200 } else { 400 });
        }
        let mut sender = sender;
        let two = Request::get("http://h/").header("host", "other").body(Parts::new(&[], &[])).unwrap();
        let answer = ask(&mut sender, two).await;
        assert_eq!(answer.head.status, 400);
        assert!(answer.body.contains("two hosts"), "{}", answer.body);
        let answer = ask(&mut sender, get("http://user@h/".to_owned())).await;
        assert_eq!(answer.head.status, 400, "a host has no user");
    });
    assert_eq!(gateway.metric("gateway_connections_accepted_total"), 1.0);
}

#[test]
fn a_transaction_is_begun_over_http2_as_over_any_other() {
    let gateway = Setup::transacting(Double::default()).start();
    run(async {
        let (mut sender, _) = client(&gateway).await;
        let request = Request::post("http://h/transfers/7").header("idempotency-key", "\"k\"");
        let answer = ask(&mut sender, request.body(Parts::new(&["{\"amount\":", "1}"], &[])).unwrap()).await;
        assert_eq!((answer.head.status.as_u16(), answer.body.as_str()), (200, r#"{"done":true}"#));
        assert_eq!(answer.head.headers["unanimo-finished"], "true");
    });
    let submission = gateway.double.submission();
    assert_eq!(
        (submission.request.path.as_str(), &submission.request.body[..]),
        ("/transfers/7", &b"{\"amount\":1}"[..])
    );
    assert!(submission.key.is_some());
    let gateway = Setup::transacting(Double::always(Fate::Severed)).start();
    run(async {
        let (mut sender, _) = client(&gateway).await;
        let request = Request::post("http://h/transfers/7").body(Parts::new(&["{}"], &[])).unwrap();
        assert!(sender.send_request(request).await.is_err(), "nobody knows, so nothing is said");
    });
}

#[test]
fn a_worker_that_ends_says_so_and_idle_clients_go_at_once() {
    let (address, requests) = service(grpc);
    let mut gateway = forwarding(address);
    run(async {
        let (mut sender, ended) = client(&gateway).await;
        ask(&mut sender, get("http://h/".to_owned())).await;
        gateway.leave();
        ended.await;
        assert!(sender.is_closed());
    });
    assert_eq!(gateway.end().cut, 0);
    assert_eq!(requests.try_iter().count(), 1);
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `GET http://h/`, as it is compressed.
const GET: &[u8] = b"\x82\x86\x84\x41\x01h";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The payload of the next frame of this kind.
fn next(wire: &mut Wire, kind: u8) -> Vec<u8> {
    loop {
        let head = wire.take(9);
        let payload = wire.take(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize);
        if head[3] == kind {
            return payload;
        }
    }
}

#[test]
fn a_beginning_in_pieces_is_understood_and_what_only_looks_like_it_is_not() {
    let (address, requests) = service(grpc);
    let gateway = forwarding(address);
    let mut wire = gateway.connect();
    wire.dribble(PREFACE);
    wire.send(frame(SETTINGS, 0, 0, &[]));
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, GET));
    assert_eq!(next(&mut wire, HEADERS)[0], 0x88, "200");
    for method in ["P", "PR", "PRI", "PRINT"] {
        let mut wire = gateway.connect();
        wire.dribble(format!("{method} / HTTP/1.1\r\nhost: h\r\n\r\n"));
        assert_eq!(wire.answer().status(), 200, "{method}");
    }
    // After a request it is a request, and no good one.
    let mut wire = gateway.connect();
    wire.send(format!("GET / HTTP/1.1\r\nhost: h\r\n\r\n{PREFACE}"));
    wire.send(frame(SETTINGS, 0, 0, &[]));
    assert_eq!(wire.answer().status(), 200);
    let rest = wire.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(&rest));
    assert_eq!(requests.try_iter().count(), 6);
}

fn opened(gateway: &Gateway) -> Wire {
    let mut wire = gateway.connect();
    wire.send(PREFACE);
    wire.send(frame(SETTINGS, 0, 0, &[]));
    wire
}

#[test]
fn floods_end_the_connection() {
    let (address, _requests) = service(grpc);
    let gateway = forwarding(address);
    // Requests that are taken back at once.
    let mut wire = opened(&gateway);
    let taken_back = (0..200_u32).flat_map(|at| {
        let stream = 2 * at + 1;
        [frame(HEADERS, END_HEADERS | END_STREAM, stream, GET), frame(RESET, 0, stream, &8_u32.to_be_bytes())]
    });
    wire.try_send(taken_back.collect::<Vec<_>>().concat());
    assert_eq!(next(&mut wire, GO_AWAY)[4..8], 11_u32.to_be_bytes(), "enhance your calm");
    // A head that has no end.
    let mut wire = opened(&gateway);
    wire.send(frame(HEADERS, 0, 1, GET));
    let piece = frame(CONTINUATION, 0, 1, &[b"\x00\x01x\x7f\x80\x7f".as_slice(), &[b'y'; 255]].concat());
    let mut pieces = 0;
    while pieces < 10_000 && wire.try_send(&piece) {
        pieces += 1;
    }
    assert!(pieces < 10_000, "{pieces} were taken");
    assert_eq!(gateway.ask("GET / HTTP/1.1\r\nhost: h\r\n\r\n").status(), 200);
}

#[test]
fn who_asks_for_nothing_or_takes_nothing_is_let_go() {
    let (address, _requests) = service(grpc);
    let setup = Setup::forwarding(address);
    let service = ServiceConfig { protocol: Protocol::H2c, ..setup.service };
    let short = std::time::Duration::from_millis(100);
    let limits =
        Limits { idle_timeout: short, header_timeout: short, body_idle_timeout: short, ..Limits::default() };
    let gateway = Setup { service, limits, ..setup }.start();
    let mut idle = opened(&gateway);
    next(&mut idle, GO_AWAY);
    idle.rest();
    // No window for any answer.
    let mut deaf = gateway.connect();
    deaf.send(PREFACE);
    deaf.send(frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    deaf.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, GET));
    deaf.rest();
    common::until("both are gone", || gateway.metric("gateway_connections") == 0.0);
}
