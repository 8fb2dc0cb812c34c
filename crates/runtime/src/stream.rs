//! The stream of changes: what workers tell, and watchers read, each at its own pace.
//!
//! One ring for all. A worker only ever appends to it, and never waits for a watcher; who reads too slowly finds that
//! its place is gone, and is told so. While nobody watches nothing is recorded, but for a while after the last one has
//! left, so that it may come back and go on.

use crate::clock::Clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use unanimo_contract::operations::{Lagged, Position, Watch, Watched};
use unanimo_protocol::Time;

/// How many changes are kept for watchers.
pub(crate) const KEPT: usize = 16_384;

/// How many may watch at a time.
pub(crate) const WATCHERS: usize = 64;

/// How long changes are recorded after the last watcher has left, in microseconds.
const LINGER_MICROS: u64 = 30_000_000;

/// The stream of one start of the process. Clones are the same stream.
#[derive(Clone)]
pub(crate) struct Stream {
    inner: Arc<Inner>,
}

struct Inner {
    epoch: u32,
    clock: Clock,
    /// Read by every worker at every step: whether anything is recorded.
    recording: AtomicBool,
    ring: Mutex<Ring>,
    news: Notify,
}

#[derive(Default)]
struct Ring {
    /// Invariant: `changes` are numbered without a gap, the last one with `last`.
    changes: VecDeque<Arc<Watched>>,
    last: u64,
    watchers: usize,
    /// When the last watcher left.
    left_at: Time,
}

impl Stream {
    pub(crate) fn new(epoch: u32, clock: Clock) -> Stream {
        let inner = Inner {
            epoch,
            clock,
            recording: AtomicBool::new(false),
            ring: Mutex::default(),
            news: Notify::new(),
        };
        Stream { inner: Arc::new(inner) }
    }

    /// Whether changes are recorded.
    pub(crate) fn is_recording(&self) -> bool {
        self.inner.recording.load(Ordering::Relaxed)
    }

    /// Appends a change.
    pub(crate) fn tell(&self, change: Watched) {
        let mut ring = self.inner.ring();
        if ring.watchers == 0 && self.inner.is_deserted(&ring) {
            self.inner.recording.store(false, Ordering::Relaxed);
            ring.changes.clear();
            return;
        }
        if ring.changes.len() == KEPT {
            ring.changes.pop_front();
        }
        ring.changes.push_back(Arc::new(change));
        ring.last += 1;
        drop(ring);
        self.inner.news.notify_waiters();
    }

    /// A watcher, from here or from that position on; `None` where too many watch.
    pub(crate) fn watch(&self, from: Option<Position>) -> Option<Watcher> {
        let mut ring = self.inner.ring();
        if ring.watchers == WATCHERS {
            return None;
        }
        let known = |from: &Position| {
            let kept = ring.oldest()..=ring.last + 1;
            from.epoch == self.inner.epoch && self.is_recording() && kept.contains(&(from.number + 1))
        };
        let resumed = from.filter(known);
        let next = resumed.map_or(ring.last, |position| position.number) + 1;
        ring.watchers += 1;
        self.inner.recording.store(true, Ordering::Relaxed);
        drop(ring);
        Some(Watcher { stream: self.clone(), next, resumed: resumed.is_some() || from.is_none() })
    }
}

impl Inner {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_deserted(&self, ring: &Ring) -> bool {
        self.clock.now().time.0.saturating_sub(ring.left_at.0) > LINGER_MICROS
    }
}

impl Ring {
    /// The number of the first change that is kept.
    fn oldest(&self) -> u64 {
        self.last + 1 - self.changes.len() as u64
    }
}

/// What a watcher reads.
type Heard = Result<(Position, Arc<Watched>), Lagged>;

/// One watcher.
pub struct Watcher {
    stream: Stream,
    /// The number of the change that it reads next.
    next: u64,
    resumed: bool,
}

impl Watcher {
    fn read(&mut self) -> Option<Heard> {
        let ring = self.stream.inner.ring();
        let oldest = ring.oldest();
        if self.next < oldest {
            return Some(Err(Lagged { missed: oldest - self.next }));
        }
        let change = ring.changes.get(usize::try_from(self.next - oldest).ok()?)?.clone();
        let position = Position { epoch: self.stream.inner.epoch, number: self.next };
        self.next += 1;
        Some(Ok((position, change)))
    }
}

impl Watch for Watcher {
    fn position(&self) -> Position {
        Position { epoch: self.stream.inner.epoch, number: self.next - 1 }
    }

    fn is_resumed(&self) -> bool {
        self.resumed
    }

    async fn next(&mut self) -> Result<(Position, Arc<Watched>), Lagged> {
        let stream = self.stream.clone();
        loop {
            let mut news = std::pin::pin!(stream.inner.news.notified());
            // Before looking: what comes in between is not missed.
            news.as_mut().enable();
            if let Some(read) = self.read() {
                return read;
            }
            news.await;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut ring = self.stream.inner.ring();
        ring.watchers -= 1;
        ring.left_at = self.stream.inner.clock.now().time;
    }
}
