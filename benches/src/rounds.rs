//! Contestants take turns, so that what else goes on in the machine meets all of them alike.

use crate::cpu::Use;
use crate::load::{Moment, Run, World};
use crate::report::Report;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Who is measured.
#[derive(Clone, Copy, Debug)]
pub struct Contestant<'a> {
    pub pid: u32,
    pub target: SocketAddr,
    pub request: &'a [u8],
}

/// How often and how long.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub rounds: usize,
    pub warm: Duration,
    pub window: Duration,
}

/// Which cores the two sides are on.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    pub measured: usize,
    pub load: usize,
}

/// What one round came to.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Microseconds of the contestant's CPU for each answer.
    pub cpu_us: f64,
    /// Answers a second.
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// The contestant's share of its core, from 0 to 1.
    pub busy: f64,
    /// How busy the contestant's core and the load's core were, from 0 to 1, whoever used them.
    pub core: f64,
    pub load_core: f64,
}

/// A median, and between what all values lie.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Spread {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            at(middle)
        } else {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        };
        Spread { median, least: at(0), most: at(values.len().wrapping_sub(1)) }
    }
}

/// Lets the contestants take turns. The samples come in the order of the contestants, then of the rounds.
pub fn take(
    world: &mut World,
    contestants: &[Contestant<'_>],
    clients: usize,
    pace: Pace,
    cores: Cores,
) -> io::Result<Vec<Vec<Sample>>> {
    let mut samples = vec![Vec::new(); contestants.len()];
    for _ in 0..pace.rounds {
        for (contestant, samples) in contestants.iter().zip(&mut samples) {
            samples.push(one(world, *contestant, clients, pace, cores)?);
        }
    }
    Ok(samples)
}

fn one(
    world: &mut World,
    contestant: Contestant<'_>,
    clients: usize,
    pace: Pace,
    cores: Cores,
) -> io::Result<Sample> {
    let Contestant { pid, target, request } = contestant;
    let run = Run { target, request, clients, warm: pace.warm, window: pace.window };
    let (mut before, mut after) = (Ok(Use::default()), Ok(Use::default()));
    let outcome = world.run(&run, |moment| match moment {
        Moment::Begins => before = Use::of(pid),
        Moment::Ends => after = Use::of(pid),
    })?;
    if outcome.failed > 0 {
        let (failed, answered) = (outcome.failed, outcome.answered);
        return Err(io::Error::other(format!("{failed} answers were failures, beside {answered} others")));
    }
    if outcome.answered == 0 {
        return Err(io::Error::other("nothing was answered"));
    }
    let used = &after? - &before?;
    Ok(Sample {
        cpu_us: used.process_ns as f64 / 1000.0 / outcome.answered as f64,
        per_second: outcome.answered as f64 / outcome.seconds,
        p50_us: outcome.latencies.quantile_us(0.5),
        p99_us: outcome.latencies.quantile_us(0.99),
        busy: used.process_ns as f64 / 1e9 / outcome.seconds,
        core: used.busy(cores.measured),
        load_core: used.busy(cores.load),
    })
}

/// The spread of one quantity.
pub fn spread(samples: &[Sample], of: fn(&Sample) -> f64) -> Spread {
    Spread::of(samples.iter().map(of))
}

/// The spread of the first's quantity divided by the second's, round by round.
pub fn ratio(first: &[Sample], second: &[Sample], of: fn(&Sample) -> f64) -> Spread {
    Spread::of(first.iter().zip(second).map(|(first, second)| of(first) / of(second)))
}

/// Adds the medians of a contestant's samples to the report.
pub fn report(subject: &str, clients: usize, samples: &[Sample], report: &mut Report) {
    let median = |of| spread(samples, of).median;
    report.add(subject, clients, ("CPU", median(|s| s.cpu_us), "us per answer"));
    report.add(subject, clients, ("throughput", median(|s| s.per_second), "answers/s"));
    report.add(subject, clients, ("p50", median(|s| s.p50_us), "us"));
    report.add(subject, clients, ("p99", median(|s| s.p99_us), "us"));
    report.add(subject, clients, ("busy", median(|s| s.busy), "share of its core"));
    report.add(subject, clients, ("its core", median(|s| s.core), "share"));
    report.add(subject, clients, ("load's core", median(|s| s.load_core), "share"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        let odd = Spread::of([3.0, 1.0, 2.0]);
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
        assert!(Spread::of([]).median.is_nan());
    }
}
