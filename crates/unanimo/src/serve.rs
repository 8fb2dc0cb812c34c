//! The only wiring: how the crates become one process, and how it ends.
//!
//! ```text
//!  main thread                      worker threads                     journal's thread
//!  ───────────                      ──────────────                     ────────────────
//!  build table, replay journal
//!  start workers ─────────────────▶ take the seat: recovered
//!  admin listener                   accept, route, run transactions ──▶ write, sync, tell
//!  SIGTERM, or a failed journal ──▶ stop accepting, tell the waiters
//!  all have drained ◀────────────── drained
//!  join workers ──────────────────▶ end: until now, another worker's client may have waited on it
//!  close the journal ─────────────────────────────────────────────────▶ last sync
//! ```

use crate::config::Config;
use crate::failure::Failure;
use crate::notify::Notifier;
use crate::sockets::{bind, bind_for_participants};
use prometheus_client::registry::Registry;
use serde_json::json;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use unanimo_contract::Transactions;
use unanimo_control::Probe;
use unanimo_gateway::{Governed, Limits, Metrics, Rules, Table};
use unanimo_journal::{Disk, Report};
use unanimo_participants::Http;
use unanimo_runtime::{Handle, Recovered, Seat, recover};
use unanimo_upstream::{CircuitState, Services, Upstream};

/// Serves a configuration until SIGTERM or SIGINT.
pub fn serve(config: Config) -> Result<(), Failure> {
    let disk = unanimo_journal::Files::open(&config.journal.directory).map_err(Failure::journal)?;
    serve_with(config, disk, Seat::take)
}

/// Serves with this disk under the journal, and with what `take` makes of each worker's seat behind its transactional
/// routes.
pub fn serve_with<T: Transactions>(
    config: Config,
    disk: impl Disk,
    take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error> + Clone + Send + 'static,
) -> Result<(), Failure> {
    let services = Arc::new(Services::new(config.upstream).map_err(Failure::services)?);
    let table = Arc::new(Table::build(&config.gateway, &services).map_err(Failure::routes)?);
    let recovered = recover(
        unanimo_runtime::Config {
            workers: config.workers,
            open_limit: config.open_transactions,
            retry: config.retry,
            plans: config.gateway.plans().cloned().collect(),
            journal: config.journal.clone(),
        },
        disk,
    );
    let Recovered { seats, handle, committing, report, services: _ } = recovered.map_err(Failure::start)?;
    log_replay(&report);

    let mut registry = Registry::with_prefix("unanimo");
    let metrics = Metrics::new();
    metrics.register(&mut registry);
    unanimo_upstream::Metrics::new(services.clone()).register(&mut registry);
    let counts = unanimo_runtime::metrics::Metrics::new(&handle);
    registry.register_collector(Box::new(counts.clone()));
    let control = runtime().map_err(Failure::thread)?;
    // Before anybody is served: from then on an early SIGTERM ends the process as a late one does.
    let signals = Signals::new(&control)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let (draining, mut drained) = mpsc::channel(1);
    let (failed, failures) = mpsc::channel(seats.len().max(1));
    let mut sockets = bind(&config.gateway.listeners, seats.len())?;
    let mut inquiries = bind_for_participants(config.participants.as_ref(), seats.len())?;
    let mut workers = Vec::new();
    for seat in seats {
        let worker = Worker {
            listeners: sockets.pop().unwrap_or_default(),
            inquiries: inquiries.sockets.pop(),
            gateway: inquiries.url.clone(),
            table: table.clone(),
            services: services.clone(),
            limits: config.gateway.limits.clone(),
            metrics: metrics.clone(),
            logs_requests: config.log.access,
            phases: phases.clone(),
            draining: draining.clone(),
            failed: failed.clone(),
        };
        workers.push(worker.spawn(seat, take.clone())?);
    }
    drop((failed, draining));
    let (_following, checked) = watch::channel(services.clone());
    let probe = Process { handle: handle.clone(), registry: Arc::new(registry), counts, services: checked };
    let notifier = Notifier::from_environment();
    let ended = control.block_on(control_plane(config.admin, probe, &notifier, failures, signals));
    notifier.stopping();
    tracing::info!("ending: no new request is accepted, and who waits is told where the answer will be");
    phase.send_replace(Phase::Leaving);
    control.block_on(async {
        handle.leave().await;
        // Nothing is ever sent: it ends when every worker has let go of it.
        drained.recv().await;
    });
    phase.send_replace(Phase::Ending);
    for worker in workers {
        // What a worker had to say came over its channel.
        let _ = worker.join();
    }
    handle.journal().close();
    committing.join();
    // The last sync of all may have failed: the end is in good order only if that was not so.
    ended.and_then(|()| handle.journal().poison().map_or(Ok(()), |poison| Err(Failure::poisoned(&poison))))
}

fn log_replay(report: &Report) {
    let Report { batches, records, open, torn, .. } = report;
    tracing::info!(batches, records, open, "journal replayed");
    if let Some(torn) = torn {
        tracing::warn!(file = %torn.path.display(), offset = torn.offset, "a torn tail was cut: nobody was told of it");
    }
}

/// A current-thread runtime: one of these for each worker, and one for the control plane.
fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// How far the process's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    /// Nothing new begins; who waits is told where its answer will be.
    Leaving,
    /// Nobody waits any more.
    Ending,
}

/// What one worker's thread needs.
struct Worker {
    listeners: Vec<TcpListener>,
    /// Its socket of the listener for participants, where there is one.
    inquiries: Option<TcpListener>,
    /// How participants reach that listener.
    gateway: Option<Arc<str>>,
    table: Arc<Table>,
    services: Arc<Services>,
    limits: Limits,
    metrics: Metrics,
    logs_requests: bool,
    phases: watch::Receiver<Phase>,
    /// Held until this worker has drained.
    draining: mpsc::Sender<Infallible>,
    failed: mpsc::Sender<Failure>,
}

impl Worker {
    fn spawn<T: Transactions>(
        self,
        seat: Seat,
        take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error> + Send + 'static,
    ) -> Result<JoinHandle<()>, Failure> {
        let name = format!("worker-{}", seat.number());
        let failed = self.failed.clone();
        let thread = std::thread::Builder::new().name(name);
        let run = move || {
            if let Err(failure) = self.run(seat, take) {
                // Full only if other workers have failed as well: one failure is enough to end.
                let _ = failed.try_send(failure);
            }
        };
        thread.spawn(run).map_err(Failure::thread)
    }

    fn run<T: Transactions>(
        mut self,
        seat: Seat,
        take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error>,
    ) -> Result<(), Failure> {
        let runtime = runtime().map_err(Failure::thread)?;
        LocalSet::new().block_on(&runtime, async move {
            let upstream = Upstream::new(self.services);
            let transactions =
                take(seat, Http::new(upstream.clone(), self.gateway.as_deref())).map_err(Failure::start)?;
            let (table, limits, logs_requests) = (self.table, self.limits, self.logs_requests);
            let rules = Rules { table, upstream, limits, logs_requests };
            let worker = unanimo_gateway::Worker {
                listeners: self.listeners,
                inquiries: self.inquiries,
                governed: Governed::new(rules, &self.metrics),
                transactions,
            };
            let shutdown = async {
                // The sender is gone only when the process ends anyway.
                let _ = self.phases.wait_for(|phase| *phase >= Phase::Leaving).await;
            };
            let drained = unanimo_gateway::serve(worker, shutdown).await.map_err(Failure::serve)?;
            if drained.cut > 0 {
                tracing::warn!(
                    connections = drained.cut,
                    "closed with a request under way: the grace was over"
                );
            }
            drop(self.draining);
            // Its transactions may be awaited by the clients of workers that have not drained yet.
            let _ = self.phases.wait_for(|phase| *phase == Phase::Ending).await;
            Ok(())
        })
    }
}

/// The signals that ask for an orderly end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new(runtime: &Runtime) -> Result<Signals, Failure> {
        let _entered = runtime.enter();
        let listen = |kind| signal(kind).map_err(Failure::thread);
        Ok(Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves the admin listener until the process has to end, and says whether it ends well.
async fn control_plane(
    admin: Option<std::net::SocketAddr>,
    probe: Process,
    notifier: &Notifier,
    mut failures: mpsc::Receiver<Failure>,
    mut signals: Signals,
) -> Result<(), Failure> {
    let checked = probe.services.clone();
    let handle = probe.handle.clone();
    let serving = async || {
        handle.pulse().await;
        notifier.ready();
        notifier.watch(async || handle.pulse().await).await;
        std::future::pending().await
    };
    let pages = async {
        let Some(address) = admin else { return serving().await };
        let listener =
            tokio::net::TcpListener::bind(address).await.map_err(|error| Failure::bind(address, &error))?;
        if let Ok(address) = listener.local_addr() {
            tracing::info!(listener = "admin", %address, "listening");
        }
        let pages = axum::serve(listener, unanimo_control::router(handle.clone(), probe));
        tokio::select! {
            ended = pages => ended.map_err(Failure::serve),
            ended = serving() => ended,
        }
    };
    tokio::select! {
        () = signals.end() => Ok(()),
        poison = handle.poisoned() => Err(Failure::poisoned(&poison)),
        Some(failure) = failures.recv() => Err(failure),
        ended = pages => ended,
        () = unanimo_upstream::check(checked) => Ok(()),
    }
}

/// What the admin pages ask of the process.
#[derive(Clone)]
struct Process {
    handle: Handle,
    registry: Arc<Registry>,
    counts: unanimo_runtime::metrics::Metrics,
    /// Those in force now.
    services: watch::Receiver<Arc<Services>>,
}

impl Probe for Process {
    fn ready(&self) -> Result<(), String> {
        match self.handle.journal().poison() {
            Some(poison) => Err(poison.to_string()),
            None => Ok(()),
        }
    }

    async fn metrics(&self) -> String {
        self.counts.refresh(&self.handle).await;
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# the metrics cannot be written: {error}\n# EOF\n"),
        }
    }

    fn services(&self) -> serde_json::Value {
        shown(&self.services.borrow())
    }
}

/// The services with their endpoints, as the admin pages show them.
fn shown(services: &Services) -> serde_json::Value {
    let mut shown: Vec<serde_json::Value> = Vec::new();
    for (name, endpoint, state) in services.endpoint_states() {
        let circuit = match state.circuit {
            CircuitState::Closed => "closed",
            CircuitState::Open => "open",
            CircuitState::HalfOpen => "half-open",
        };
        let endpoint = json!({ "address": endpoint, "circuit": circuit, "healthy": state.is_healthy });
        match shown.last_mut().filter(|service| service["name"] == name) {
            Some(service) => {
                service["endpoints"].as_array_mut().into_iter().for_each(|it| it.push(endpoint.clone()))
            }
            None => shown.push(json!({ "name": name, "endpoints": [endpoint] })),
        }
    }
    shown.into()
}
