//! The processes together: four services and the gateway, and a mail server within this process.

use super::clock;
use super::failure::Failure;
use super::place::Place;
use super::process::Process;
use super::wire::{Connection, Question};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;
use unanimo_shop::Service;
use unanimo_shop::audit::{self, Facts};
use unanimo_shop::smtp_sink::Sink;

/// How long a process may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(20);
const READY_INTERVAL: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a dead process is looked for while nothing else happens.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Everything that runs. Dropped, it ends the processes first, and only then its files go.
pub struct Stage {
    order: Process,
    payment: Process,
    shipping: Process,
    notification: Process,
    gateway: Process,
    sink: Sink,
    /// Its files and addresses.
    pub place: Place,
}

/// A process that can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// One of the services.
    Service(Service),
    /// The gateway.
    Gateway,
}

impl Stage {
    /// Starts everything, and waits until all of it is ready. The files of what does not come up stay.
    pub async fn open(place: Place) -> Result<Stage, Failure> {
        let fail = |error| Failure::new(format!("no mail server can be started: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(fail)?;
        let sink = Sink::start(listener, place.mail()).map_err(fail)?;
        let service = |service: Service| {
            let arguments = shop_arguments(&place, service, sink.address());
            Process::start(service.name(), arguments, place.log(service.name()))
        };
        let mut stage = Stage {
            order: service(Service::Order)?,
            payment: service(Service::Payment)?,
            shipping: service(Service::Shipping)?,
            notification: service(Service::Notification)?,
            gateway: Process::start(
                "gateway",
                vec!["run".into(), place.configuration().into()],
                place.log("gateway"),
            )?,
            sink,
            place,
        };
        if let Err(failure) = stage.all_ready().await {
            stage.place.stay();
            return Err(failure);
        }
        Ok(stage)
    }

    /// Its number at the operating system.
    pub fn pid(&mut self, victim: Victim) -> u32 {
        self.process(victim).pid()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self, victim: Victim) {
        self.process(victim).kill();
    }

    /// Starts it again, on the same address and files; gives the time from its start until it was ready.
    pub async fn start_again(&mut self, victim: Victim) -> Result<Duration, Failure> {
        let started = clock::now();
        self.process(victim).start_again()?;
        self.ready(victim).await?;
        Ok(clock::now() - started)
    }

    /// Lets something happen; fails when a process ends meanwhile.
    pub async fn during<T>(&mut self, happening: impl Future<Output = T>) -> Result<T, Failure> {
        let ending = async {
            loop {
                if let Err(failure) = self.check() {
                    return failure;
                }
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        };
        tokio::select! {
            happened = happening => Ok(happened),
            failure = ending => Err(failure),
        }
    }

    /// Fails when a process has ended by itself.
    pub fn check(&mut self) -> Result<(), Failure> {
        let Stage { order, payment, shipping, notification, gateway, .. } = self;
        [order, payment, shipping, notification, gateway].into_iter().try_for_each(Process::check)
    }

    /// The sum of one of the gateway's metrics over its labels; `None` where it does not answer, or has none such.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let answer = Connection::to(self.place.admin).ask(&Question::get("/metrics"), PATIENCE).await.ok()?;
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

    async fn all_ready(&mut self) -> Result<(), Failure> {
        for service in Service::ALL {
            self.ready(Victim::Service(service)).await?;
        }
        self.ready(Victim::Gateway).await
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
            let process = self.process(victim);
            process.check()?;
            if clock::now() > latest {
                let what = format!("is not ready after {} s: http://{address}{path}", READY_MAX.as_secs());
                return Err(process.failure(&what));
            }
            tokio::time::sleep(READY_INTERVAL).await;
        }
    }

    fn process(&mut self, victim: Victim) -> &mut Process {
        match victim {
            Victim::Service(Service::Order) => &mut self.order,
            Victim::Service(Service::Payment) => &mut self.payment,
            Victim::Service(Service::Shipping) => &mut self.shipping,
            Victim::Service(Service::Notification) => &mut self.notification,
            Victim::Gateway => &mut self.gateway,
        }
    }
}

fn shop_arguments(place: &Place, service: Service, smtp: SocketAddr) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["shop", service.name()].map(OsString::from).into();
    let mut option = |name: &str, value: OsString| arguments.extend([name.into(), value]);
    option("--database", place.database(service).into());
    option("--address", place.address(service).to_string().into());
    option("--credential-file", place.credential(service).into());
    if service == Service::Notification {
        option("--smtp", smtp.to_string().into());
    }
    arguments
}

/// Adds up the lines of one metric in a page of OpenMetrics text.
fn sum(page: &str, name: &str) -> Option<u64> {
    if !page
        .lines()
        .any(|line| line.strip_prefix("# TYPE ").is_some_and(|line| line.split(' ').next() == Some(name)))
    {
        return None;
    }
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
        rest.rsplit(' ').next()?.parse::<u64>().ok()
    });
    Some(values.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let page = "# TYPE a gauge\na{state=\"x y\"} 3\na{state=\"z\"} 4\n# TYPE ab gauge\nab 5\n\
                    # TYPE empty gauge\n# EOF\n";
        assert_eq!(sum(page, "a"), Some(7));
        assert_eq!(sum(page, "ab"), Some(5));
        assert_eq!(sum(page, "empty"), Some(0));
        assert_eq!(sum(page, "b"), None);
    }
}
