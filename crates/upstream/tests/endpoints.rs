//! How requests are spread over the endpoints of a service.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use common::{One, Server, get, listen, one, run, service, text, until};
use http_body_util::BodyExt;
use socket2::{Domain, Socket, Type};
use tokio::sync::Semaphore;
use unanimo_upstream::{Affinity, Balance, Kind, Sent, ServiceConfig, Trial, Upstream};

/// A service that answers with its own address.
fn named() -> Server {
    let listener = listen();
    let name = listener.local_addr().unwrap().to_string();
    Server::start(listener, move |_| std::future::ready(text(name.clone())))
}

async fn count(one: &One, requests: usize) -> BTreeMap<Bytes, usize> {
    let mut answered = BTreeMap::new();
    for _ in 0..requests {
        *answered.entry(one.get("/").await.unwrap()).or_default() += 1;
    }
    answered
}

fn name(address: SocketAddr) -> Bytes {
    address.to_string().into()
}

/// An address that belongs to us, and where nobody listens.
fn silent() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn every_endpoint_has_its_turn() {
    run(async {
        let servers = [named(), named(), named()];
        let addresses = servers.each_ref().map(|server| server.address);
        let one = one(service(&addresses));
        let expected = addresses.map(|address| (name(address), 100)).into();
        assert_eq!(count(&one, 300).await, expected);
        assert!(servers.iter().all(|server| server.accepted() == 1));
    });
}

#[test]
fn workers_begin_at_different_endpoints() {
    run(async {
        let servers = [named(), named()];
        let one = one(service(&servers.each_ref().map(|server| server.address)));
        // That all of them begin at the same endpoint has a chance of one in 2⁶³.
        for _ in 0..64 {
            let worker = Upstream::new(one.upstream.services().clone());
            worker.send(one.id, get("/")).await.unwrap().collect().await.unwrap();
        }
        assert!(servers.iter().all(|server| server.accepted() > 0));
    });
}

#[test]
fn an_endpoint_that_is_down_is_left_alone_and_comes_back() {
    run(async {
        let (socket, down) = silent();
        let (a, b) = (named(), named());
        let one = one(service(&[a.address, down, b.address]));
        let answered = count(&one, 40).await;
        assert_eq!(answered.values().sum::<usize>(), 40);
        // At most two requests meet the dead endpoint by turn, and pass to the one after it.
        assert!(answered.values().all(|answers| (15..=25).contains(answers)), "{answered:?}");
        let failures = one.upstream.services().stats(one.id).connect_failures;
        assert!((1..=6).contains(&failures), "{failures} tries at a dead endpoint");

        socket.listen(16).unwrap();
        let back = Server::start(socket.into(), move |_| std::future::ready(text(down.to_string())));
        for _ in 0..2000 {
            if count(&one, 3).await.contains_key(&name(down)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let expected = [a.address, down, b.address].map(|address| (name(address), 10)).into();
        assert_eq!(count(&one, 30).await, expected);
        drop(back);
    });
}

#[test]
fn when_all_are_down_each_is_tried_all_the_same() {
    run(async {
        let ((a, first), (b, second)) = (silent(), silent());
        let one = one(service(&[first, second]));
        for round in 1..=3 {
            let error = one.get("/").await.unwrap_err();
            assert_eq!((error.kind, error.sent), (Kind::Connect, Sent::No));
            assert_eq!(one.upstream.services().stats(one.id).connect_failures, round * 2);
        }
        a.listen(16).unwrap();
        let back = Server::start(a.into(), |_| std::future::ready(text("back")));
        assert_eq!(one.get("/").await.unwrap(), "back");
        drop((back, b));
    });
}

#[test]
fn beyond_the_bound_requests_are_refused_at_once() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let handler = {
            let gate = gate.clone();
            move |_| {
                let gate = gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    text("ok")
                }
            }
        };
        let (a, b) = (Server::start(listen(), handler.clone()), Server::start(listen(), handler));
        let one = one(ServiceConfig { connections: 2, ..service(&[a.address, b.address]) });
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let (upstream, id) = (one.upstream.clone(), one.id);
                tokio::task::spawn_local(async move {
                    let answer = upstream.send(id, get("/")).await.unwrap();
                    answer.collect().await.unwrap().to_bytes()
                })
            })
            .collect();
        until("all connections are in use", || a.accepted() == 2 && b.accepted() == 2).await;
        let error = one.get("/").await.unwrap_err();
        assert_eq!((error.kind, error.sent), (Kind::Overloaded, Sent::No));
        let stats = one.upstream.services().stats(one.id);
        assert_eq!((stats.connect_failures, stats.overloads, stats.under_way), (0, 2, 4));

        gate.add_permits(5);
        for answer in waiting {
            assert_eq!(answer.await.unwrap(), "ok");
        }
        assert_eq!(one.get("/").await.unwrap(), "ok");
        assert_eq!((a.accepted(), b.accepted()), (2, 2));
    });
}

#[test]
fn what_belongs_together_reaches_one_endpoint_from_every_worker() {
    run(async {
        let servers = [named(), named(), named()];
        let addresses = servers.each_ref().map(|server| server.address);
        let one = one(ServiceConfig { affinity: true, ..service(&addresses) });
        let mut reached = BTreeMap::<Bytes, usize>::new();
        for bits in 0..60 {
            let mut own = None;
            for _ in 0..3 {
                let worker = Upstream::new(one.upstream.services().clone());
                for worker in [&one.upstream, &worker] {
                    let answer =
                        worker.try_out(&Trial::of(Affinity::new(bits)), one.id, get("/")).await.unwrap();
                    let endpoint = answer.collect().await.unwrap().to_bytes();
                    assert_eq!(own.get_or_insert(endpoint.clone()), &endpoint);
                }
            }
            *reached.entry(own.unwrap()).or_default() += 1;
        }
        assert!(reached.len() == 3 && reached.values().all(|share| (8..=35).contains(share)), "{reached:?}");
        // What belongs to nobody is spread as ever.
        assert_eq!(count(&one, 30).await, addresses.map(|address| (name(address), 10)).into());
    });
}

#[test]
fn what_belongs_to_an_endpoint_that_is_down_reaches_no_other() {
    run(async {
        let ((socket, down), up) = (silent(), named());
        let one = one(ServiceConfig { affinity: true, ..service(&[down, up.address]) });
        let ask = async |bits| match one
            .upstream
            .try_out(&Trial::of(Affinity::new(bits)), one.id, get("/"))
            .await
        {
            Ok(answer) => Ok(answer.collect().await.unwrap().to_bytes()),
            Err(error) => Err((error.kind, error.sent)),
        };
        let mut waiting = Vec::new();
        for bits in 0..20 {
            match ask(bits).await {
                Ok(endpoint) => assert_eq!(endpoint, name(up.address)),
                Err(error) => {
                    assert_eq!(error, (Kind::Connect, Sent::No));
                    waiting.push(bits);
                }
            }
        }
        assert!((3..=17).contains(&waiting.len()), "{waiting:?}");
        socket.listen(16).unwrap();
        let back = Server::start(socket.into(), move |_| std::future::ready(text(down.to_string())));
        for bits in waiting {
            assert_eq!(ask(bits).await, Ok(name(down)));
        }
        drop(back);
    });
}

#[test]
fn the_endpoint_with_fewer_requests_under_way_takes_the_next() {
    run(async {
        let gate = Arc::new(Semaphore::new(0));
        let slow = || {
            let (listener, gate) = (listen(), gate.clone());
            let name = listener.local_addr().unwrap().to_string();
            Server::start(listener, move |request| {
                let (gate, name) = (gate.clone(), name.clone());
                async move {
                    if request.uri().path() == "/slow" {
                        gate.acquire().await.unwrap().forget();
                    }
                    text(name)
                }
            })
        };
        let servers = [slow(), slow()];
        let addresses = servers.each_ref().map(|server| server.address);
        let one = one(ServiceConfig { balance: Balance::LeastRequest, ..service(&addresses) });
        let waiting = tokio::task::spawn_local({
            let (upstream, id) = (one.upstream.clone(), one.id);
            async move { upstream.send(id, get("/slow")).await.unwrap().collect().await.unwrap().to_bytes() }
        });
        until("one of them is busy", || servers.iter().map(Server::accepted).sum::<usize>() == 1).await;
        let answered = count(&one, 50).await;
        gate.add_permits(1);
        let busy = waiting.await.unwrap();
        assert_eq!(answered.into_values().collect::<Vec<_>>(), [50]);
        assert!(one.get("/").await.is_ok());
        let idle = addresses.into_iter().find(|address| name(*address) != busy).unwrap();
        assert_eq!(servers.iter().find(|server| server.address == idle).unwrap().accepted(), 1);
        // When nothing is under way chance decides: that one of two takes all 64 has a chance of one in 2⁶³.
        assert_eq!(count(&one, 64).await.len(), 2);
    });
}
