//! Endpoints that fail are left alone, and asked again one request at a time.
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use common::{One, Server, get, listen, one, run, service, text, until};
use http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::task::spawn_local;
use unanimo_upstream::{
    Affinity, CircuitConfig, Config, Kind, Sent, ServiceConfig, Services, Statuses, Trial, Upstream,
};

/// So long that no test sees it end.
const LONG: Duration = Duration::from_secs(3600);

/// A service that answers with a status that the test chooses, and counts what it was asked.
struct Moody {
    server: Server,
    status: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
    /// While it is shut, nobody is answered.
    door: Arc<Semaphore>,
}

impl Moody {
    fn start(status: u16) -> Moody {
        let (status, asked) = (Arc::new(AtomicU16::new(status)), Arc::<AtomicUsize>::default());
        let door = Arc::new(Semaphore::new(1));
        let of_server = (status.clone(), asked.clone(), door.clone());
        let server = Server::start(listen(), move |_| {
            let (status, asked, door) = of_server.clone();
            async move {
                asked.fetch_add(1, SeqCst);
                let _open = door.acquire().await.unwrap();
                let mut reply = text("mood");
                *reply.status_mut() = StatusCode::from_u16(status.load(SeqCst)).unwrap();
                reply
            }
        });
        Moody { server, status, asked, door }
    }

    fn become_well(&self) {
        self.status.store(200, SeqCst);
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }
}

fn with_circuit(services: &[&Moody], open: Duration) -> ServiceConfig {
    let addresses: Vec<_> = services.iter().map(|service| service.server.address).collect();
    let statuses = Statuses { from: 500, to: 503 };
    let circuit = CircuitConfig { failures: 3, statuses, open, cap: LONG };
    ServiceConfig { circuit: Some(circuit), ..service(&addresses) }
}

async fn status(one: &One) -> Result<u16, (Kind, Sent)> {
    let answer = one.send(get("/")).await.map_err(|error| (error.kind, error.sent))?;
    let status = answer.status().as_u16();
    answer.collect().await.unwrap();
    Ok(status)
}

#[test]
fn the_others_take_over_what_an_endpoint_fails() {
    run(async {
        let (well, ill) = (Moody::start(200), Moody::start(503));
        let one = one(with_circuit(&[&well, &ill], LONG));
        for _ in 0..40 {
            status(&one).await.unwrap();
        }
        assert_eq!((well.asked(), ill.asked()), (37, 3));
        let stats = one.upstream.services().stats(one.id);
        assert_eq!((stats.circuit_openings, stats.open_circuits), (1, 1));
    });
}

#[test]
fn an_open_circuit_lets_nothing_pass_until_its_time_is_over() {
    run(async {
        let ill = Moody::start(500);
        let one = one(with_circuit(&[&ill], Duration::from_millis(150)));
        for _ in 0..3 {
            assert_eq!(status(&one).await, Ok(500));
        }
        for _ in 0..20 {
            assert_eq!(status(&one).await, Err((Kind::CircuitOpen, Sent::No)));
        }
        assert_eq!(ill.asked(), 3);
        ill.become_well();
        tokio::time::sleep(Duration::from_millis(150)).await;
        for _ in 0..20 {
            assert_eq!(status(&one).await, Ok(200));
        }
        assert_eq!(one.upstream.services().stats(one.id).open_circuits, 0);
    });
}

#[test]
fn one_request_at_a_time_is_a_probe() {
    run(async {
        let ill = Moody::start(500);
        let one = Rc::new(one(with_circuit(&[&ill], Duration::from_secs(2))));
        for _ in 0..3 {
            status(&one).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let shut = ill.door.clone().acquire_owned().await.unwrap();
        let answers = Rc::new(Cell::new([0; 2]));
        for _ in 0..10 {
            let (one, answers) = (one.clone(), answers.clone());
            spawn_local(async move {
                let was_sent = status(&one).await.is_ok();
                let mut counted = answers.get();
                counted[usize::from(was_sent)] += 1;
                answers.set(counted);
            });
        }
        until("nine are held back", || answers.get() == [9, 0]).await;
        until("one probes", || ill.asked() == 4).await;
        ill.become_well();
        drop(shut);
        until("it is answered", || answers.get() == [9, 1]).await;
        assert_eq!(status(&one).await, Ok(200));
    });
}

#[test]
fn who_waited_in_vain_says_so_and_who_hung_up_does_not() {
    run(async {
        let ill = Moody::start(200);
        let _shut = ill.door.clone().acquire_owned().await.unwrap();
        let one = one(with_circuit(&[&ill], LONG));
        let wait = async |told: bool| {
            let trial = Trial::new();
            let sending = one.upstream.try_out(&trial, one.id, get("/"));
            assert!(tokio::time::timeout(Duration::from_millis(20), sending).await.is_err());
            if told {
                trial.failed();
            }
        };
        for _ in 0..5 {
            wait(false).await;
        }
        assert_eq!(one.upstream.services().stats(one.id).open_circuits, 0);
        for _ in 0..3 {
            wait(true).await;
        }
        assert_eq!(status(&one).await, Err((Kind::CircuitOpen, Sent::No)));
    });
}

#[test]
fn other_answers_are_successes() {
    run(async {
        let service = Moody::start(504);
        let one = one(with_circuit(&[&service], LONG));
        for code in [504, 500, 500, 429, 500, 500, 404, 500, 500] {
            service.status.store(code, SeqCst);
            assert_eq!(status(&one).await, Ok(code));
        }
        assert_eq!(status(&one).await, Ok(500));
        assert_eq!(status(&one).await, Err((Kind::CircuitOpen, Sent::No)));
    });
}

#[test]
fn workers_and_the_services_that_follow_know_the_same() {
    run(async {
        let ill = Moody::start(500);
        let config = with_circuit(&[&ill], LONG);
        let one = one(config.clone());
        for _ in 0..3 {
            status(&one).await.unwrap();
        }
        let other = One { upstream: Upstream::new(one.upstream.services().clone()), id: one.id };
        assert_eq!(status(&other).await, Err((Kind::CircuitOpen, Sent::No)));
        let config = |config| Config { services: [("one".to_owned(), config)].into() };
        let with = with_circuit(&[&ill], LONG);
        let next = Services::succeeding(Some(one.upstream.services()), config(with), Config::default());
        let next = Arc::new(next.unwrap());
        let id = next.id("one").unwrap();
        let next = One { upstream: one.upstream.succeeded_by(next), id };
        assert_eq!(status(&next).await, Err((Kind::CircuitOpen, Sent::No)));
        let without = ServiceConfig { circuit: None, ..with_circuit(&[&ill], LONG) };
        let none = Services::succeeding(Some(next.upstream.services()), config(without), Config::default());
        let none = One { upstream: next.upstream.succeeded_by(Arc::new(none.unwrap())), id };
        assert_eq!(status(&none).await, Ok(500), "without a circuit nothing is held back");
        assert_eq!(ill.asked(), 4);
    });
}

#[test]
fn what_belongs_to_an_endpoint_waits_for_it() {
    run(async {
        let all = [Moody::start(500), Moody::start(500)];
        let config = with_circuit(&[&all[0], &all[1]], Duration::from_millis(200));
        let one = one(ServiceConfig { affinity: true, ..config });
        let send = async || {
            let trial = Trial::of(Affinity::new(7));
            let answer = one.upstream.try_out(&trial, one.id, get("/")).await;
            answer.map(|answer| answer.status().as_u16()).map_err(|error| error.kind)
        };
        for _ in 0..3 {
            assert_eq!(send().await, Ok(500));
        }
        assert_eq!(send().await, Err(Kind::CircuitOpen));
        let own = usize::from(all[0].asked() == 0);
        assert_eq!((all[own].asked(), all[1 - own].asked()), (3, 0));
        // Probed every 200 ms while it is down, although its time doubles.
        for probes in 1..=3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!((send().await, all[own].asked()), (Ok(500), 3 + probes));
            assert_eq!(send().await, Err(Kind::CircuitOpen));
        }
        all[own].become_well();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(send().await, Ok(200));
        assert_eq!(all[1 - own].asked(), 0);
    });
}

#[test]
fn a_connection_that_cannot_be_made_is_a_failure() {
    run(async {
        let listener = listen();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let circuit = Some(CircuitConfig { failures: 3, open: LONG, cap: LONG, ..CircuitConfig::default() });
        let one = one(ServiceConfig { circuit, ..service(&[address]) });
        for _ in 0..3 {
            assert_eq!(status(&one).await, Err((Kind::Connect, Sent::No)));
        }
        assert_eq!(status(&one).await, Err((Kind::CircuitOpen, Sent::No)));
    });
}
