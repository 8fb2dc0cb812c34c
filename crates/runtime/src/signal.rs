//! News from the journal's thread to the workers: what is durable, what is gone, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tokio::sync::{Notify, watch};
use unanimo_journal::{Poison, Progress};

/// The news of all workers, written by the journal's thread.
#[derive(Clone)]
pub(crate) struct News {
    workers: Vec<Arc<Signal>>,
    poison: watch::Sender<Option<Poison>>,
}

/// One worker's news. Short to write, so that the journal's thread never waits.
pub(crate) struct Signal {
    pub(crate) notify: Notify,
    /// The first batch that this worker waits for; `u64::MAX` while it waits for none.
    awaits: AtomicU64,
    /// History holds whatever ended in this batch or before.
    covered: AtomicU64,
}

impl News {
    pub(crate) fn new(workers: usize) -> News {
        let signal =
            || Signal { notify: Notify::new(), awaits: AtomicU64::new(u64::MAX), covered: AtomicU64::new(0) };
        News { workers: (0..workers).map(|_| Arc::new(signal())).collect(), poison: watch::Sender::new(None) }
    }

    pub(crate) fn signal(&self, worker: usize) -> Arc<Signal> {
        self.workers[worker].clone()
    }

    pub(crate) fn poison(&self) -> watch::Receiver<Option<Poison>> {
        self.poison.subscribe()
    }

    /// Tells the workers whom it concerns. Called on the journal's thread.
    pub(crate) fn tell(&self, progress: Progress) {
        match progress {
            Progress::Synced(watermark) => {
                let durable = watermark.position().number();
                let waiting = self.workers.iter().filter(|signal| signal.awaits.load(SeqCst) <= durable);
                waiting.for_each(|signal| signal.notify.notify_one());
            }
            Progress::Dropped { .. } => {}
            Progress::Poisoned(poison) => {
                self.poison.send_replace(Some(poison));
                self.workers.iter().for_each(|signal| signal.notify.notify_one());
            }
        }
    }

    /// History holds, durably, whatever ended in this batch or before. Called on its thread.
    pub(crate) fn cover(&self, batch: u64) {
        for signal in &self.workers {
            signal.covered.store(batch, SeqCst);
            signal.notify.notify_one();
        }
    }
}

impl Signal {
    /// Says which batch the worker waits for. Afterwards the caller must look at the watermark once more: the batch
    /// may have become durable in between.
    pub(crate) fn await_batch(&self, position: Option<u64>) {
        self.awaits.store(position.unwrap_or(u64::MAX), SeqCst);
    }

    /// The last batch of which history holds whatever has ended.
    pub(crate) fn covered(&self) -> u64 {
        self.covered.load(SeqCst)
    }
}
