//! HTTP/2 without TLS, through the real program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use ::http::{Request, Response, Version};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};
use support::gateway::{Choices, Gateway};
use support::http;
use support::process::PATIENCE;

/// A participant that agrees to everything, and tells which operations it was called with.
fn agreeing() -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let (seen, operations) = sync_channel(100);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    assert_eq!(request.version(), Version::HTTP_2);
                    let operation = request.headers()["unanimo-operation"].to_str().unwrap().to_owned();
                    seen.send(operation).unwrap_or_default();
                    let answer = Response::new(Full::new(Bytes::from_static(b"{}")));
                    async move { Ok::<_, Infallible>(answer) }
                });
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (address, operations)
}

#[test]
fn participants_may_speak_http2() {
    let folder = tempfile::tempdir().unwrap();
    let (address, operations) = agreeing();
    let rest = format!(
        "services:\n  bank: {{ endpoints: [\"{address}\"], anonymous: true, protocol: h2c }}\nroutes:\n  - name: pay\n    \
         match: {{ method: POST, path: /pay }}\n    transaction: {{ mode: two-phase, branches: [\n      \
         {{ name: debit, service: bank, path: /debits }}, {{ name: credit, service: bank, path: /credits }} ] }}\n"
    );
    let mut gateway = Gateway::prepare(folder.path(), Choices::default(), &rest);
    gateway.start();
    let answer = http::once(gateway.public, http::Request::post("/pay", &[], "{}"), PATIENCE).unwrap();
    assert_eq!(answer.header("unanimo-finished"), Some("true"), "{answer:?}");
    let mut operations: Vec<_> = (0..4).map(|_| operations.recv_timeout(PATIENCE).unwrap()).collect();
    operations.sort_unstable();
    assert_eq!(operations, ["commit", "commit", "prepare", "prepare"]);
}
