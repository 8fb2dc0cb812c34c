//! Carries out what the batcher decides: one turn at a time for a simulator, on a thread of its own otherwise.

use crate::batch::Batch;
use crate::batcher::Step;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::journal::Shared;
use crate::segments::Segments;
use crate::{Error, Now, Poison, SegmentNumber, Watermark};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread::JoinHandle;
use unanimo_protocol::Time;

/// What the journal tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything up to here is durable.
    Synced(Watermark),
    /// A write or sync failed. Nothing more will ever be durable; told once.
    Poisoned(Poison),
    /// The segments before this one are gone.
    Dropped {
        /// The first segment that is still there.
        oldest: SegmentNumber,
    },
}

/// What one turn came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A step was carried out; the next one may be due.
    Did(Option<Progress>),
    /// Nothing is due until this time, or until something is appended.
    Idle(Option<Time>),
    /// The journal was closed or poisoned.
    Ended,
}

/// The one owner of the files.
pub struct Committer<D: Disk> {
    shared: Arc<Shared>,
    segments: Segments<D>,
    told_poison: bool,
}

impl<D: Disk> Committer<D> {
    pub(crate) fn new(shared: Arc<Shared>, segments: Segments<D>) -> Committer<D> {
        Committer { shared, segments, told_poison: false }
    }

    /// Carries out one step.
    pub fn turn(&mut self, now: Now) -> Turn {
        let step = self.shared.lock().take(now);
        let done = match step {
            Step::Idle(until) => return Turn::Idle(until),
            Step::End => return self.tell_poison().map_or(Turn::Ended, |told| Turn::Did(Some(told))),
            Step::Write(batch) => self.write(batch, now).map(|watermark| Some(Progress::Synced(watermark))),
            step => self.carry_out(step, now),
        };
        let progress = done.unwrap_or_else(|error| {
            self.shared.lock().failed(Poison::new(error));
            self.tell_poison()
        });
        Turn::Did(progress)
    }

    /// The poison, the first time that it is asked for.
    fn tell_poison(&mut self) -> Option<Progress> {
        let told = std::mem::replace(&mut self.told_poison, true);
        if told { None } else { self.shared.lock().poison().cloned().map(Progress::Poisoned) }
    }

    fn write(&mut self, mut batch: Batch, now: Now) -> Result<Watermark, Error> {
        batch.seal(self.segments.salt(), self.shared.epoch, self.segments.tenths(now.unix_ms));
        self.segments.write(batch.offset, &batch.buffer)?;
        self.shared.counters.syncs.fetch_add(1, Relaxed);
        self.shared.counters.committed(batch.forced, batch.buffer.len() as u64);
        let watermark = self.shared.lock().synced(batch);
        self.shared.watermark.store(watermark.position().number(), Release);
        Ok(watermark)
    }

    fn carry_out(&mut self, step: Step, now: Now) -> Result<Option<Progress>, Error> {
        self.shared.counters.syncs.fetch_add(1, Relaxed);
        match step {
            Step::Open(number, after) => {
                self.segments.open_next(number, after, now.unix_ms / 1000)?;
                self.shared.lock().opened(number);
            }
            Step::Prepare(up_to) => {
                self.segments.prepare(up_to)?;
                self.shared.lock().prepared(up_to);
            }
            Step::Drop(oldest) => {
                let durable = self.shared.lock().watermark().position();
                self.segments.drop_before(oldest, durable)?;
                self.shared.lock().dropped(oldest);
                return Ok(Some(Progress::Dropped { oldest }));
            }
            Step::Close => {
                let durable = self.shared.lock().watermark().position();
                self.segments.remember(durable)?;
                self.shared.lock().closed();
            }
            Step::Write(_) | Step::Idle(_) | Step::End => {}
        }
        Ok(None)
    }

    /// Runs on a thread of its own until the journal is closed or poisoned.
    pub(crate) fn spawn(mut self, listener: impl Fn(Progress) + Send + 'static) -> Result<Committing, Error> {
        let path = self.shared.directory.clone();
        self.segments.allocate_beside();
        let run = move || {
            let _guard = AbortOnUnwind;
            let clock = Clock::new();
            loop {
                let now = clock.now();
                match self.turn(now) {
                    Turn::Did(progress) => {
                        if let Some(Progress::Synced(_)) = &progress {
                            self.shared.counters.took(clock.now().time.since(now.time));
                        }
                        progress.into_iter().for_each(&listener);
                    }
                    Turn::Idle(until) => self.shared.wait_for_news(until.map(|at| at.since(now.time))),
                    Turn::Ended => break,
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(run);
        let thread = thread.map_err(|source| Error::Io { doing: "start the thread of", path, source })?;
        Ok(Committing { thread })
    }
}

/// A journal whose thread died would keep everybody waiting: better no process.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// The committing thread.
#[derive(Debug)]
pub struct Committing {
    thread: JoinHandle<()>,
}

impl Committing {
    /// Waits until the thread has ended and the directory is free. Not to be called by the listener.
    pub fn join(self) {
        // The guard turns a panic of the thread into the end of the process.
        let _ = self.thread.join();
    }

    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}
