//! How a process comes up: take the journal, replay it, and give each thread its seat. Only then does anybody listen.

use crate::clock::Clock;
use crate::handle::Handle;
use crate::history::{self, Opened, notebook};
use crate::mailbox::{Mail, Slot, mailbox};
use crate::signal::News;
use crate::stream::Stream;
use crate::worker::{Links, Worker};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{Key, Plan, Shard};
use unanimo_coordinator::{Change, InvalidPlan, KeyPromise, Owner, Plans, ReplayError, Retry, shard_of};
use unanimo_journal::{Committing, Disk, Entry, Recovery, Replayed};
use unanimo_participants::Participant;

/// What the runtime is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many threads share the shards; from 1 to 64.
    pub workers: usize,
    /// How many transactions may be open at a time, over all workers.
    pub open_limit: usize,
    /// How calls are repeated.
    pub retry: Retry,
    /// The plans of the routes, so that no request waits for their expressions to be parsed.
    pub plans: Vec<Arc<Plan>>,
    /// The keys that seal what is secret, where there are any.
    pub keyring: Option<Arc<Keyring>>,
    /// Where and how the journal is kept.
    pub journal: unanimo_journal::Config,
    /// Where and how what has ended is kept.
    pub history: history::Config,
    /// How long idempotency keys stand for their transactions.
    pub keys: KeyPromise,
}

/// How many finished transactions are remembered at most, over all workers, while history cannot take them.
const REMEMBERED: usize = 200_000;

/// Why the start is refused. Nothing was changed but the journal's epoch.
#[derive(Debug)]
pub enum Error {
    /// The journal cannot be taken or read.
    Journal(unanimo_journal::Error),
    /// The history is there and cannot be opened: keys that it holds were promised to clients.
    History(history::Error),
    /// What it holds cannot be driven on.
    Replay(ReplayError),
    /// A route's plan cannot be run.
    Plan(InvalidPlan),
    /// A number of workers that shards cannot be shared among.
    Workers(usize),
    /// The operating system gives no thread.
    Thread(std::io::Error),
    /// The operating system gives no random numbers.
    Entropy(getrandom::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Journal(error) => write!(f, "{error}"),
            Error::History(error) => write!(f, "{error}"),
            Error::Thread(error) => {
                write!(f, "the operating system gives no thread: {error}; raise the limits")
            }
            Error::Replay(ReplayError::Sealed(id, part, error)) => {
                let error = ReplayError::Sealed(*id, *part, error.clone());
                write!(
                    f,
                    "{error}; nothing was changed: give it that key, or restore a backup; see docs/sealing.md"
                )
            }
            Error::Replay(error) => {
                write!(
                    f,
                    "{error}; nothing was changed: start the version that wrote it, or restore a backup"
                )
            }
            Error::Plan(error) => write!(f, "a route's plan cannot be run: {error}"),
            Error::Workers(n) => write!(f, "`workers` must be 1 to {}, and is {n}", Shard::COUNT),
            Error::Entropy(error) => {
                write!(f, "the operating system gives no random numbers: {error}; try again")
            }
        }
    }
}

impl std::error::Error for Error {}

/// A runtime that has replayed its journal.
pub struct Recovered {
    /// One for each worker's thread.
    pub seats: Vec<Seat>,
    /// For everybody else.
    pub handle: Handle,
    /// The journal's thread, to be waited for after [`unanimo_journal::Journal::close`].
    pub committing: Committing,
    /// History's thread, to be waited for after that one.
    pub writing: history::Writing,
    /// What replay found.
    pub report: unanimo_journal::Report,
    /// The services that open transactions name, and how many of them name each.
    pub services: BTreeMap<Arc<str>, usize>,
}

/// A worker's place, to be taken on its thread.
pub struct Seat {
    owner: Owner,
    links: Links,
    mail: mpsc::Receiver<Mail>,
}

impl Seat {
    /// Drives what replay found open, and takes submissions from now on. Inside of a `LocalSet`.
    pub fn take<P: Participant>(self, participants: P) -> Result<Worker<P>, Error> {
        let Seat { mut owner, links, mail } = self;
        owner.recovered(links.clock.now()).map_err(Error::Replay)?;
        Ok(Worker::start(owner, participants, links, mail))
    }

    /// Which worker sits here, from 0.
    pub fn number(&self) -> usize {
        self.links.number
    }
}

/// Takes the journal's directory, replays it, and starts its thread.
pub fn recover(config: Config, disk: impl Disk) -> Result<Recovered, Error> {
    if config.workers == 0 || config.workers > usize::from(Shard::COUNT) {
        return Err(Error::Workers(config.workers));
    }
    let mut recovery = unanimo_journal::open(config.journal.clone(), disk).map_err(Error::Journal)?;
    let clock = Clock::new();
    let opened = Opened::open(config.history.clone(), config.keys, recovery.node(), clock);
    let opened = opened.map_err(Error::History)?;
    let mut owners = owners(&config, &recovery)?;
    let opened = remember(opened, &mut owners)?;
    let report = replay(&mut recovery, &mut owners)?;
    let mut services = BTreeMap::new();
    for (service, transactions) in owners.iter().flat_map(Owner::services) {
        *services.entry(service).or_default() += transactions;
    }
    let news = News::new(config.workers);
    let listener = news.clone();
    let started = recovery.start(move |progress| listener.tell(progress));
    let (journal, committing) = started.map_err(Error::Journal)?;
    let (slots, mails): (Vec<Slot>, Vec<_>) = (0..config.workers).map(|_| mailbox()).unzip();
    let covering = news.clone();
    let (notebook, notes) = notebook();
    let started = opened.start(journal.clone(), notes, move |covered| covering.cover(covered.0));
    let (history, writing) = started.map_err(Error::Thread)?;
    history.counters().set_keyring(config.keyring.clone());
    let stream = Stream::new(journal.epoch().0, clock);
    let links = |number| Links {
        number,
        slots: slots.clone(),
        journal: journal.clone(),
        signal: news.signal(number),
        poison: news.poison(),
        clock,
        stream: stream.clone(),
        history: history.clone(),
        notebook: notebook.clone(),
    };
    let seats = owners.into_iter().zip(mails).enumerate();
    let seats = seats.map(|(number, (owner, mail))| Seat { owner, links: links(number), mail }).collect();
    let (slots, journal, news, stream) = (slots.clone(), journal.clone(), news.clone(), stream.clone());
    let handle = Handle { slots, journal, news, stream, history: history.clone() };
    Ok(Recovered { seats, handle, committing, writing, report, services })
}

fn owners<D: Disk>(config: &Config, recovery: &Recovery<D>) -> Result<Vec<Owner>, Error> {
    let plans = Plans::of(&config.plans).map_err(Error::Plan)?;
    let share = share(config.open_limit, config.retry, plans, config.keyring.clone(), config.workers);
    let owner = |worker| {
        let Change { open_limit, retry, plans, keyring } = share.clone();
        let mut nonces = [0; 32];
        getrandom::fill(&mut nonces).map_err(Error::Entropy)?;
        Ok(Owner::new(unanimo_coordinator::Config {
            node: recovery.node(),
            epoch: recovery.epoch(),
            shards: Shard::all().filter(|shard| shard.worker(config.workers) == worker).collect(),
            open_limit,
            remembered_limit: REMEMBERED.div_ceil(config.workers),
            keys: KeyPromise { count: config.keys.count.div_ceil(config.workers), ..config.keys },
            retry,
            plans,
            seed: getrandom::u64().map_err(Error::Entropy)?,
            keyring,
            nonces,
        }))
    };
    (0..config.workers).map(owner).collect()
}

/// Each worker's share of what is configured for all.
pub(crate) fn share(
    open_limit: usize,
    retry: Retry,
    plans: Plans,
    keyring: Option<Arc<Keyring>>,
    workers: usize,
) -> Change {
    // A service's budget holds for the whole process.
    let retry = Retry { budget_per_second: retry.budget_per_second / workers as f64, ..retry };
    Change { open_limit: open_limit.div_ceil(workers), retry, plans, keyring }
}

/// What history holds need not be remembered, but for its keys.
fn remember(opened: Opened, owners: &mut [Owner]) -> Result<Opened, Error> {
    let workers = owners.len();
    let each = |key: Key, id, until| owners[shard_of(&key).worker(workers)].remember_key(&key, id, until);
    let opened = opened.each_key(each).map_err(Error::History)?;
    owners.iter_mut().for_each(|owner| owner.cover(opened.covered().0));
    Ok(opened)
}

fn replay<D: Disk>(
    recovery: &mut Recovery<D>,
    owners: &mut [Owner],
) -> Result<unanimo_journal::Report, Error> {
    let workers = owners.len();
    let mut failed = Ok(());
    let report = recovery.replay(|replayed| {
        if failed.is_ok() {
            failed = hand_out(owners, workers, replayed);
        }
    });
    let report = report.map_err(Error::Journal)?;
    failed.map_err(Error::Replay)?;
    Ok(report)
}

fn hand_out(owners: &mut [Owner], workers: usize, replayed: Replayed) -> Result<(), ReplayError> {
    let Replayed { batch, transaction, entry, .. } = replayed;
    match entry {
        Entry::Plan { digest, bytes } => {
            owners.iter_mut().try_for_each(|owner| owner.replay_plan(digest, bytes.clone()))
        }
        Entry::Record(settled) => {
            owners[transaction.shard().worker(workers)].replay(transaction, settled, batch.number())
        }
    }
}
