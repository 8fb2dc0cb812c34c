//! Which connections serve more than one request.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Server, get, listen, one, run, service, text, until};
use http::header::HOST;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Notify;
use unanimo_upstream::{Body, ServiceConfig, Stats, Upstream};

/// Answers by the path: `/204` with that status, `/large` with a megabyte, and else with the host named.
async fn answer(request: Request<Incoming>) -> common::Reply {
    let path = request.uri().path();
    if path == "/large" {
        return text(vec![b'x'; 1 << 20]);
    }
    match path[1..].parse::<StatusCode>() {
        Ok(status) => Response::builder().status(status).body(text("").into_body()).unwrap(),
        Err(_) => text(request.headers()[HOST].as_bytes().to_vec()),
    }
}

#[test]
fn one_connection_serves_request_after_request() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(service(&[server.address]));
        for _ in 0..10 {
            one.get("/").await.unwrap();
        }
        assert_eq!(server.accepted(), 1);
        let stats = one.upstream.services().stats(one.id);
        assert_eq!(stats, Stats { requests: 10, connects: 1, reused: 9, ..Stats::default() });
    });
}

#[test]
fn answers_without_a_body_leave_the_connection_usable() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(service(&[server.address]));
        for path in ["/204", "/304", "/200", "/"] {
            for method in ["GET", "HEAD", "POST"] {
                let request = Request::builder().method(method).uri(path).body(Body::Empty).unwrap();
                // Nobody reads the body of an answer that has none.
                let answer = one.send(request).await.unwrap();
                if path == "/" && method != "HEAD" {
                    answer.collect().await.unwrap();
                } else {
                    assert!(http_body::Body::is_end_stream(answer.body()), "{method} {path}");
                }
            }
        }
        assert_eq!(server.accepted(), 1);
    });
}

#[test]
fn the_host_is_the_endpoint_unless_the_request_names_another() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(service(&[server.address]));
        assert_eq!(one.get("/").await.unwrap(), server.address.to_string());
        let named = Request::get("/").header(HOST, "bank.example").body(Body::Empty).unwrap();
        let answer = one.send(named).await.unwrap().collect().await.unwrap();
        assert_eq!(answer.to_bytes(), "bank.example");
    });
}

#[test]
fn requests_at_the_same_time_have_connections_of_their_own() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(ServiceConfig { idle_connections: 2, ..service(&[server.address]) });
        let (a, b, c) = tokio::join!(one.send(get("/")), one.send(get("/")), one.send(get("/")));
        assert_eq!(server.accepted(), 3);
        for answer in [a, b, c] {
            answer.unwrap().collect().await.unwrap();
        }
        until("one too many for the pool is closed", || server.open() == 2).await;
        one.get("/").await.unwrap();
        assert_eq!(server.accepted(), 3);
    });
}

#[test]
fn an_old_idle_connection_is_not_reused() {
    run(async {
        let server = Server::start(listen(), answer);
        let idle_timeout = Duration::from_millis(50);
        let one = one(ServiceConfig { idle_timeout, ..service(&[server.address]) });
        let (a, b) = tokio::join!(one.send(get("/")), one.send(get("/")));
        for answer in [a, b] {
            answer.unwrap().collect().await.unwrap();
        }
        // Time itself is the condition here.
        tokio::time::sleep(idle_timeout).await;
        one.get("/").await.unwrap();
        assert_eq!(server.accepted(), 3);
        until("the old ones are closed", || server.open() == 1).await;
    });
}

#[test]
fn an_answer_that_was_not_read_to_its_end_closes_its_connection() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(service(&[server.address]));
        let mut answer = one.send(get("/large")).await.unwrap();
        assert!(answer.frame().await.unwrap().unwrap().is_data());
        drop(answer);
        until("its connection is closed", || server.open() == 0).await;
        one.get("/").await.unwrap();
        assert_eq!(server.accepted(), 2);
    });
}

#[test]
fn a_request_that_is_given_up_closes_its_connection() {
    run(async {
        let arrived = Arc::new(Notify::new());
        let handler = {
            let arrived = arrived.clone();
            move |_| {
                arrived.notify_one();
                std::future::pending()
            }
        };
        let server = Server::start(listen(), handler);
        let one = one(ServiceConfig { connections: 1, ..service(&[server.address]) });
        for round in 1..=3 {
            tokio::select! {
                _ = one.get("/") => panic!("nobody answers"),
                () = arrived.notified() => {}
            }
            until("its connection is closed", || server.open() == 0).await;
            assert_eq!(server.accepted(), round);
        }
    });
}

#[test]
fn what_all_workers_counted_is_added_up() {
    run(async {
        let server = Server::start(listen(), answer);
        let one = one(service(&[server.address]));
        let other = Upstream::new(one.upstream.services().clone());
        one.get("/").await.unwrap();
        let answer: Bytes = other.send(one.id, get("/")).await.unwrap().collect().await.unwrap().to_bytes();
        assert_eq!(answer, server.address.to_string());
        let stats = other.services().stats(one.id);
        assert_eq!(stats, Stats { requests: 2, connects: 2, ..Stats::default() });
    });
}
