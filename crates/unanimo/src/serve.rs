//! The only wiring: how the crates become one process, and how it ends.
//!
//! ```text
//!  main thread                      worker threads                     journal's thread
//!  ───────────                      ──────────────                     ────────────────
//!  build table, replay journal
//!  start workers ─────────────────▶ take the seat: recovered
//!  admin listener                   accept, route, run transactions ──▶ write, sync, tell
//!  SIGTERM, or a failed journal ──▶ stop accepting, finish; after `drain` tell the waiters
//!  all have drained ◀────────────── drained
//!  join workers ──────────────────▶ end: until now, another worker's client may have waited on it
//!  close the journal ─────────────────────────────────────────────────▶ last sync
//! ```

use crate::config::{Config, Loaded};
use crate::failure::Failure;
use crate::inherited::Inherited;
use crate::notify::Notifier;
use crate::process::{Process, Signals};
use crate::reload::{Edition, Keeper, Memory, Needed, Outline, Reload, Reloading, Status};
use crate::sockets::{bind, bind_for_participants};
use crate::succession;
use crate::worker::{Phase, Worker};
use prometheus_client::registry::Registry;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use unanimo_contract::Transactions;
use unanimo_gateway::{ListenerConfig, Metrics};
use unanimo_journal::{Disk, Report};
use unanimo_participants::Http;
use unanimo_runtime::{Handle, Recovered, Seat, recover};

/// Serves a configuration until SIGTERM or SIGINT, and what is read from its path after SIGHUP or a change.
pub fn serve(loaded: Loaded, path: &Path) -> Result<(), Failure> {
    let inherited = Inherited::from_environment()?;
    let directory = &loaded.config.journal.directory;
    if !inherited.is_empty() {
        // Who is replaced finishes first; connections that come wait in the inherited sockets.
        succession::await_journal(directory, loaded.config.drain)?;
    }
    let disk = unanimo_journal::Files::open(directory).map_err(Failure::journal)?;
    serve_with(loaded, Some(path), inherited, disk, Seat::take)
}

/// Serves with this disk under the journal, and with what `take` makes of each worker's seat behind its transactional
/// routes.
pub fn serve_with<T: Transactions>(
    loaded: Loaded,
    path: Option<&Path>,
    mut inherited: Inherited,
    disk: impl Disk,
    take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error> + Clone + Send + 'static,
) -> Result<(), Failure> {
    let Loaded { config, digest, folder, .. } = loaded;
    // What cannot be served is refused before the journal is touched.
    Edition::new(&config, unanimo_upstream::Config::default(), None)?;
    let Recovered { seats, handle, committing, writing, report, services: needed } =
        recover(runtime_config(&config), disk).map_err(Failure::start)?;
    log_replay(&report);
    let keeper = keeper(&config, &needed)?;
    let edition = Arc::new(Edition::new(&config, keeper.upstream(), None)?);
    let status = Status::new(path.map(Path::to_owned), Outline::of(&config, &digest, &folder));
    status.retired(keeper.shown(&needed));

    let metrics = Metrics::new();
    let endpoints = unanimo_upstream::Metrics::new(edition.services.clone());
    let counts = unanimo_runtime::metrics::Metrics::new(&handle);
    let mut registry = Registry::with_prefix("unanimo");
    metrics.register(&mut registry);
    endpoints.clone().register(&mut registry);
    registry.register_collector(Box::new(status.clone()));
    registry.register_collector(Box::new(counts.clone()));
    let control = runtime().map_err(Failure::thread)?;
    // Before anybody is served: from then on an early SIGTERM ends the process as a late one does.
    let signals = Signals::new(&control)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let (draining, drained) = mpsc::channel(1);
    let (failed, failures) = mpsc::channel(seats.len().max(1));
    let (editions, edition) = watch::channel(edition);
    let mut sockets = bind(&config.gateway.listeners, seats.len(), &mut inherited)?;
    let mut inquiries = bind_for_participants(config.participants.as_ref(), seats.len(), &mut inherited)?;
    let admin = admin_socket(config.admin, &mut inherited)?;
    inherited.all_taken()?;
    let mut workers = Vec::new();
    for seat in seats {
        let worker = Worker {
            listeners: sockets.pop().unwrap_or_default(),
            inquiries: inquiries.sockets.pop().unwrap_or_default(),
            gateway: inquiries.url.clone(),
            editions: edition.clone(),
            metrics: metrics.clone(),
            phases: phases.clone(),
            draining: draining.clone(),
            failed: failed.clone(),
        };
        workers.push(worker.spawn(seat, take.clone())?);
    }
    drop((failed, draining));
    let (services, checked) = watch::channel(editions.borrow().services.clone());
    let path = path.map(Path::to_owned);
    let (registry, shown) = (Arc::new(registry), status.clone());
    let probe = Process { handle: handle.clone(), registry, counts, status: shown, services: checked };
    let reload =
        Reload { path, config, handle: handle.clone(), editions, services, status, endpoints, keeper };
    let reloading = reload.start()?;
    let notifier = Notifier::from_environment();
    let ended = control.block_on(control_plane(admin, probe, &reloading, &notifier, failures, signals));
    notifier.stopping();
    // Who has to end since something broke waits for nothing.
    let drain = if ended.is_ok() { edition.borrow().drain } else { Duration::ZERO };
    reloading.end();
    phase.send_replace(Phase::Leaving);
    control.block_on(finish(drain, &handle, drained));
    phase.send_replace(Phase::Ending);
    // What a worker had to say came over its channel.
    workers.into_iter().for_each(|worker| drop(worker.join()));
    handle.journal().close();
    committing.join();
    writing.join();
    ended.and_then(|()| in_good_order(&handle))
}

/// The last sync of all may have failed: the end is in good order only if that was not so.
fn in_good_order(handle: &Handle) -> Result<(), Failure> {
    handle.journal().poison().map_or(Ok(()), |poison| Err(Failure::poisoned(&poison)))
}

/// Waits until what is under way has ended; after `drain`, who still waits for a transaction is told where its answer
/// will be.
async fn finish(drain: Duration, handle: &Handle, mut drained: mpsc::Receiver<Infallible>) {
    tracing::info!(
        drain_ms = drain.as_millis(),
        "ending: no new connection is taken, and what is under way is finished"
    );
    // Nothing is ever sent: it ends when every worker has let go of it.
    if tokio::time::timeout(drain, drained.recv()).await.is_err() {
        handle.leave().await;
        drained.recv().await;
    }
}

fn runtime_config(config: &Config) -> unanimo_runtime::Config {
    unanimo_runtime::Config {
        workers: config.workers,
        open_limit: config.open_transactions,
        retry: config.retry,
        plans: config.gateway.plans().cloned().collect(),
        keyring: config.keyring.clone(),
        journal: config.journal.clone(),
        history: config.history.clone(),
        keys: config.keys,
    }
}

/// The admin listener's socket.
fn admin_socket(
    address: Option<SocketAddr>,
    inherited: &mut Inherited,
) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    if let Some(socket) = inherited.take("admin", address).pop() {
        return Ok(Some(socket));
    }
    let listener = ListenerConfig { name: "admin".to_owned(), address };
    let bound = unanimo_gateway::bind(&listener, 1).map_err(|error| Failure::bind(address, &error))?;
    Ok(bound.into_iter().next())
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
    admin: Option<std::net::TcpListener>,
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
        let Some(listener) = admin else { return serving().await };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(Failure::serve)?;
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
