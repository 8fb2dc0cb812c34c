//! Endpoints are asked whether they are well, and left alone while they are not.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::{One, Server, get, listen, one, run, service, text, until};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::task::spawn_local;
use unanimo_upstream::{
    Affinity, Config, HealthConfig, ServiceConfig, ServiceId, Services, Statuses, Trial, check,
};

/// No answer at all to checks.
const SILENT: u16 = 0;

/// A service that says how well it is, and counts what it is asked.
struct Patient {
    server: Server,
    says: Arc<AtomicU16>,
    checks: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Patient {
    fn start(says: u16) -> Patient {
        let says = Arc::new(AtomicU16::new(says));
        let (checks, requests) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let of_server = (says.clone(), checks.clone(), requests.clone());
        let server = Server::start(listen(), move |request| {
            let (says, checks, requests) = of_server.clone();
            async move {
                let mut reply = text("here");
                if request.uri() != "/healthz?deep=1" {
                    requests.fetch_add(1, SeqCst);
                    return reply;
                }
                assert_eq!(request.headers()["user-agent"], "unanimo-health");
                assert!(request.headers().contains_key("host"));
                checks.fetch_add(1, SeqCst);
                let says = says.load(SeqCst);
                if says == SILENT {
                    std::future::pending::<()>().await;
                }
                *reply.status_mut() = StatusCode::from_u16(says).unwrap();
                reply
            }
        });
        Patient { server, says, checks, requests }
    }

    fn say(&self, says: u16) {
        self.says.store(says, SeqCst);
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

fn checked(patients: &[&Patient]) -> ServiceConfig {
    let addresses: Vec<_> = patients.iter().map(|patient| patient.server.address).collect();
    let health = HealthConfig {
        interval: Duration::from_millis(10),
        timeout: Duration::from_millis(200),
        statuses: Statuses { from: 200, to: 204 },
        ..HealthConfig::new("/healthz?deep=1")
    };
    ServiceConfig { health: Some(health), ..service(&addresses) }
}

fn begin(one: &One) -> watch::Sender<Arc<Services>> {
    let (sender, receiver) = watch::channel(one.upstream.services().clone());
    spawn_local(check(receiver));
    sender
}

async fn ask(one: &One, times: usize) {
    for _ in 0..times {
        one.get("/").await.unwrap();
    }
}

fn ill(services: &Services, id: ServiceId) -> u64 {
    services.stats(id).ill
}

#[test]
fn an_ill_endpoint_is_left_alone_until_it_is_well() {
    run(async {
        let (well, other) = (Patient::start(200), Patient::start(204));
        let one = one(checked(&[&well, &other]));
        let services = one.upstream.services().clone();
        let _follow = begin(&one);
        until("both are checked", || [&well, &other].iter().all(|it| it.checks.load(SeqCst) > 5)).await;
        assert_eq!(ill(&services, one.id), 0);
        for says in [503, 205, SILENT] {
            other.say(says);
            until("it is found ill", || ill(&services, one.id) == 1).await;
            let before = other.requests();
            ask(&one, 20).await;
            assert_eq!(other.requests(), before);
            other.say(200);
            until("it is found well", || ill(&services, one.id) == 0).await;
            ask(&one, 20).await;
            assert_eq!(other.requests(), before + 10);
        }
        assert!(services.stats(one.id).failed_checks >= 9);
        let states: Vec<_> = services.endpoint_states().map(|(_, _, state)| state.is_healthy).collect();
        assert_eq!(states, [Some(true), Some(true)]);
    });
}

#[test]
fn where_all_are_ill_all_are_asked() {
    run(async {
        let all = [Patient::start(500), Patient::start(500)];
        let one = one(checked(&[&all[0], &all[1]]));
        let _follow = begin(&one);
        until("both are ill", || ill(one.upstream.services(), one.id) == 2).await;
        ask(&one, 20).await;
        assert_eq!((all[0].requests(), all[1].requests()), (10, 10));
    });
}

#[test]
fn what_belongs_to_an_endpoint_goes_there_however_ill_it_is() {
    run(async {
        let all = [Patient::start(200), Patient::start(200)];
        let one = one(ServiceConfig { affinity: true, ..checked(&[&all[0], &all[1]]) });
        let send = async || {
            let trial = Trial::of(Affinity::new(11));
            one.upstream.try_out(&trial, one.id, get("/")).await.unwrap().collect().await.unwrap();
        };
        send().await;
        let own = usize::from(all[0].requests() == 0);
        all[own].say(500);
        let _follow = begin(&one);
        until("it is ill", || ill(one.upstream.services(), one.id) == 1).await;
        send().await;
        assert_eq!((all[own].requests(), all[1 - own].requests()), (2, 0));
    });
}

#[test]
fn a_service_is_checked_as_long_as_it_says_so() {
    run(async {
        let (patient, other) = (Patient::start(500), Patient::start(200));
        let first = one(checked(&[&patient, &other]));
        let follow = begin(&first);
        until("it is ill", || ill(first.upstream.services(), first.id) == 1).await;
        let next = |config| {
            let config = Config { services: [("one".to_owned(), config)].into() };
            Services::succeeding(Some(first.upstream.services()), config, Config::default()).unwrap()
        };
        let same = Arc::new(next(checked(&[&patient, &other])));
        assert_eq!(ill(&same, same.id("one").unwrap()), 1, "what is known stays known");
        let without = Arc::new(next(ServiceConfig { health: None, ..checked(&[&patient, &other]) }));
        follow.send(without.clone()).unwrap();
        let id = without.id("one").unwrap();
        let unchecked = One { upstream: first.upstream.succeeded_by(without), id };
        ask(&unchecked, 20).await;
        assert_eq!(
            (patient.requests(), ill(unchecked.upstream.services(), id)),
            (10, 0),
            "it no longer counts"
        );
        let mut before = patient.checks.load(SeqCst);
        // A check that was under way may still have arrived.
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            let now = patient.checks.load(SeqCst);
            if now == before {
                return;
            }
            before = now;
        }
        panic!("it is still checked");
    });
}
