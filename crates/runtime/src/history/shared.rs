//! What the writer tells everybody else: plain numbers, read at any time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use unanimo_contract::sealing::Keyring;

/// How history does.
#[derive(Debug, Default)]
pub struct Shared {
    /// Transactions that are kept.
    pub transactions: AtomicU64,
    /// Idempotency keys that are kept.
    pub keys: AtomicU64,
    /// Bytes of the file's pages that hold something.
    pub bytes: AtomicU64,
    /// Transactions that were taken since the start.
    pub taken: AtomicU64,
    /// Transactions that were pruned since the start.
    pub pruned: AtomicU64,
    /// Commits since the start.
    pub commits: AtomicU64,
    /// Batches of the journal that are durable and were not read yet.
    pub behind: AtomicU64,
    /// Whether it cannot be written now.
    pub failing: AtomicBool,
    /// Damaged files that were set aside since the start.
    pub set_aside: AtomicU64,
    /// What opens the sealed answers that are kept.
    keyring: RwLock<Option<Arc<Keyring>>>,
    /// How often the file was replaced: a connection to a former one is of no use.
    generation: AtomicU64,
}

impl Shared {
    /// The keys that open from now on; where there are none, those known so far stay.
    pub(crate) fn set_keyring(&self, keyring: Option<Arc<Keyring>>) {
        if keyring.is_some() {
            *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = keyring;
        }
    }

    pub(crate) fn keyring(&self) -> Option<Arc<Keyring>> {
        self.keyring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn note_commit(&self, rows: u64) {
        self.taken.fetch_add(rows, Relaxed);
        self.commits.fetch_add(1, Relaxed);
    }

    pub(crate) fn note_size(&self, transactions: u64, keys: u64, bytes: u64, pruned: u64) {
        self.transactions.store(transactions, Relaxed);
        self.keys.store(keys, Relaxed);
        self.bytes.store(bytes, Relaxed);
        self.pruned.fetch_add(pruned, Relaxed);
    }

    pub(crate) fn note_behind(&self, durable: u64, read: u64) {
        self.behind.store(durable.saturating_sub(read), Relaxed);
    }

    pub(crate) fn note_failing(&self, failing: bool) {
        self.failing.store(failing, Relaxed);
    }

    pub(crate) fn note_replaced(&self) {
        self.set_aside.fetch_add(1, Relaxed);
        self.generation.fetch_add(1, Relaxed);
    }

    /// Whether something that is durable may be missing here.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_failing() || self.behind.load(Relaxed) > 0
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Relaxed)
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }
}
