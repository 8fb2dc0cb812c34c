//! Pairs of crash points: SIGKILL at one of the gateway's writes or syncs, and at one of those that the next start makes of
//! it. All pairs are in the simulation; these are a sample of them, with real processes and real files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and say what it saw"
)]

mod support;

use support::runs::{ENDS, Runs, SEGMENTS, SYNC, WRITE, kill_at, small};
use support::world::World;
use support::{banks, shop};

/// So many pairs must come about for each mode.
const PAIRS: u32 = 100;

#[test]
fn two_phases_survive_two_kills() {
    sampled_pairs(1, || banks::start(small()));
}

#[test]
fn tries_and_confirms_survive_two_kills() {
    sampled_pairs(2, || shop::start("tcc", small()));
}

#[test]
fn acts_and_compensations_survive_two_kills() {
    sampled_pairs(3, || shop::start("saga", small()));
}

fn sampled_pairs(seed: u64, start: impl FnOnce() -> World) {
    let mut runs = Runs::new(start);
    let mut dice = fastrand::Rng::with_seed(seed);
    let (mut pairs, mut tried) = (0, 0);
    while pairs < PAIRS {
        let mut kill = |most, file| kill_at([WRITE, SYNC][dice.usize(..2)], dice.u32(1..=most), Some(file));
        let both = [kill(3, SEGMENTS[0]), kill(2, SEGMENTS[1])];
        let end = ENDS[dice.usize(..ENDS.len())];
        pairs += u32::from(runs.run(end, &both));
        tried += 1;
        assert!(tried < 2 * PAIRS, "only {pairs} of {tried} sampled pairs came about");
    }
    let (transactions, found) = (runs.stories.len(), runs.found_open());
    println!(
        "{pairs} pairs of crash points in {transactions} transactions, {found} found open at a start, 0 in doubt"
    );
}
