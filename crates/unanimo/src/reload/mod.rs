//! Another configuration while requests are served: on SIGHUP, and when its files have changed.
//!
//! ```text
//!  reload's thread                                             worker threads
//!  ───────────────                                             ──────────────
//!  read, parse, check, compile; refuse what is wrong
//!  remember which services transactions may need, on disk
//!  plans, retries, bounds ───── by each worker's mailbox ────▶ taken between two inputs
//!  routes, services, limits ─── one edition for all ─────────▶ taken by the next request; those under way keep theirs
//!  when no request has the old routes, and no open
//!  transaction names a retired service: let go of it ────────▶ an edition without it
//! ```
//!
//! **Owns** which configuration is in force, why a later one is not, and which services are kept as retired.
//! **Never** stops, slows or locks a worker, and never takes half of a configuration.
//! **Read next** [`Reload`], then `keeper.rs` for retired services.

pub mod difference;
mod facts;
mod keeper;
mod memory;
mod status;
mod watch;

pub use facts::Outline;
pub use keeper::{Keeper, Needed};
pub use memory::Memory;
pub use status::Status;

use crate::config::{self, Config, Loaded, Mistake, Origin};
use crate::failure::Failure;
use crate::log;
use difference::Difference;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch::Sender;
use unanimo_coordinator::Plans;
use unanimo_gateway::{Limits, Table};
use unanimo_runtime::Handle;
use unanimo_upstream::Services;
use watch::Watch;

/// How often the files are looked at. What has changed is read when it has stayed the same for as long.
const LOOK: Duration = Duration::from_millis(500);

/// Expressions are parsed on this thread, and nesting costs stack, in bytes.
const STACK: usize = 16 * 1024 * 1024;

/// One configuration as workers serve by it.
#[derive(Clone)]
pub struct Edition {
    /// The routes.
    pub table: Arc<Table>,
    /// The services with which they were built, and the retired ones.
    pub services: Arc<Services>,
    /// The bounds of every input.
    pub limits: Limits,
    /// Whether the log has a line for each request.
    pub logs_requests: bool,
    /// How long requests under way may take when the process ends.
    pub drain: Duration,
}

impl Edition {
    /// Of this configuration and these retired services, after another one.
    pub fn new(
        config: &Config,
        retired: unanimo_upstream::Config,
        before: Option<&Services>,
    ) -> Result<Edition, Failure> {
        let services = Services::succeeding(before, config.upstream.clone(), retired);
        let services = Arc::new(services.map_err(Failure::services)?);
        let table = Arc::new(Table::build(&config.gateway, &services).map_err(Failure::routes)?);
        let (limits, logs_requests) = (config.gateway.limits.clone(), config.log.access);
        Ok(Edition { table, services, limits, logs_requests, drain: config.drain })
    }
}

/// What a reload reaches.
pub struct Reload {
    /// The file or folder; without one nothing is ever read again.
    pub path: Option<PathBuf>,
    /// What is in force.
    pub config: Config,
    /// The transactions.
    pub handle: Handle,
    /// What the workers serve by.
    pub editions: Sender<Arc<Edition>>,
    /// The services that are looked after.
    pub services: Sender<Arc<Services>>,
    /// What operators see.
    pub status: Status,
    /// The counts of endpoints.
    pub endpoints: unanimo_upstream::Metrics,
    /// The services that are kept.
    pub keeper: Keeper,
}

/// The running thread.
pub struct Reloading {
    asks: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Reloading {
    /// Reads the configuration again, soon.
    pub fn ask(&self) {
        // Where somebody has asked already, once is enough.
        let _ = self.asks.try_send(());
    }

    /// Ends the thread, after what it is doing.
    pub fn end(self) {
        drop(self.asks);
        if self.thread.join().is_err() {
            tracing::error!("the thread that reads configurations had panicked");
        }
    }
}

impl Reload {
    /// Starts its thread.
    pub fn start(self) -> Result<Reloading, Failure> {
        let (asks, asked) = sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Failure::thread)?;
        let process = self.status.outline().process;
        let run = Run { reload: self, runtime, process, former: Vec::new() };
        let thread = std::thread::Builder::new().name("reload".to_owned()).stack_size(STACK);
        let thread = thread.spawn(move || run.run(&asked)).map_err(Failure::thread)?;
        Ok(Reloading { asks, thread })
    }
}

struct Run {
    reload: Reload,
    runtime: Runtime,
    /// What holds until the process ends.
    process: facts::Facts,
    /// Routes that requests may still have: they may yet begin a transaction that needs a retired service.
    former: Vec<Weak<Table>>,
}

impl Run {
    fn run(mut self, asked: &Receiver<()>) {
        let path = self.reload.path.clone();
        let mut watch = path.as_deref().map(|path| Watch::new(path, &self.named()));
        self.let_go();
        loop {
            let is_asked = match asked.recv_timeout(LOOK) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if let Some(watch) = &mut watch {
                let named = self.named();
                if is_asked {
                    watch.reads(&named);
                }
                if is_asked || watch.has_changed(&named) {
                    self.reload();
                }
            }
            self.let_go();
        }
    }

    /// The files that the configuration names, and whose change changes it.
    fn named(&self) -> Vec<PathBuf> {
        let origins = self.reload.config.credentials.values();
        let files = origins.filter_map(|origin| match origin {
            Origin::File(path) => Some(path.clone()),
            Origin::Anonymous | Origin::Environment => None,
        });
        files.collect()
    }

    fn reload(&mut self) {
        let Some(path) = self.reload.path.clone() else { return };
        let taken = config::load(&path).and_then(|loaded| {
            loaded.warnings.iter().for_each(log::mistake);
            self.take(loaded).map_err(|why| vec![Mistake::of_whole(why)])
        });
        if let Err(mistakes) = taken {
            mistakes.iter().for_each(log::mistake);
            tracing::error!(path = %path.display(), "the configuration is refused; the last good one stays in force");
            self.reload.status.refused(mistakes);
        }
    }

    /// Puts a configuration in force, as a whole or not at all. The error says why not.
    fn take(&mut self, loaded: Loaded) -> Result<(), String> {
        let Loaded { config, digest, folder, .. } = loaded;
        if config.participants.is_some()
            && self.reload.config.participants.is_none()
            && config.gateway.plans().any(|plan| plan.branches.iter().any(|branch| branch.asks))
        {
            let why =
                "services ask for verdicts now, and this process does not listen for them: start it again";
            return Err(why.to_owned());
        }
        let plans = Plans::of(config.gateway.plans()).map_err(|error| error.to_string())?;
        let before = self.reload.editions.borrow().clone();
        // Everything is tried before anything is changed.
        Edition::new(&config, unanimo_upstream::Config::default(), None).map_err(|why| why.to_string())?;
        let remembered = self.reload.keeper.follow(&config);
        remembered.map_err(|error| format!("where services are cannot be written down: {error}"))?;
        let retired = self.reload.keeper.upstream();
        let edition =
            Edition::new(&config, retired, Some(&before.services)).map_err(|why| why.to_string())?;
        let change =
            self.reload.handle.change(config.open_transactions, config.retry, plans, config.keyring.clone());
        if self.runtime.block_on(change).is_none() {
            let back = self.reload.keeper.follow(&self.reload.config);
            back.map_err(|error| format!("where services are cannot be written down: {error}"))?;
            return Err("a worker has too much to do, or is ending; try again".to_owned());
        }
        self.former.push(Arc::downgrade(&before.table));
        drop(before);
        self.publish(edition);
        let outline = Outline::of(&config, &digest, &folder);
        let needs_restart = difference::restart(&self.process, &outline.process);
        // What is in force is what the process was started with, there.
        let outline = Outline { process: self.process.clone(), ..outline };
        let difference = Difference::between(&self.reload.status.outline(), &outline);
        let (hash, changes) = (digest.get(..12).unwrap_or(&digest), difference.len());
        tracing::info!(hash, changes, "another configuration is in force");
        for setting in &needs_restart {
            tracing::warn!(setting, "it has changed in the file, and holds from the next start on");
        }
        self.reload.status.applied(outline, needs_restart);
        self.reload.config = config;
        Ok(())
    }

    fn publish(&self, edition: Edition) {
        self.reload.endpoints.follow(edition.services.clone());
        self.reload.services.send_replace(edition.services.clone());
        self.reload.editions.send_replace(Arc::new(edition));
    }

    /// Lets go of retired services that nothing needs any more.
    fn let_go(&mut self) {
        self.former.retain(|table| table.strong_count() > 0);
        if self.reload.keeper.is_idle() {
            self.reload.status.retired(BTreeMap::new());
            return;
        }
        let Some(needed) = self.runtime.block_on(self.reload.handle.services()) else { return };
        // A request that has the old routes may yet begin what needs one.
        if self.former.is_empty() {
            match self.reload.keeper.let_go(&needed) {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => {
                    let before = self.reload.editions.borrow().clone();
                    let (config, retired) = (&self.reload.config, self.reload.keeper.upstream());
                    let services =
                        Services::succeeding(Some(&before.services), config.upstream.clone(), retired);
                    if let Ok(services) = services {
                        self.publish(Edition { services: Arc::new(services), ..(*before).clone() });
                    }
                    tracing::info!(
                        services = gone.join(", "),
                        "retired services are gone: nothing needs them"
                    );
                }
                Err(error) => tracing::error!(%error, "where services are cannot be written down"),
            }
        }
        self.reload.status.retired(self.reload.keeper.shown(&needed));
    }
}
