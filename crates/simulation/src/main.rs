//! Runs many seeds, and stops at the first one that breaks a promise.

#![expect(clippy::print_stdout, reason = "what a run came to is shown here")]

use clap::Parser;
use std::process::ExitCode;
use unanimo_simulation::clock::Stopwatch;
use unanimo_simulation::{Mistake, Report, Show, Trace, run};

/// One seed of so many is run twice: a run that differs from itself could not be repeated when it fails.
const RUN_TWICE: u64 = 100;

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
    let watch = Stopwatch::new();
    let (mut transactions, mut crashes, mut shown) = (0, 0, 0.0);
    for (done, seed) in (first..).take(usize::try_from(count).unwrap_or(usize::MAX)).enumerate() {
        let report = run_checked(seed, &arguments);
        if let Some(violation) = report.violation {
            println!("seed {seed}: {violation}");
            let planted = arguments.mistake.map(|m| format!(" --mistake {}", m.as_str())).unwrap_or_default();
            println!("repeat: cargo run --release -p unanimo-simulation -- --seed {seed} --trace{planted}");
            return ExitCode::FAILURE;
        }
        transactions += report.transactions;
        crashes += report.crashes;
        if watch.seconds() - shown >= PROGRESS_SECONDS {
            shown = watch.seconds();
            println!("{} seeds, {transactions} transactions, {crashes} crashes", done + 1);
        }
    }
    let rate = count as f64 / watch.seconds().max(1e-9);
    println!(
        "{count} seeds, {transactions} transactions, {crashes} crashes, 0 violations, {rate:.0} seeds/s"
    );
    ExitCode::SUCCESS
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
    let known = || Mistake::ALL.map(Mistake::as_str).join(", ");
    Mistake::parse(word).ok_or_else(|| format!("no such mistake; there are: {}", known()))
}
