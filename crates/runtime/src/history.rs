//! What is kept of finished transactions: a SQLite file, written behind the journal.
//!
//! The journal decides what is true; this is where it is found again. A writer thread reads what is durable from the
//! journal's segments and takes what has ended, one commit for many; from then on history is the store of record, and the
//! segments may go. Readers have connections of their own. Nothing on a request's way waits for either.
//!
//! `docs/history.md` has the file, its tables and its bounds.

mod copy;
mod detail;
mod error;
mod gather;
#[cfg(test)]
mod golden;
mod list;
mod notes;
mod numbers;
mod prune;
mod reader;
mod schema;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use copy::{Copied, FILE, copy};
pub use error::Error;
pub(crate) use notes::{Note, Notebook, notebook};
pub use reader::History;
pub use shared::Shared;

use crate::clock::Clock;
use notes::Notes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use store::Store;
use unanimo_coordinator::KeyPromise;
use unanimo_journal::Journal;
use writer::{Parts, Writer};

/// How history is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file; made where it is not there.
    pub file: PathBuf,
    /// How long what has ended is kept.
    pub retention: Retention,
}

/// How long what has ended is kept: until the first of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Counted from a transaction's end.
    pub time: Duration,
    /// How many transactions.
    pub transactions: u64,
    /// Bytes of the file's pages that hold something, indexes and keys included.
    pub size: u64,
    /// How many idempotency keys. They have a time of their own, which the bounds above do not shorten.
    pub keys: usize,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            time: Duration::from_secs(24 * 60 * 60),
            transactions: 1_000_000,
            size: 1 << 30,
            keys: KeyPromise::default().count,
        }
    }
}

/// Everything that ended in this batch of the journal or before is in history, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Covered(pub(crate) u64);

/// A file that is open and not written yet.
pub(crate) struct Opened {
    config: Config,
    promise: KeyPromise,
    node: unanimo_contract::Node,
    store: Store,
    clock: Clock,
    /// Whether another file was set aside for this one.
    is_new: bool,
}

impl Opened {
    /// Opens the file, or begins a new one where the old one cannot be read: that one is set aside.
    pub(crate) fn open(
        config: Config,
        promise: KeyPromise,
        node: unanimo_contract::Node,
        clock: Clock,
    ) -> Result<Opened, Error> {
        match Store::open(&config.file, node) {
            Err(Error::Damaged { why, .. }) => Opened::anew(config, promise, node, clock, &why),
            opened => Ok(Opened { config, promise, node, store: opened?, clock, is_new: false }),
        }
    }

    fn anew(
        config: Config,
        promise: KeyPromise,
        node: unanimo_contract::Node,
        clock: Clock,
        why: &str,
    ) -> Result<Opened, Error> {
        writer::set_aside(&config, why, clock.now().unix_ms / 1000)?;
        let store = Store::open(&config.file, node)?;
        Ok(Opened { config, promise, node, store, clock, is_new: true })
    }

    /// Everything that ended in this batch or before is here.
    pub(crate) fn covered(&self) -> Covered {
        Covered(self.store.covered())
    }

    /// Gives out the keys that still stand for a transaction. Where they cannot be read the file is damaged, and a new one
    /// begins: those that were given out go on standing, and nothing begins anew under them.
    pub(crate) fn each_key(
        self,
        each: impl FnMut(unanimo_contract::Key, unanimo_contract::Id, u64),
    ) -> Result<Opened, Error> {
        match self.store.each_key(self.clock.now().unix_ms, each) {
            Err(Error::Damaged { why, .. }) => {
                let Opened { config, promise, node, store, clock, .. } = self;
                // Closed before it is renamed.
                drop(store);
                Opened::anew(config, promise, node, clock, &why)
            }
            read => read.map(|()| self),
        }
    }

    /// Starts the threads. `tell` is called on the writer's: it must be short.
    pub(crate) fn start(
        self,
        journal: Journal,
        notes: Notes,
        tell: impl Fn(Covered) + Send + 'static,
    ) -> std::io::Result<(History, Writing)> {
        let Opened { config, promise, store, clock, is_new, .. } = self;
        let shared: Arc<Shared> = Arc::default();
        if is_new {
            shared.note_replaced();
        }
        let history = History::start(&config.file, shared.clone())?;
        let tell = Box::new(tell);
        let failing = shared.clone();
        let writer = Writer::new(Parts { config, promise, journal, store, notes, shared, clock, tell });
        let (end, ended) = sync_channel(1);
        let run = move || write(writer, &failing, &ended);
        let thread = std::thread::Builder::new().name("history".to_owned()).spawn(run)?;
        Ok((history, Writing { end, thread }))
    }
}

/// Transactions run on without history: a mistake in it must not end the process, and must not be overlooked.
fn write(writer: Writer, shared: &Shared, ended: &Receiver<()>) {
    if catch_unwind(AssertUnwindSafe(|| writer.run(ended))).is_err() {
        shared.note_failing(true);
        tracing::error!("the writer of history has panicked: nothing more is taken before the next start");
    }
}

/// The writing thread.
#[derive(Debug)]
pub struct Writing {
    end: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Writing {
    /// Takes what is left and waits for the thread's end. To be called when the journal's thread has ended.
    pub fn join(self) {
        // The thread may have ended by itself.
        let _ = self.end.try_send(());
        let _ = self.thread.join();
    }
}
