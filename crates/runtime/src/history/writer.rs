//! The one thread that writes history: reads what is durable behind the journal, takes what has ended in large commits,
//! says how far it is, and keeps the file within its bounds.
//!
//! What it has not read waits in the journal's segments, so that its queue needs no memory: a history that cannot be
//! written holds up nobody, and is made up for when it can. At a start the same way makes up for what a crash has left.

use super::error::Error;
use super::gather::Gathering;
use super::notes::Notes;
use super::schema;
use super::shared::Shared;
use super::store::Store;
use super::{Config, Covered};
use crate::clock::Clock;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use unanimo_coordinator::KeyPromise;
use unanimo_journal::{Durable, Files, Follower, Journal, SegmentNumber};

/// How often it looks at the journal.
const ROUND: Duration = Duration::from_millis(100);

/// A commit is made at the latest so many rounds after something has ended.
const ROUNDS: u32 = 5;

/// What has ended is taken at once when it is so much.
const COMMIT_ROWS: usize = 4096;
const COMMIT_BYTES: usize = 8 << 20;

/// How long it waits after a failure; twice as long after each further one, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How many steps of pruning follow one commit at most: more rows than it has brought.
const PRUNE_STEPS: usize = 16;

/// Everything that the thread owns.
pub(crate) struct Writer {
    pub(crate) config: Config,
    pub(crate) promise: KeyPromise,
    pub(crate) journal: Journal,
    /// `None` after a damaged file was set aside, until a new one is there.
    pub(crate) store: Option<Store>,
    notes: Notes,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    /// Tells whoever remembers ends that history has them.
    pub(crate) tell: Box<dyn Fn(Covered) + Send>,
    follower: Option<Follower<Files>>,
    gathering: Gathering,
    /// The segment and the batch that were read last.
    read: Option<(SegmentNumber, u64)>,
    /// What was durable at the last look.
    seen: Option<Durable>,
    waited: u32,
    pause: Duration,
    failing: bool,
}

/// Where its parts come from.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) promise: KeyPromise,
    pub(crate) journal: Journal,
    pub(crate) store: Store,
    pub(crate) notes: Notes,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) tell: Box<dyn Fn(Covered) + Send>,
}

impl Writer {
    pub(crate) fn new(parts: Parts) -> Writer {
        let Parts { config, promise, journal, store, notes, shared, clock, tell } = parts;
        Writer {
            config,
            promise,
            journal,
            store: Some(store),
            notes,
            shared,
            clock,
            tell,
            follower: None,
            gathering: Gathering::default(),
            read: None,
            seen: None,
            waited: 0,
            pause: FIRST_PAUSE,
            failing: false,
        }
    }

    /// Works until it is told to end, which is after the journal's thread has ended; then what is left is taken.
    pub(crate) fn run(mut self, end: &Receiver<()>) {
        let mut wait = ROUND;
        loop {
            let ending = match end.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => false,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
            };
            match self.round(ending) {
                Ok(()) => {
                    if std::mem::replace(&mut self.failing, false) {
                        tracing::info!(file = %self.config.file.display(), "history is written again");
                    }
                    (wait, self.pause) = (ROUND, FIRST_PAUSE);
                }
                Err(error) => {
                    self.failed(&error);
                    wait = self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
            self.shared.note_failing(self.failing);
            if ending {
                return;
            }
        }
    }

    fn round(&mut self, ending: bool) -> Result<(), Failed> {
        let now = self.journal.durable();
        // A worker leaves its note with the append of the end, or a moment later: what was durable a round ago has them.
        self.notes.collect();
        let durable = if ending { now } else { self.seen.replace(now).unwrap_or(now) };
        self.follow(durable)?;
        self.notes.shed();
        let (ended, _) = self.gathering.ended();
        self.waited = if ended.is_empty() { 0 } else { self.waited + 1 };
        if self.waited >= ROUNDS || (ending && !ended.is_empty()) {
            self.commit()?;
        }
        self.release();
        self.prune()?;
        self.shared.note_behind(now.watermark.position().number(), self.read.map_or(0, |(_, batch)| batch));
        Ok(())
    }

    /// Reads what is durable, and takes what has ended whenever that is much.
    fn follow(&mut self, durable: Durable) -> Result<(), Failed> {
        loop {
            let (_, bytes) = self.gathering.ended();
            if self.gathering.ended().0.len() >= COMMIT_ROWS || bytes >= COMMIT_BYTES {
                self.commit()?;
            }
            let covered = self.store()?.covered();
            let (gathering, notes, promise) = (&mut self.gathering, &mut self.notes, self.promise);
            let follower = match &mut self.follower {
                Some(follower) => follower,
                none => {
                    let directory = self.journal.directory().to_owned();
                    let files = Files::open(&directory).map_err(Failed::Journal)?;
                    none.insert(Follower::new(files, directory, durable.oldest))
                }
            };
            let batch = follower.read(durable, |batch, id, entry| {
                gathering.note(batch, (id, entry), notes, |began| promise.until(began));
            });
            let Some(batch) = batch.map_err(Failed::Journal)? else { return Ok(()) };
            self.read = Some((batch.segment, batch.position.number()));
            if batch.position.number() <= covered {
                // It was taken before a restart.
                self.gathering.taken();
            }
        }
    }

    /// Takes what has ended. Only then it need not be remembered elsewhere.
    fn commit(&mut self) -> Result<(), Failed> {
        let Some((_, batch)) = self.read else { return Ok(()) };
        self.store()?;
        let (ended, _) = self.gathering.ended();
        let rows = ended.len() as u64;
        if let Some(store) = &mut self.store {
            store.take(ended, batch).map_err(Failed::File)?;
        }
        self.gathering.taken();
        self.waited = 0;
        self.shared.note_commit(rows);
        (self.tell)(Covered(batch));
        Ok(())
    }

    /// Gives up the segments of which nothing is needed: all that ended in them is here, and nothing open began there.
    fn release(&mut self) {
        let (ended, _) = self.gathering.ended();
        let Some((segment, _)) = self.read.filter(|_| ended.is_empty()) else { return };
        self.journal.release(self.gathering.oldest_open().map_or(segment, |open| open.min(segment)));
    }

    fn prune(&mut self) -> Result<(), Failed> {
        let (mut pruned, unix_ms, retention) = (0, self.clock.now().unix_ms, self.config.retention);
        let store = self.store()?;
        for _ in 0..PRUNE_STEPS {
            let step = store.prune(unix_ms, &retention).map_err(Failed::File)?;
            pruned += step.transactions;
            if !step.more {
                break;
            }
        }
        if pruned > 0 {
            store.prune_plans().map_err(Failed::File)?;
        }
        let (rows, keys, bytes) = (store.rows.len(), store.keys.len(), store.used_bytes().unwrap_or(0));
        self.shared.note_size(rows, keys, bytes, pruned);
        Ok(())
    }

    fn failed(&mut self, failed: &Failed) {
        let first = !std::mem::replace(&mut self.failing, true);
        match failed {
            Failed::File(Error::Damaged { why, .. }) => self.begin_anew(why),
            Failed::File(error) if first => tracing::error!(
                %error, "history is not written: transactions run on, and the journal keeps its segments until it is"
            ),
            Failed::Journal(error) if first => {
                tracing::error!(%error, "history cannot read the journal: segments stay");
                self.follower = None;
                self.gathering = Gathering::default();
                self.read = None;
            }
            Failed::File(_) | Failed::Journal(_) => {}
        }
    }

    /// The file cannot be read any more: it is set aside, and a new one begins with what the journal still holds.
    fn begin_anew(&mut self, why: &str) {
        // Closed before it is renamed: SQLite takes away the files beside it by their names.
        self.store = None;
        self.follower = None;
        self.gathering = Gathering::default();
        self.read = None;
        if let Err(error) = set_aside(&self.config, why, self.clock.now().unix_ms / 1000) {
            tracing::error!(%error, "no new history can be begun: transactions run on without one");
        }
        self.shared.note_replaced();
    }

    fn store(&mut self) -> Result<&mut Store, Failed> {
        match &mut self.store {
            Some(store) => Ok(store),
            none => {
                let store = Store::open(&self.config.file, self.journal.node()).map_err(Failed::File)?;
                Ok(none.insert(store))
            }
        }
    }
}

/// What a round failed of.
enum Failed {
    File(Error),
    Journal(unanimo_journal::Error),
}

/// Gives a damaged file a name that says so, and says it aloud.
pub(crate) fn set_aside(config: &Config, why: &str, unix_seconds: u64) -> Result<(), Error> {
    let aside = schema::set_aside(&config.file, unix_seconds)?;
    tracing::error!(
        file = %config.file.display(), aside = %aside.display(), why,
        "the history is damaged, and was set aside: a new one is begun; past answers and keys that only the old one held \
         are lost, and no open transaction is"
    );
    Ok(())
}
