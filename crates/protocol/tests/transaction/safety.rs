//! S1 to S4 and L1 under any order of events: calls and answers lost, late and repeated, syncs late, crashes anywhere.

use crate::share::Mood;
use crate::support::{asking, naming, outline, side_by_side};
use crate::world::{Seen, Step, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cell::Cell;
use std::sync::Arc;
use unanimo_protocol::{Mode, Outline};

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
    prop_oneof![3 => free, 1 => ordered, 1 => waves, 2 => asking]
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
        1 => (0..5u8, 0..6usize, 0..4u32, 0..5usize).prop_map(|(b, o, a, x)| Step::Nonsense(b, o, a, x)),
        1 => (0..3usize).prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 0..80)
}
