//! The journal as its callers see it.

use crate::batcher::Batcher;
use crate::{Append, AppendError, Appended, Counters, Durable, Poison, Position, SegmentNumber, Watermark};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use unanimo_protocol::{Durability, Epoch, Node};

/// What callers and the committing thread share.
pub(crate) struct Shared {
    batcher: Mutex<Batcher>,
    news: Condvar,
    pub(crate) watermark: AtomicU64,
    pub(crate) counters: Counters,
    pub(crate) node: Node,
    pub(crate) epoch: Epoch,
    pub(crate) directory: PathBuf,
}

impl Shared {
    pub(crate) fn new(batcher: Batcher, node: Node, directory: PathBuf) -> Shared {
        Shared {
            watermark: AtomicU64::new(batcher.watermark().position().number()),
            epoch: batcher.epoch(),
            batcher: Mutex::new(batcher),
            news: Condvar::new(),
            counters: Counters::default(),
            node,
            directory,
        }
    }

    /// The batcher. A caller that panicked in the middle of an append may have left half an entry: then nothing of
    /// it may be written any more.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Batcher> {
        self.batcher.lock().unwrap_or_else(|broken| {
            let mut batcher = PoisonError::into_inner(broken);
            batcher.failed(Poison::new("a caller panicked in the middle of an append"));
            batcher
        })
    }

    /// Waits until something comes, but no longer than this.
    pub(crate) fn wait_for_news(&self, at_most: Option<Duration>) {
        let quiet = |batcher: &mut Batcher| !batcher.has_news() && !batcher.has_ended();
        let at_most = at_most.unwrap_or(Duration::from_secs(3600));
        let waited = self.news.wait_timeout_while(self.lock(), at_most, quiet);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// Takes records and says when they are durable. Cheap to clone; any thread may append.
///
/// When the last clone is dropped, what waits is still written and the thread ends; [`Journal::close`] says so.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

struct Handle(Arc<Shared>);

impl Journal {
    pub(crate) fn new(shared: Arc<Shared>) -> Journal {
        Journal(Arc::new(Handle(shared)))
    }

    /// Takes the records of one decision, or refuses all of them. Never waits for the disk.
    pub fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let shared = &self.0.0;
        let mut batcher = shared.lock();
        let rang = batcher.has_news();
        let appended = batcher.offer(append)?;
        let ring = batcher.has_news() && !rang;
        drop(batcher);
        if ring {
            shared.news.notify_one();
        }
        let forced = appended.records.iter().filter(|r| r.durability() == Durability::Forced);
        shared.counters.accepted(forced.count() as u64);
        Ok(appended)
    }

    /// The last durable batch.
    pub fn watermark(&self) -> Watermark {
        Watermark(Position(self.0.0.watermark.load(Ordering::Acquire)))
    }

    /// Why nothing more is taken; `None` while all is well.
    pub fn poison(&self) -> Option<Poison> {
        self.0.0.lock().poison().cloned()
    }

    /// Whoever keeps what has ended needs no segment before this one. It goes when nothing that began in it is open.
    pub fn release(&self, before: SegmentNumber) {
        let shared = &self.0.0;
        let mut batcher = shared.lock();
        let rang = batcher.has_news();
        batcher.release(before);
        let ring = batcher.has_news() && !rang;
        drop(batcher);
        if ring {
            shared.news.notify_one();
        }
    }

    /// What a [`crate::Follower`] can read now.
    pub fn durable(&self) -> Durable {
        let batcher = self.0.0.lock();
        let (watermark, newest) = (batcher.watermark(), batcher.open_segment());
        Durable { watermark, newest, oldest: batcher.oldest_segment() }
    }

    /// Asks for all that waits to be written and synced, and for the thread's end; wait for it with
    /// [`crate::Committing::join`]. Later appends are refused.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whose journal it is.
    pub fn node(&self) -> Node {
        self.0.0.node
    }

    /// The number of this start: what appends must carry.
    pub fn epoch(&self) -> Epoch {
        self.0.0.epoch
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        &self.0.0.directory
    }

    /// What it has done so far.
    pub fn counters(&self) -> &Counters {
        &self.0.0.counters
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("node", &self.node()).field("epoch", &self.epoch()).finish()
    }
}

impl Handle {
    fn close(&self) {
        self.0.lock().close();
        self.0.news.notify_all();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
