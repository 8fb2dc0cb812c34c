//! What the journal costs over the least that group commit can cost.
//!
//! A caller does what a transaction does: it forces the beginning, then the verdict, which is also the end, and then
//! begins another one. Both take the same number of bytes from the same callers by the same kind of queue, and make them
//! durable in groups: write what waits, sync, tell, again. The bare loop does that and nothing else: no records, no
//! checksum, no numbers, no segments, no watermark; its file was allocated before. What is appended was made before on
//! both sides; a record is cloned, which copies none of its bytes.

mod bare;

use super::Context;
use crate::clock;
use crate::place::Place;
use crate::process;
use crate::report::Report;
use crate::rounds::Spread;
use crate::table::Table;
use bare::BareLoop;
use bytes::Bytes;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use unanimo_journal::{Append, Committing, Config, Files, Journal, Progress};
use unanimo_protocol::{Begun, BranchSet, Concluded, Digest, Durability, Id, Record, Shard, Token, Verdict};

pub const NAME: &str = "journal";

const CALLERS: [usize; 2] = [64, 256];

/// The calls of a small transaction with two branches.
const CALLS: Bytes = Bytes::from_static(&[b'c'; 200]);

/// An answer that makes a conclusion as long as a beginning.
const ANSWER: Bytes = Bytes::from_static(&[b'a'; 218]);

const PLAN: Bytes = Bytes::from_static(&[b'p'; 500]);

/// Bytes that a beginning has on disk, and a conclusion too.
const APPENDED: usize = 272;

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    // Callers and disk take turns on all cores, as the system sees fit.
    process::unpin()?;
    let (rounds, window_ms) = if context.quick { (1, 100) } else { (5, 1000) };
    let window = Duration::from_millis(window_ms);
    let mut report = Report::new(NAME);
    let mut table = Table::new(
        "journal: durable appends a second with commit_interval 0, against a bare group-commit loop",
        &["callers", "appends/s", "bare/s", "ratio", "range"],
    );
    let ours = Ours::start(&place.path().join("ours"))?;
    let bare = BareLoop::start(&place.path().join("bare"), APPENDED)?;
    // Segments grow at first, and the crowd fills the first few in moments.
    for _ in 0..2 {
        appends(&ours, CALLERS[1], window)?;
        appends(&bare, CALLERS[1], window)?;
    }
    for callers in CALLERS.into_iter().filter(|callers| context.wants(&format!("{callers} callers"))) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            first.push(appends(&ours, callers, window)?);
            second.push(appends(&bare, callers, window)?);
        }
        let ratio = Spread::of(first.iter().zip(&second).map(|(ours, bare)| ours / bare));
        let [first, second] = [first, second].map(Spread::of);
        table.row(vec![
            callers.to_string(),
            format!("{:.0}", first.median),
            format!("{:.0}", second.median),
            format!("{:.2}", ratio.median),
            format!("{:.2} to {:.2}", ratio.least, ratio.most),
        ]);
        report.add("journal", callers, ("durable appends", first.median, "appends/s"));
        report.add("bare group commit", callers, ("durable appends", second.median, "appends/s"));
        report.add("journal / bare", callers, ("ratio", ratio.median, "ratio"));
        report.add("journal / bare", callers, ("ratio least", ratio.least, "ratio"));
        report.add("journal / bare", callers, ("ratio most", ratio.most, "ratio"));
    }
    println!("{}", table.text(context.markdown));
    ours.end()?;
    bare.end();
    process::pin(context.cores.load)?;
    report.write(&context.directory)
}

/// What makes appends durable, in order.
trait Log {
    /// What a caller keeps of a transaction that it has begun.
    type Transaction;

    /// Takes the beginning of a transaction, and says in which group it is.
    fn begin(&self) -> io::Result<(u64, Self::Transaction)>;

    /// Takes its verdict and its end.
    fn conclude(&self, transaction: Self::Transaction) -> io::Result<u64>;

    /// The last group that is durable.
    fn durable(&self) -> u64;

    /// Waits until there is news.
    fn wait(&self) -> io::Result<()>;
}

/// A caller that waits for a group.
struct Caller<T> {
    group: u64,
    /// What it has begun and not concluded.
    begun: Option<T>,
}

impl<T> Caller<T> {
    fn begin(log: &impl Log<Transaction = T>) -> io::Result<Caller<T>> {
        let (group, transaction) = log.begin()?;
        Ok(Caller { group, begun: Some(transaction) })
    }

    /// Appends what comes next.
    fn go_on(self, log: &impl Log<Transaction = T>) -> io::Result<Caller<T>> {
        match self.begun {
            Some(transaction) => Ok(Caller { group: log.conclude(transaction)?, begun: None }),
            None => Caller::begin(log),
        }
    }
}

/// Appends a second: each caller appends again as soon as its last append is durable. All callers are one thread, as
/// those of a worker are.
fn appends(log: &impl Log, callers: usize, window: Duration) -> io::Result<f64> {
    let mut waiting = VecDeque::with_capacity(callers);
    for _ in 0..callers {
        waiting.push_back(Caller::begin(log)?);
    }
    let begin = clock::now();
    let mut done = 0u64;
    while clock::now() - begin < window {
        log.wait()?;
        let durable = log.durable();
        while let Some(caller) = waiting.pop_front_if(|caller| caller.group <= durable) {
            done += 1;
            waiting.push_back(caller.go_on(log)?);
        }
    }
    let seconds = (clock::now() - begin).as_secs_f64();
    let open = waiting.into_iter().filter(|caller| caller.begun.is_some());
    let mut last = 0;
    for caller in open {
        last = caller.go_on(log)?.group;
    }
    while last > log.durable() {
        log.wait()?;
    }
    Ok(done as f64 / seconds)
}

/// The journal, as a worker uses it.
struct Ours {
    journal: Journal,
    committing: Committing,
    news: Receiver<()>,
    begun: Cell<u64>,
    beginning: Record,
    conclusion: Record,
}

impl Ours {
    fn start(directory: &Path) -> io::Result<Ours> {
        let failed = |error: unanimo_journal::Error| io::Error::other(error.to_string());
        let config = Config { commit_interval: Duration::ZERO, ..Config::new(directory) };
        let mut recovery =
            unanimo_journal::open(config, Files::open(directory).map_err(failed)?).map_err(failed)?;
        recovery.replay(|_| {}).map_err(failed)?;
        let (tell, news) = news();
        let listener = move |progress| {
            if matches!(progress, Progress::Synced(_) | Progress::Poisoned(_)) {
                // Full when the news has not been heard yet: then it will be.
                let _ = tell.try_send(());
            }
        };
        let (journal, committing) = recovery.start(listener).map_err(failed)?;
        let beginning = Record::Begun(Begun {
            token: Token(u64::MAX),
            plan: Digest([0; 16]),
            key: None,
            deadline: Duration::from_secs(10),
            began_unix_ms: 1_800_000_000_000,
            calls: CALLS,
            waves: 1,
            durability: Durability::Forced,
        });
        let conclusion = Record::Concluded(Concluded {
            verdict: Verdict::Commit,
            cause: None,
            tell: BranchSet::first(2),
            answer: ANSWER,
            calls: Bytes::new(),
            durability: Durability::Forced,
        });
        Ok(Ours { journal, committing, news, begun: Cell::new(0), beginning, conclusion })
    }

    fn append(
        &self,
        transaction: Id,
        plan: Option<(Digest, Bytes)>,
        records: Vec<Record>,
    ) -> io::Result<u64> {
        let append = Append { transaction, epoch: self.journal.epoch(), plan, records };
        let appended = self.journal.append(append).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(appended.position().number())
    }

    /// Ends it, and sees that the bare loop has written as much for each append.
    fn end(self) -> io::Result<()> {
        self.journal.close();
        self.committing.join();
        let [appends, bytes] = [&self.journal.counters().appends, &self.journal.counters().bytes]
            .map(|counter| counter.load(Relaxed) as f64);
        let written = bytes / appends;
        if (written / APPENDED as f64 - 1.0).abs() < 0.05 {
            return Ok(());
        }
        let why =
            format!("the journal has written {written:.1} bytes for each append, the bare loop {APPENDED}");
        Err(io::Error::other(why))
    }
}

impl Log for Ours {
    type Transaction = Id;

    fn begin(&self) -> io::Result<(u64, Id)> {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let (shard, random) = (Shard((number % 64) as u8), (number as u32).wrapping_mul(0x9e37_79b9));
        let transaction = Id::new(self.journal.node(), shard, self.journal.epoch(), number, random);
        let plan = Some((Digest([0; 16]), PLAN));
        Ok((self.append(transaction, plan, vec![self.beginning.clone()])?, transaction))
    }

    fn conclude(&self, transaction: Id) -> io::Result<u64> {
        self.append(transaction, None, vec![self.conclusion.clone(), Record::Ended])
    }

    fn durable(&self) -> u64 {
        self.journal.watermark().position().number()
    }

    fn wait(&self) -> io::Result<()> {
        hear(&self.news, || self.journal.poison().map(|poison| poison.to_string()))
    }
}

/// A bell: it rings once, however often it is pulled before it is heard.
fn news() -> (SyncSender<()>, Receiver<()>) {
    sync_channel(1)
}

/// Waits for the bell.
fn hear(news: &Receiver<()>, failure: impl Fn() -> Option<String>) -> io::Result<()> {
    match news.recv_timeout(Duration::from_secs(10)) {
        Ok(()) => failure().map_or(Ok(()), |why| Err(io::Error::other(why))),
        Err(_) => Err(io::Error::other("nothing became durable for ten seconds")),
    }
}
