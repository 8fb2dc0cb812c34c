//! HTTP/2 without TLS, as it is between clients, the gateway and services.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod common;

use bytes::Bytes;
use common::{Gateway, Setup};
use http::header::{HeaderMap, HeaderValue};
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::mpsc::{Receiver, sync_channel};
use std::task::{Context, Poll};
use tokio::task::{LocalSet, spawn_local};
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
