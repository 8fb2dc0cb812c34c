//! Services that follow on others: what is kept, what is counted on, and what goes.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Server, get, listen, run, service, text, until};
use http_body_util::BodyExt;
use unanimo_upstream::{Config, ServiceConfig, Services, Upstream};

fn config(services: &[(&str, ServiceConfig)]) -> Config {
    let services = services.iter().map(|(name, service)| ((*name).to_owned(), service.clone()));
    Config { services: services.collect::<BTreeMap<_, _>>() }
}

async fn ask(upstream: &Upstream, service: &str) {
    let id = upstream.services().id(service).unwrap();
    upstream.send(id, get("/")).await.unwrap().collect().await.unwrap();
}

fn server() -> Server {
    Server::start(listen(), async |_| text("hello"))
}

#[test]
fn an_endpoint_that_stays_keeps_its_connections_and_its_counts() {
    run(async {
        let (stays, goes, comes) = (server(), server(), server());
        let old = Services::new(config(&[("a", service(&[stays.address, goes.address]))])).unwrap();
        let upstream = Upstream::new(Arc::new(old));
        for _ in 0..4 {
            ask(&upstream, "a").await;
        }
        let changed = ServiceConfig { idle_connections: 7, ..service(&[comes.address, stays.address]) };
        // Its id is another one now: `0` stands before it.
        let new = config(&[("0", service(&[goes.address])), ("a", changed)]);
        let services = Services::succeeding(Some(upstream.services()), new, Config::default()).unwrap();
        let next = upstream.succeeded_by(Arc::new(services));
        drop(upstream);
        until("the connection to the endpoint that goes is closed", || goes.open() == 0).await;
        for _ in 0..4 {
            ask(&next, "a").await;
        }
        assert_eq!([stays.accepted(), comes.accepted()], [1, 1]);
        let id = next.services().id("a").unwrap();
        // Two by each of the former, which has taken its own with it.
        assert_eq!(next.services().stats(id).requests, 2 + 4);
        assert_eq!(next.services().stats(next.services().id("0").unwrap()).requests, 0);
    });
}

#[test]
fn what_is_under_way_ends_as_it_began() {
    run(async {
        let server = server();
        let old = Services::new(config(&[("a", service(&[server.address]))])).unwrap();
        let upstream = Upstream::new(Arc::new(old));
        let id = upstream.services().id("a").unwrap();
        let answer = upstream.send(id, get("/")).await.unwrap();
        let elsewhere = config(&[("b", service(&[server.address]))]);
        let services = Services::succeeding(Some(upstream.services()), elsewhere, Config::default());
        let next = upstream.succeeded_by(Arc::new(services.unwrap()));
        drop(upstream);
        assert!(next.services().id("a").is_none());
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
    });
}

#[test]
fn retired_services_stand_behind_the_others_and_a_configured_one_is_never_retired() {
    let address = listen().local_addr().unwrap();
    let one = || service(&[address]);
    let services = |retired: &[(&str, ServiceConfig)]| {
        Services::succeeding(None, config(&[("b", one()), ("c", one())]), config(retired)).unwrap()
    };
    let some = services(&[("a", one()), ("c", one())]);
    let none = services(&[]);
    for name in ["b", "c"] {
        assert_eq!(some.id(name), none.id(name), "the table's ids hold whoever is retired");
        assert!(!some.is_retired(some.id(name).unwrap()));
    }
    assert!(some.is_retired(some.id("a").unwrap()));
    assert_eq!(none.id("a"), None);
}
