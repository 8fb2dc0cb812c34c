//! The gateway's process: the production owners and journal, and a shell around them that has no thread of its own.

use crate::medium::Medium;
use crate::oracle::Oracle;
use crate::scenario::Scenario;
use crate::secrets;
use crate::world::History;
use std::collections::VecDeque;
use std::fmt;
use unanimo_contract::{Id, Shard};
use unanimo_coordinator::{Config, KeyPromise, Now, Owner, Plans, ReplayError, shard_of};
use unanimo_journal::{Appended, Committer, Entry, Journal, Report, Turn};
use unanimo_protocol::Time;

/// One process of the gateway, from its start to its end.
pub(crate) struct Gateway {
    /// Its number. What happens to it carries the number: what comes for a dead process is lost.
    pub(crate) life: u32,
    /// Where its monotonic clock begins.
    pub(crate) booted: Time,
    /// What its wall clock adds to the world's time, in milliseconds.
    pub(crate) unix_ms: u64,
    pub(crate) workers: Vec<Worker>,
    pub(crate) journal: Journal,
    pub(crate) committer: Committer<Medium>,
    /// When the journal makes its next turn.
    pub(crate) turn_at: Option<Time>,
    /// Whether that turn may come sooner, because the journal only waits.
    pub(crate) idle: bool,
    pub(crate) ending: bool,
    /// After so many more steps it crashes.
    pub(crate) crashes_in: Option<u64>,
    /// What replay has found.
    pub(crate) found: Report,
}

/// One of the production workers: an owner of shards, and what it waits for.
pub(crate) struct Worker {
    pub(crate) owner: Owner,
    /// What the journal has taken and not yet synced, oldest first.
    pub(crate) unsettled: VecDeque<(Id, Appended)>,
    pub(crate) tick_at: Option<Time>,
    /// Until when it has heard from the journal: it hears in order.
    pub(crate) told_at: Time,
    /// Whether it has heard that the journal failed.
    pub(crate) poisoned: bool,
}

/// Why a process did not start.
#[derive(Debug)]
pub(crate) enum NotStarted {
    Journal(unanimo_journal::Error),
    Replay(ReplayError),
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotStarted::Journal(error) => error.fmt(f),
            NotStarted::Replay(error) => error.fmt(f),
        }
    }
}

/// What a process is started with.
pub(crate) struct Boot<'a> {
    pub(crate) life: u32,
    pub(crate) at: Time,
    pub(crate) unix_ms: u64,
    pub(crate) workers: usize,
    pub(crate) seed: u64,
    pub(crate) scenario: &'a Scenario,
    pub(crate) history: &'a History,
    /// The plans of the routes, made ready before: to parse them in each life would take longer than the life.
    pub(crate) plans: &'a Plans,
    pub(crate) medium: Medium,
}

impl Gateway {
    /// Opens, replays and starts, in the order in which the production binary does.
    pub(crate) fn start(boot: Boot<'_>, oracle: &mut Oracle) -> Result<Gateway, NotStarted> {
        let Boot { life, at, unix_ms, workers: count, seed, scenario, history, plans, medium } = boot;
        let failed = NotStarted::Journal;
        let mut recovery = unanimo_journal::open(scenario.journal.clone(), medium).map_err(failed)?;
        let (node, epoch) = (recovery.node(), recovery.epoch());
        let owner = |worker: usize| {
            Owner::new(Config {
                node,
                epoch,
                shards: Shard::all().filter(|shard| shard.worker(count) == worker).collect(),
                open_limit: scenario.open_limit,
                remembered_limit: 1_000_000,
                keys: KeyPromise::default(),
                retry: scenario.retry,
                plans: plans.clone(),
                seed: seed ^ worker as u64,
                keyring: secrets::keyring(),
                nonces: secrets::nonces(seed ^ worker as u64),
            })
        };
        let mut owners: Vec<Owner> = (0..count).map(owner).collect();
        owners.iter_mut().for_each(|owner| owner.cover(history.covered));
        for (id, key) in history.taken.iter().filter_map(|(id, taken)| Some((*id, taken.key?))) {
            owners[shard_of(&key).worker(count)].remember_key(&key, id, u64::MAX);
        }
        oracle.life_begins(life);
        inquire(&owners, oracle);
        let mut broken = None;
        let replayed = recovery.replay(|replayed| {
            let (id, batch) = (replayed.transaction, replayed.batch.number());
            let result = match replayed.entry {
                Entry::Plan { digest, bytes } => {
                    owners.iter_mut().try_for_each(|owner| owner.replay_plan(digest, bytes.clone()))
                }
                Entry::Record(record) => {
                    oracle.replayed(id, &record);
                    owners[id.shard().worker(count)].replay(id, record, batch)
                }
            };
            broken = broken.take().or(result.err());
        });
        let found = replayed.map_err(failed)?;
        if let Some(error) = broken {
            return Err(NotStarted::Replay(error));
        }
        let now = unanimo_journal::Now { time: Time(0), unix_ms };
        let (journal, committer) = recovery.assemble(now).map_err(failed)?;
        oracle.replay_is_over();
        for owner in &mut owners {
            owner.recovered(Now { time: Time(0), unix_ms }).map_err(NotStarted::Replay)?;
        }
        inquire(&owners, oracle);
        Ok(Gateway {
            life,
            booted: at,
            unix_ms,
            workers: owners.into_iter().map(Worker::new).collect(),
            journal,
            committer,
            turn_at: None,
            idle: true,
            ending: false,
            crashes_in: None,
            found,
        })
    }

    /// The moment as this process sees it.
    pub(crate) fn now(&self, at: Time) -> Now {
        let time = at.since(self.booted);
        Now { time: Time(0) + time, unix_ms: self.unix_ms + time.as_millis() as u64 }
    }

    /// The same, for the journal.
    pub(crate) fn journal_now(&self, at: Time) -> unanimo_journal::Now {
        let Now { time, unix_ms } = self.now(at);
        unanimo_journal::Now { time, unix_ms }
    }

    /// The worker that owns a transaction.
    pub(crate) fn worker_of(&self, id: Id) -> usize {
        id.shard().worker(self.workers.len())
    }

    /// How many transactions are open.
    pub(crate) fn open(&self) -> usize {
        self.workers.iter().map(|worker| worker.owner.open_len()).sum()
    }

    /// Ends in good order: what waits is written, and the journal is closed.
    pub(crate) fn close(mut self, at: Time) {
        self.workers.clear();
        self.journal.close();
        let now = self.journal_now(at);
        // Each turn carries out one of a few steps; a journal that does not end is caught by the next start.
        for _ in 0..1000 {
            if self.committer.turn(now) == Turn::Ended {
                break;
            }
        }
    }
}

/// Participants ask, as soon as anybody answers.
fn inquire(owners: &[Owner], oracle: &mut Oracle) {
    for id in oracle.asked_about() {
        oracle.inquired(id, owners[id.shard().worker(owners.len())].inquire(id));
    }
}

impl Worker {
    fn new(owner: Owner) -> Worker {
        Worker { owner, unsettled: VecDeque::new(), tick_at: None, told_at: Time(0), poisoned: false }
    }
}
