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

use crate::config::{Config, Loaded};
use crate::failure::Failure;
use crate::notify::Notifier;
use crate::process::{Process, Signals};
use crate::reload::{Edition, Keeper, Memory, Needed, Outline, Reload, Reloading, Status};
use crate::sockets::{bind, bind_for_participants};
use crate::worker::{Phase, Worker};
use prometheus_client::registry::Registry;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use unanimo_contract::Transactions;
use unanimo_gateway::Metrics;
use unanimo_journal::{Disk, Report};
use unanimo_participants::Http;
use unanimo_runtime::{Recovered, Seat, recover};

/// Serves a configuration until SIGTERM or SIGINT, and what is read from its path after SIGHUP or a change.
pub fn serve(loaded: Loaded, path: &Path) -> Result<(), Failure> {
    let disk = unanimo_journal::Files::open(&loaded.config.journal.directory).map_err(Failure::journal)?;
    serve_with(loaded, Some(path), disk, Seat::take)
}

/// Serves with this disk under the journal, and with what `take` makes of each worker's seat behind its transactional
/// routes.
pub fn serve_with<T: Transactions>(
    loaded: Loaded,
    path: Option<&Path>,
    disk: impl Disk,
    take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error> + Clone + Send + 'static,
) -> Result<(), Failure> {
    let Loaded { config, digest, folder, .. } = loaded;
    // What cannot be served is refused before the journal is touched.
    Edition::new(&config, unanimo_upstream::Config::default(), None)?;
    let Recovered { seats, handle, committing, report, services: needed } =
        recover(runtime_config(&config), disk).map_err(Failure::start)?;
    log_replay(&report);
    let keeper = keeper(&config, &needed)?;
    let edition = Arc::new(Edition::new(&config, keeper.upstream(), None)?);
    let status = Status::new(path.map(Path::to_owned), Outline::of(&config, &digest, &folder));
    status.retired(keeper.shown(&needed));

    let mut registry = Registry::with_prefix("unanimo");
    let metrics = Metrics::new();
    metrics.register(&mut registry);
    let endpoints = unanimo_upstream::Metrics::new(edition.services.clone());
    endpoints.clone().register(&mut registry);
    registry.register_collector(Box::new(status.clone()));
    let counts = unanimo_runtime::metrics::Metrics::new(&handle);
    registry.register_collector(Box::new(counts.clone()));
    let control = runtime().map_err(Failure::thread)?;
    // Before anybody is served: from then on an early SIGTERM ends the process as a late one does.
    let signals = Signals::new(&control)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let (draining, mut drained) = mpsc::channel(1);
    let (failed, failures) = mpsc::channel(seats.len().max(1));
    let (editions, edition) = watch::channel(edition);
    let mut sockets = bind(&config.gateway.listeners, seats.len())?;
    let mut inquiries = bind_for_participants(config.participants.as_ref(), seats.len())?;
    let mut workers = Vec::new();
    for seat in seats {
        let worker = Worker {
            listeners: sockets.pop().unwrap_or_default(),
            inquiries: inquiries.sockets.pop(),
            gateway: inquiries.url.clone(),
            editions: edition.clone(),
            metrics: metrics.clone(),
            phases: phases.clone(),
            draining: draining.clone(),
            failed: failed.clone(),
        };
        workers.push(worker.spawn(seat, take.clone())?);
    }
    drop((failed, draining, edition));
    let (services, checked) = watch::channel(editions.borrow().services.clone());
    let (admin, path) = (config.admin, path.map(Path::to_owned));
    let (registry, shown) = (Arc::new(registry), status.clone());
    let probe = Process { handle: handle.clone(), registry, counts, status: shown, services: checked };
    let metrics = endpoints;
    let reload = Reload { path, config, handle: handle.clone(), editions, services, status, metrics, keeper };
    let reloading = reload.start()?;
    let notifier = Notifier::from_environment();
    let ended = control.block_on(control_plane(admin, probe, &reloading, &notifier, failures, signals));
    notifier.stopping();
    tracing::info!("ending: no new request is accepted, and who waits is told where the answer will be");
    reloading.end();
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

fn runtime_config(config: &Config) -> unanimo_runtime::Config {
    unanimo_runtime::Config {
        workers: config.workers,
        open_limit: config.open_transactions,
        retry: config.retry,
        plans: config.gateway.plans().cloned().collect(),
        journal: config.journal.clone(),
    }
}

/// Keeps the services that open transactions need and the configuration lacks.
fn keeper(config: &Config, needed: &Needed) -> Result<Keeper, Failure> {
    let memory = Memory::beside(&config.journal.directory);
    let keeper = Keeper::start(memory, config, needed).map_err(Failure::memory)?;
    for (service, retired) in keeper.shown(needed) {
        let transactions = retired.transactions;
        match retired.unreachable {
            None => tracing::warn!(
                service,
                transactions,
                "retired: open transactions need it, and the configuration lacks it"
            ),
            Some(why) => tracing::error!(
                service,
                transactions,
                why,
                "open transactions need a service that cannot be called: configure it, or they stay open"
            ),
        }
    }
    Ok(keeper)
}

fn log_replay(report: &Report) {
    let Report { batches, records, open, torn, .. } = report;
    tracing::info!(batches, records, open, "journal replayed");
    if let Some(torn) = torn {
        tracing::warn!(file = %torn.path.display(), offset = torn.offset, "a torn tail was cut: nobody was told of it");
    }
}

/// A current-thread runtime: one of these for each worker, and one for the control plane.
pub fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Serves the admin listener until the process has to end, and says whether it ends well.
async fn control_plane(
    admin: Option<std::net::SocketAddr>,
    probe: Process,
    reloading: &Reloading,
    notifier: &Notifier,
    mut failures: mpsc::Receiver<Failure>,
    mut signals: Signals,
) -> Result<(), Failure> {
    let (handle, checked) = (probe.handle.clone(), probe.services.clone());
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
        () = signals.end(reloading) => Ok(()),
        poison = handle.poisoned() => Err(Failure::poisoned(&poison)),
        Some(failure) = failures.recv() => Err(failure),
        ended = pages => ended,
        () = unanimo_upstream::check(checked) => Ok(()),
    }
}
