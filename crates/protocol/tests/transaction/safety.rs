//! S1 to S4 and L1 under any order of events: calls and answers lost, late and repeated, syncs late, crashes anywhere.

use crate::share::Mood;
use crate::support::{asking, compensatable, naming, outline, pivot, retriable, saga, set, side_by_side};
use crate::world::{Seen, Step, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Arc;
use unanimo_protocol::{BranchIndex, BranchOutline, Mode, Outline};

proptest! {
    #![proptest_config(Config { cases: 6 * Config::default().cases, failure_persistence: None, ..Config::default() })]

    #[test]
    fn no_order_of_events_splits_a_transaction(plan in plans(), keyed: bool, steps in steps()) {
        live(plan, keyed, &steps);
    }
}

#[test]
fn the_world_reaches_what_it_is_meant_to_reach() {
    let seen = Cell::new(Seen::default());
    let config = Config { cases: 600, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner
        .run(&(plans(), any::<bool>(), steps()), |(plan, keyed, steps)| {
            let (sum, one) = (seen.get(), live(plan, keyed, &steps));
            seen.set(Seen {
                commits: sum.commits + one.commits,
                rollbacks: sum.rollbacks + one.rollbacks,
                crashes: sum.crashes + one.crashes,
                lost_verdicts: sum.lost_verdicts + one.lost_verdicts,
                waited: sum.waited + one.waited,
                spared: sum.spared + one.spared,
                tombstones: sum.tombstones + one.tombstones,
                presumed: sum.presumed + one.presumed,
                forgotten: sum.forgotten + one.forgotten,
            });
            Ok(())
        })
        .unwrap();
    let Seen { commits, rollbacks, crashes, lost_verdicts, waited, spared, tombstones, presumed, forgotten } =
        seen.get();
    let seen = [commits, rollbacks, crashes, lost_verdicts, waited, spared, tombstones, presumed, forgotten];
    assert!(seen.iter().all(|times| *times >= 5), "{seen:?}");
}

fn live(plan: Arc<Outline>, keyed: bool, steps: &[Step]) -> Seen {
    let mut world = World::new(plan, keyed);
    steps.iter().for_each(|step| world.step(*step));
    world.heal();
    world.check_the_end();
    world.seen
}

fn plans() -> impl Strategy<Value = Arc<Outline>> {
    let mode = prop_oneof![Just(Mode::TwoPhase), Just(Mode::Tcc)];
    let free = (mode.clone(), 1..=4usize).prop_map(|(mode, branches)| side_by_side(mode, branches));
    let ordered = mode.clone().prop_map(|mode| outline(mode, &[&[], &[0], &[0]]));
    let waves = mode.prop_map(|mode| naming(mode, &[&[], &[0], &[0]]));
    let asking = prop_oneof![Just(asking(&[&[], &[]])), Just(asking(&[&[], &[0], &[1]]))];
    prop_oneof![3 => free, 1 => ordered, 1 => waves, 2 => asking, 4 => sagas()]
}

/// Sagas of every kind of step. A service that keeps no marks has no place in a network that repeats calls.
fn sagas() -> impl Strategy<Value = Arc<Outline>> {
    let first = compensatable(&[]);
    let naming = |before: u8| BranchOutline { needs: set(&[BranchIndex(before)]), ..first };
    let late = BranchOutline { needs: set(&[BranchIndex(0)]), ..retriable(&[]) };
    let bounded = BranchOutline { attempts: NonZeroU32::new(2), ..first };
    let client = BranchOutline { needs_client: true, ..first };
    proptest::sample::select(vec![
        saga(&[first, first, first]),
        saga(&[first, compensatable(&[0]), compensatable(&[1])]),
        saga(&[first, naming(0), bounded]),
        saga(&[first, client, pivot(&[0, 1])]),
        saga(&[first, bounded, pivot(&[0, 1]), retriable(&[])]),
        saga(&[first, naming(0), pivot(&[1]), late, retriable(&[3])]),
        saga(&[pivot(&[]), retriable(&[])]),
    ])
}

/// Mostly willing, so that unanimity is no rare accident.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let mood = prop_oneof![
        12 => Just(Mood::Willing), 2 => Just(Mood::ReadOnly), 1 => Just(Mood::Unwilling), 1 => Just(Mood::Busy)
    ];
    let step = prop_oneof![
        8 => any::<usize>().prop_map(Step::Send),
        8 => (any::<usize>(), mood).prop_map(|(at, mood)| Step::Arrive(at, mood)),
        8 => any::<usize>().prop_map(Step::Hear),
        2 => any::<usize>().prop_map(Step::TimeOut),
        6 => Just(Step::Sync),
        1 => Just(Step::Deadline),
        1 => Just(Step::Promise),
        2 => any::<usize>().prop_map(Step::Ask),
        1 => (0..5u8, 0..8usize, 0..4u32, 0..5usize).prop_map(|(b, o, a, x)| Step::Nonsense(b, o, a, x)),
        1 => (0..3usize).prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 0..80)
}
