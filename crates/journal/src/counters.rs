//! What the journal has done, for another thread to read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Sums since the start. Each is read on its own: between two reads they may move.
#[derive(Debug, Default)]
pub struct Counters {
    /// Appends that were accepted, those of volatile records alone included.
    pub appends: AtomicU64,
    /// Forced records that were accepted.
    pub forced: AtomicU64,
    /// Batches that are durable, empty ones included.
    pub batches: AtomicU64,
    /// Syncs: one for each batch, for each piece of allocation, and for opening or dropping a segment as a whole.
    pub syncs: AtomicU64,
    /// Bytes of durable batches.
    pub bytes: AtomicU64,
    /// Microseconds spent to write and sync batches.
    pub commit_micros: AtomicU64,
    /// The same for each batch.
    pub commit_times: Histogram,
    /// Forced records of each batch.
    pub batch_sizes: Histogram,
}

impl Counters {
    pub(crate) fn accepted(&self, forced: u64) {
        self.appends.fetch_add(1, Relaxed);
        self.forced.fetch_add(forced, Relaxed);
    }

    pub(crate) fn committed(&self, forced: u64, bytes: u64) {
        self.batches.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.batch_sizes.add(forced);
    }

    pub(crate) fn took(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Relaxed);
        self.commit_times.add(micros);
    }
}

/// How often values of which size came: bucket `n` counts values below 2ⁿ that no bucket before it counts; the
/// last one also counts all that are larger.
#[derive(Debug, Default)]
pub struct Histogram([AtomicU64; Histogram::BUCKETS]);

impl Histogram {
    /// How many buckets there are.
    pub const BUCKETS: usize = 24;

    fn add(&self, value: u64) {
        let bits = (u64::BITS - value.leading_zeros()) as usize;
        self.0[bits.min(Histogram::BUCKETS - 1)].fetch_add(1, Relaxed);
    }

    /// The buckets' counts.
    pub fn counts(&self) -> [u64; Histogram::BUCKETS] {
        std::array::from_fn(|at| self.0[at].load(Relaxed))
    }
}
