//! What the journal costs over the least that group commit can cost.
//!
//! Both take the same number of bytes from the same callers by the same kind of queue, and make them durable in groups:
//! write what waits, sync, tell, again. The bare loop does that and nothing else: no records, no checksum, no numbers, no
//! segments, no watermark; its file was allocated before.

mod bare;

use super::Context;
use crate::clock;
use crate::place::Place;
use crate::process;
use crate::report::Report;
use crate::rounds::Spread;
use crate::table::Table;
use bare::BareLoop;
use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use unanimo_journal::{Append, Committing, Config, Files, Journal, Position, Progress};
use unanimo_protocol::{Begun, Digest, Durability, Epoch, Id, Record, Shard, Token};

pub const NAME: &str = "journal";

const CALLERS: [usize; 2] = [64, 256];

/// Bytes of calls in each record: those of a small transaction with two branches.
const CALLS: usize = 200;

/// Bytes that such a record has on disk.
const RECORD: usize = 280;

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
    let bare = BareLoop::start(&place.path().join("bare"), RECORD)?;
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
    ours.end();
    bare.end();
    process::pin(context.cores.load)?;
    report.write(&context.directory)
}

/// What makes appends durable, in order.
trait Log {
    /// Takes one append, and says in which group it is.
    fn append(&self) -> io::Result<u64>;

    /// The last group that is durable.
    fn durable(&self) -> u64;

    /// Waits until there is news.
    fn wait(&self) -> io::Result<()>;
}

/// Appends a second: each caller appends again as soon as its last append is durable. All callers are one thread, as
/// those of a worker are.
fn appends(log: &impl Log, callers: usize, window: Duration) -> io::Result<f64> {
    let mut waiting = VecDeque::with_capacity(callers);
    for _ in 0..callers {
        waiting.push_back(log.append()?);
    }
    let begin = clock::now();
    let mut done = 0u64;
    while clock::now() - begin < window {
        log.wait()?;
        let durable = log.durable();
        while waiting.front().is_some_and(|group| *group <= durable) {
            waiting.pop_front();
            done += 1;
            waiting.push_back(log.append()?);
        }
    }
    let seconds = (clock::now() - begin).as_secs_f64();
    while waiting.back().is_some_and(|group| *group > log.durable()) {
        log.wait()?;
    }
    Ok(done as f64 / seconds)
}

/// The journal, as a worker uses it.
struct Ours {
    journal: Journal,
    committing: Committing,
    news: Receiver<()>,
    record: Record,
    epoch: Epoch,
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
        let record = Record::Begun(Begun {
            token: Token(1),
            plan: Digest([0; 16]),
            key: None,
            deadline: Duration::from_secs(10),
            began_unix_ms: 1_800_000_000_000,
            calls: vec![b'c'; CALLS].into(),
            waves: 1,
            durability: Durability::Forced,
        });
        let epoch = journal.epoch();
        Ok(Ours { journal, committing, news, record, epoch })
    }

    fn end(self) {
        self.journal.close();
        self.committing.join();
    }
}

impl Log for Ours {
    fn append(&self) -> io::Result<u64> {
        let counter = self.journal.counters().appends.load(std::sync::atomic::Ordering::Relaxed);
        let transaction = Id::new(self.journal.node(), Shard(0), self.epoch, counter, 0);
        let plan = Some((Digest([0; 16]), bytes_of_plan()));
        let append = Append { transaction, epoch: self.epoch, plan, records: vec![self.record.clone()] };
        let appended = self.journal.append(append).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Position::number(appended.position()))
    }

    fn durable(&self) -> u64 {
        self.journal.watermark().position().number()
    }

    fn wait(&self) -> io::Result<()> {
        hear(&self.news, || self.journal.poison().map(|poison| poison.to_string()))
    }
}

fn bytes_of_plan() -> bytes::Bytes {
    bytes::Bytes::from_static(&[b'p'; 500])
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
