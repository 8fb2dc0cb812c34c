//! Bodies that are passed on while they arrive.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use common::{Server, listen, one, run, service, text, until};
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::spawn_local;
use unanimo_upstream::{Body, Kind, Sent};

const TEN_MEGABYTES: u64 = 10 << 20;

/// Bytes that say where they stand.
struct Pattern {
    at: u64,
    end: u64,
    says_length: bool,
    then: Then,
}

/// What follows a body's last byte.
enum Then {
    End,
    Nothing,
    /// An error, once somebody says so.
    Break(oneshot::Receiver<()>),
}

fn pattern(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

impl http_body::Body for Pattern {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let until = self.end.min(self.at + 50_000);
        if until == self.at {
            return match &mut self.then {
                Then::End => Poll::Ready(None),
                Then::Nothing => Poll::Pending,
                Then::Break(said) => {
                    Pin::new(said).poll(cx).map(|_| Some(Err(io::Error::other("the client hangs up"))))
                }
            };
        }
        let bytes: Bytes = (self.at..until).map(pattern).collect();
        self.at = until;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn size_hint(&self) -> SizeHint {
        // What breaks off has promised more.
        let length = self.end - self.at + u64::from(matches!(self.then, Then::Break(_)));
        if self.says_length { SizeHint::with_exact(length) } else { SizeHint::default() }
    }
}

/// The body as a service would receive it from a client.
async fn arriving(body: Pattern) -> Incoming {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let (arrived, arrival) = oneshot::channel();
    let arrived = Cell::new(Some(arrived));
    spawn_local(async move {
        let service = service_fn(|request: Request<Incoming>| {
            arrived.take().unwrap().send(request.into_body()).unwrap();
            std::future::pending::<Result<Response<String>, Infallible>>()
        });
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service).await;
    });
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
    spawn_local(connection);
    spawn_local(async move { sender.send_request(Request::post("/").body(body).unwrap()).await });
    arrival.await.unwrap()
}

fn streaming(body: Incoming) -> Body {
    Body::Streaming(Box::pin(body.map_err(Into::into)))
}

async fn echo(request: Request<Incoming>) -> common::Reply {
    let (parts, body) = request.into_parts();
    let mut reply = Response::new(body.boxed());
    *reply.headers_mut() = parts.headers;
    reply
}

#[test]
fn ten_megabytes_go_there_and_back() {
    run(async {
        let server = Server::start(listen(), echo);
        let one = one(service(&[server.address]));
        for (method, says_length) in [("POST", true), ("POST", false), ("GET", false)] {
            let body = arriving(Pattern { at: 0, end: TEN_MEGABYTES, says_length, then: Then::End }).await;
            let request = Request::builder().method(method).uri("/").body(streaming(body)).unwrap();
            let mut answer = one.send(request).await.unwrap();
            assert_eq!(answer.headers().contains_key("content-length"), says_length, "{method}");
            assert_eq!(answer.body().size_hint().exact(), says_length.then_some(TEN_MEGABYTES));
            let mut at = 0;
            while let Some(frame) = answer.frame().await {
                for byte in frame.unwrap().into_data().unwrap() {
                    assert_eq!(byte, pattern(at), "at {at}");
                    at += 1;
                }
            }
            assert_eq!(at, TEN_MEGABYTES);
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn a_body_goes_on_while_nobody_reads_the_answer() {
    run(async {
        let listener = listen();
        let one = one(service(&[listener.local_addr().unwrap()]));
        let received = Arc::<AtomicUsize>::default();
        let server = std::thread::spawn({
            let received = received.clone();
            move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = vec![0; 64 * 1024];
                stream.read_exact(&mut buffer[..1]).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n").unwrap();
                while received.load(Ordering::SeqCst) < TEN_MEGABYTES as usize {
                    received.fetch_add(stream.read(&mut buffer).unwrap(), Ordering::SeqCst);
                }
                stream.write_all(b"hello").unwrap();
            }
        });
        let body = arriving(Pattern { at: 0, end: TEN_MEGABYTES, says_length: true, then: Then::End }).await;
        let answer = one.send(Request::post("/").body(streaming(body)).unwrap()).await.unwrap();
        let all = || received.load(Ordering::SeqCst) >= TEN_MEGABYTES as usize;
        until("the service has the whole body", all).await;
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
        server.join().unwrap();
    });
}

#[test]
fn a_full_body_arrives_with_its_length() {
    run(async {
        let server = Server::start(listen(), echo);
        let one = one(service(&[server.address]));
        let body: Bytes = (0..TEN_MEGABYTES).map(pattern).collect();
        let request = Request::put("/").body(Body::Full(body.clone())).unwrap();
        let answer = one.send(request).await.unwrap();
        assert_eq!(answer.headers()["content-length"], TEN_MEGABYTES.to_string());
        assert!(answer.collect().await.unwrap().to_bytes() == body);
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_ends_the_connection() {
    run(async {
        let listener = listen();
        let one = one(service(&[listener.local_addr().unwrap()]));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 4096];
            stream.read_exact(&mut buffer[..1]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            // The rest of the request will never come: this ends when we are hung up on.
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        });
        let body = arriving(Pattern { at: 0, end: 1000, says_length: false, then: Then::Nothing }).await;
        let answer = one.send(Request::post("/").body(streaming(body)).unwrap()).await.unwrap();
        assert!(answer.body().is_end_stream());
        until("the service sees the end", || server.is_finished()).await;
        server.join().unwrap();
    });
}

#[test]
fn a_request_that_breaks_off_is_not_taken_for_a_whole_one() {
    run(async {
        let (whole, broken) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let handler = {
            let (whole, broken) = (whole.clone(), broken.clone());
            move |request: Request<Incoming>| {
                let (whole, broken) = (whole.clone(), broken.clone());
                async move {
                    let arrived = request.into_body().collect().await;
                    if arrived.is_ok() { whole } else { broken }.fetch_add(1, Ordering::SeqCst);
                    text("ok")
                }
            }
        };
        let server = Server::start(listen(), handler);
        let one = one(service(&[server.address]));
        for (round, says_length) in [(1, true), (2, false)] {
            let (hang_up, said) = oneshot::channel();
            let body = arriving(Pattern { at: 0, end: 100_000, says_length, then: Then::Break(said) }).await;
            hang_up.send(()).unwrap();
            let error = one.send(Request::post("/").body(streaming(body)).unwrap()).await.err().unwrap();
            assert_eq!((error.kind, error.sent), (Kind::Broken, Sent::Perhaps), "{error}");
            until("the service sees the break", || broken.load(Ordering::SeqCst) == round).await;
            assert_eq!(whole.load(Ordering::SeqCst), 0);
        }
    });
}
