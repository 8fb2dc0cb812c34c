//! Crash points: SIGKILL at each of the gateway's writes and syncs in turn, and a failure of each sync: of its first start,
//! and of one transaction to its end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and say what it saw"
)]

mod support;

use support::runs::{ENDS, End, Runs, SEGMENTS, SYNC, WRITE, fail_at, kill_at, small, until_spared};
use support::world::World;
use support::{banks, shop};

#[test]
fn two_phases_survive_a_kill_at_each_write_and_sync() {
    every_end(|| banks::start(small()));
}

#[test]
fn tries_and_confirms_survive_a_kill_at_each_write_and_sync() {
    every_end(|| shop::start("tcc", small()));
}

#[test]
fn acts_and_compensations_survive_a_kill_at_each_write_and_sync() {
    every_end(|| shop::start("saga", small()));
}

fn every_end(start: impl FnOnce() -> World) {
    let mut runs = Runs::new(start);
    let mut points = 0;
    for call in [WRITE, SYNC] {
        let of_start = until_spared(|at| runs.run(End::Commit, &[kill_at(call, at, None)]));
        println!("the first start: killed at each of {of_start} calls of {call}");
        points += of_start;
        for end in ENDS {
            let of_end = until_spared(|at| runs.run(end, &[kill_at(call, at, Some(SEGMENTS[0]))]));
            println!("{end:?}: killed at each of {of_end} calls of {call}");
            assert!(of_end >= 3, "{end:?}: {of_end} calls of {call} only");
            points += of_end;
        }
    }
    let (transactions, found) = (runs.stories.len(), runs.found_open());
    println!("{points} crash points, {transactions} transactions, {found} found open at a start, 0 in doubt");
    let said = runs.world.gateway.said();
    assert!(found >= 4, "the kills met the start and the end of the process alone:\n{said}");
}

#[test]
fn two_phases_survive_a_failure_of_each_sync() {
    every_failure(|| banks::start(small()));
}

#[test]
fn tries_and_confirms_survive_a_failure_of_each_sync() {
    every_failure(|| shop::start("tcc", small()));
}

#[test]
fn acts_and_compensations_survive_a_failure_of_each_sync() {
    every_failure(|| shop::start("saga", small()));
}

/// The process ends by itself, and says why; nobody was told an untruth, and nothing stays in doubt.
fn every_failure(start: impl FnOnce() -> World) {
    let mut runs = Runs::new(start);
    let of_start = until_spared(|at| runs.run(End::Commit, &[fail_at(at, None)]));
    println!("the first start: each of {of_start} syncs failed");
    let mut failures = of_start;
    for end in ENDS {
        let of_end = until_spared(|at| runs.run(end, &[fail_at(at, Some(SEGMENTS[0]))]));
        println!("{end:?}: each of {of_end} syncs failed");
        assert!(of_end >= 3, "{end:?}: {of_end} syncs only");
        failures += of_end;
    }
    println!("{failures} failed syncs, {} transactions, 0 in doubt", runs.stories.len());
}
