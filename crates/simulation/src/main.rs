//! Runs many seeds, and stops at the first one that breaks a promise.

#![expect(clippy::print_stdout, reason = "what a run came to is shown here")]

use clap::Parser;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use unanimo_simulation::clock::{Stopwatch, core_seconds};
use unanimo_simulation::{Came, Mistake, Report, Show, Small, Specimen, Trace, Tried, run};

/// A run allocates and frees without end, in small pieces: it takes a fifth less time than with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// One seed of so many is run twice: a run that differs from itself could not be repeated when it fails.
const RUN_TWICE: u64 = 1000;

/// A line of progress comes after so many seconds.
const PROGRESS_SECONDS: f64 = 10.0;

#[derive(Parser)]
#[command(name = "unanimo-simulation", about = "A seeded world around the coordinator and the journal")]
struct Arguments {
    /// How many seeds to run; 1000 where neither this nor --seed is given
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed; alone, the only one
    #[arg(long)]
    seed: Option<u64>,
    /// How many threads share the seeds; one for each core where this is not given
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
    /// Instead: crash small worlds at every point, and at every two
    #[arg(long)]
    crash_points: bool,
    /// Instead: cut a journal of 64 KiB at every byte, and flip its every bit
    #[arg(long)]
    damage: bool,
    /// Show everything that happens
    #[arg(long)]
    trace: bool,
    /// Plant a mistake, to see that it is found
    #[arg(long, value_parser = parse_mistake)]
    mistake: Option<Mistake>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or(0);
    let count = arguments.seeds.unwrap_or(if arguments.seed.is_some() { 1 } else { 1000 });
    let cores = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let jobs = if arguments.trace { 1 } else { arguments.jobs.unwrap_or(cores).get() };
    if arguments.crash_points {
        return crash_points(jobs, arguments.mistake);
    }
    if arguments.damage {
        return damage(jobs, arguments.mistake);
    }
    let work = Mutex::new(Work { next: first, end: first.saturating_add(count), ..Work::default() });
    let watch = Stopwatch::new();
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| while_seeds_are_left(&work, &arguments, watch));
        }
    });
    let Work { done, transactions, crashes, violation, .. } =
        work.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((seed, violation)) = violation {
        println!("seed {seed}: {violation}");
        let planted = arguments.mistake.map(|m| format!(" --mistake {}", m.as_str())).unwrap_or_default();
        println!("repeat: cargo run --release -p unanimo-simulation -- --seed {seed} --trace{planted}");
        return ExitCode::FAILURE;
    }
    let rate = done as f64 / watch.seconds().max(1e-9);
    let each = done as f64 / core_seconds().max(1e-9);
    println!(
        "{done} seeds, {transactions} transactions, {crashes} crashes, 0 violations, {rate:.0} seeds/s, {each:.0} for \
         each second of a core"
    );
    ExitCode::SUCCESS
}

/// Every crash and every two crashes of every small world.
fn crash_points(jobs: usize, mistake: Option<Mistake>) -> ExitCode {
    let (watch, worlds) = (Stopwatch::new(), Mutex::new(Small::all()));
    let (sum, failed) = (Mutex::new(Tried::default()), Mutex::new(false));
    let next = || worlds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(small) = next() {
            let tried = small.try_all(true, mistake);
            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
            match tried {
                Ok(Tried { points, pairs }) => {
                    println!("{small}: {points} crashes and {pairs} pairs of crashes");
                    *sum = Tried { points: sum.points + points, pairs: sum.pairs + pairs };
                }
                Err(story) => {
                    println!("{story}");
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
                }
            }
        }
    };
    thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(work))));
    if failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return ExitCode::FAILURE;
    }
    let Tried { points, pairs } = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{points} crashes and {pairs} pairs of crashes, 0 violations, {:.0} s", watch.seconds());
    ExitCode::SUCCESS
}

/// Every byte and every bit of a journal.
fn damage(jobs: usize, mistake: Option<Mistake>) -> ExitCode {
    let watch = Stopwatch::new();
    let Some(specimen) = Specimen::take() else {
        println!("no seed has written a journal to damage");
        return ExitCode::FAILURE;
    };
    println!("{}", specimen.describe());
    let pieces = Mutex::new(specimen.pieces());
    let came = Mutex::new(Ok((Came::default(), Came::default())));
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let work = || {
        while let Some(piece) = next() {
            let both =
                specimen.cut(&piece, mistake).and_then(|cut| Ok((cut, specimen.flip(&piece, mistake)?)));
            let mut came = came.lock().unwrap_or_else(PoisonError::into_inner);
            let sum = came
                .clone()
                .and_then(|(cuts, flips)| both.map(|(cut, flip)| (cuts.and(cut), flips.and(flip))));
            *came = sum;
        }
    };
    thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(work))));
    match came.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Ok((cuts, flips)) => {
            println!("cut at every byte: {cuts}");
            println!("flipped at every bit: {flips}");
            println!("0 violations, {:.0} s", watch.seconds());
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// What the threads share.
#[derive(Default)]
struct Work {
    next: u64,
    end: u64,
    done: u64,
    transactions: u64,
    crashes: u64,
    /// When a line of progress was shown, in seconds.
    shown: f64,
    /// The lowest seed that breaks a promise, of those that were run.
    violation: Option<(u64, String)>,
}

impl Work {
    /// The next seed; none once a promise is broken.
    fn take(&mut self) -> Option<u64> {
        let seed = (self.next < self.end && self.violation.is_none()).then_some(self.next)?;
        self.next += 1;
        Some(seed)
    }

    fn note(&mut self, seed: u64, report: Report, seconds: f64) {
        self.done += 1;
        self.transactions += report.transactions;
        self.crashes += report.crashes;
        if let Some(violation) = report.violation
            && self.violation.as_ref().is_none_or(|(lowest, _)| seed < *lowest)
        {
            self.violation = Some((seed, violation));
        }
        if seconds - self.shown >= PROGRESS_SECONDS {
            self.shown = seconds;
            println!("{} seeds, {} transactions, {} crashes", self.done, self.transactions, self.crashes);
        }
    }
}

fn while_seeds_are_left(work: &Mutex<Work>, arguments: &Arguments, watch: Stopwatch) {
    let lock = || work.lock().unwrap_or_else(PoisonError::into_inner);
    let mut next = lock().take();
    while let Some(seed) = next {
        let report = run_checked(seed, arguments);
        let mut work = lock();
        work.note(seed, report, watch.seconds());
        next = work.take();
    }
}

fn run_checked(seed: u64, arguments: &Arguments) -> Report {
    let show = arguments.trace.then(|| -> Show { Box::new(|line| println!("{line}")) });
    let mut report = run(seed, arguments.mistake, Trace::new(show));
    if seed.is_multiple_of(RUN_TWICE) && report.violation.is_none() {
        let again = run(seed, arguments.mistake, Trace::new(None));
        if again != report {
            report.violation = Some(format!("the same seed gave two runs: {report:?} and {again:?}"));
        }
    }
    report
}

fn parse_mistake(word: &str) -> Result<Mistake, String> {
    let known = || Mistake::all().map(Mistake::as_str).collect::<Vec<_>>().join(", ");
    Mistake::parse(word).ok_or_else(|| format!("no such mistake; there are: {}", known()))
}
