//! Runs many seeds, and stops at the first one that breaks a promise.

#![expect(clippy::print_stdout, reason = "what a run came to is shown here")]

use clap::Parser;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use unanimo_simulation::clock::{Stopwatch, core_seconds};
use unanimo_simulation::{Mistake, Report, Show, Trace, run};

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
