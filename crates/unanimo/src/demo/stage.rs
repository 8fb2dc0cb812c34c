//! The processes together: four services and the gateway, and a mail server within this process.

use super::clock;
use super::failure::Failure;
use super::place::Place;
use super::process::Process;
use super::wire::{Connection, Question};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use unanimo_shop::Service;
use unanimo_shop::audit::{self, Facts};
use unanimo_shop::smtp_sink::Sink;

/// How long a process may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(20);
const READY_INTERVAL: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a dead process is looked for while nothing happens.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Everything that runs. Dropped, it ends the processes, and only then its files go.
pub struct Stage {
    services: Vec<(Service, Process)>,
    gateway: Process,
    sink: Sink,
    /// Its files and addresses.
    pub place: Place,
}

/// Who can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// One of the services.
    Service(Service),
    /// The gateway.
    Gateway,
}

impl Stage {
    /// Starts everything, and waits until all of it is ready.
    pub async fn open(place: Place) -> Result<Stage, Failure> {
        let fail = |error| Failure::new(format!("no mail server can be started: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
        let sink = Sink::start(listener, place.mail()).map_err(fail)?;
        let mut services = Vec::new();
        for service in Service::ALL {
            let process = Process::start(
                service.name(),
                shop_arguments(&place, service, sink.address()),
                place.log(service.name()),
            )?;
            services.push((service, process));
        }
        let run = vec!["run".into(), place.configuration().into()];
        let gateway = Process::start("the gateway", run, place.log("gateway"))?;
        let mut stage = Stage { services, gateway, sink, place };
        for service in Service::ALL {
            stage.ready(Victim::Service(service)).await?;
        }
        stage.ready(Victim::Gateway).await?;
        Ok(stage)
    }

    /// Its number at the operating system.
    pub fn pid(&self, victim: Victim) -> u32 {
        self.process(victim).pid()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self, victim: Victim) {
        self.process_mut(victim).kill();
    }

    /// Starts it again, on the same address and files; gives the time from its start until it was ready.
    pub async fn start_again(&mut self, victim: Victim) -> Result<Duration, Failure> {
        let started = clock::now();
        self.process_mut(victim).start_again()?;
        self.ready(victim).await?;
        Ok(clock::now() - started)
    }

    /// Lets time pass until then; fails when a process ends meanwhile.
    pub async fn until(&mut self, then: Instant) -> Result<(), Failure> {
        loop {
            self.check()?;
            let left = then.saturating_duration_since(clock::now());
            if left.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(left.min(CHECK_INTERVAL)).await;
        }
    }

    /// The sum of one of the gateway's metrics; `None` where it does not answer, or has no such metric.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let mut connection = Connection::to(self.place.admin);
        let answer = connection.ask(&Question::get("/metrics"), PATIENCE).await.ok()?;
        sum(std::str::from_utf8(&answer.body).ok()?, name)
    }

    /// What one service's database says.
    pub fn facts(&self, service: Service) -> Result<Facts, Failure> {
        let file = self.place.database(service);
        audit::read(service, &file).map_err(|error| Failure::file(&file, error))
    }

    /// The Message-IDs of all mail that was received.
    pub fn message_ids(&self) -> Vec<String> {
        self.sink.message_ids()
    }

    fn check(&mut self) -> Result<(), Failure> {
        self.services.iter_mut().try_for_each(|(_, process)| process.check())?;
        self.gateway.check()
    }

    async fn ready(&mut self, victim: Victim) -> Result<(), Failure> {
        let (address, path) = match victim {
            Victim::Service(service) => (self.place.address(service), "/healthz"),
            Victim::Gateway => (self.place.admin, "/readyz"),
        };
        let (question, latest) = (Question::get(path), clock::now() + READY_MAX);
        loop {
            let answer = Connection::to(address).ask(&question, PATIENCE).await;
            if answer.is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            let process = self.process_mut(victim);
            process.check()?;
            if clock::now() > latest {
                let what = format!("is not ready after {} s: {address}{path} does not say so", READY_MAX.as_secs());
                return Err(process.failure(&what));
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
    }

    fn process(&self, victim: Victim) -> &Process {
        match victim {
            Victim::Gateway => &self.gateway,
            Victim::Service(service) => self.of(service),
        }
    }
}
