//! What each mode costs, counted: calls (request and answer) and forced records, with N branches of which R only read.

use crate::support::{BALLOTS, Bench, asking, naming, outline, side_by_side};
use std::sync::Arc;
use unanimo_protocol::{Durability, Event, Mode, Outcome, Outline, Record, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub calls: usize,
    pub forced: usize,
}

#[test]
fn two_phase_commits_with_2n_minus_r_calls_and_two_forced_records() {
    for (branches, read_only) in sizes() {
        let mut votes = vec![Outcome::ReadOnly; read_only];
        votes.resize(branches, Outcome::Done);
        let (state, cost) = run(side_by_side(Mode::TwoPhase, branches), false, &votes);
        assert_eq!(state, State::Committed);
        assert_eq!(cost, Cost { calls: 2 * branches - read_only, forced: 2 });
    }
}

#[test]
fn tcc_commits_with_2n_calls_and_two_forced_records_whoever_claims_to_have_only_read() {
    for (branches, read_only) in sizes() {
        let mut votes = vec![Outcome::ReadOnly; read_only];
        votes.resize(branches, Outcome::Done);
        let (state, cost) = run(side_by_side(Mode::Tcc, branches), false, &votes);
        assert_eq!(state, State::Committed);
        assert_eq!(cost, Cost { calls: 2 * branches, forced: 2 });
    }
}

#[test]
fn an_order_of_branches_costs_nothing() {
    for mode in BALLOTS {
        for branches in 1..=4 {
            for keyed in [false, true] {
                let (state, cost) = run(chain(mode, branches), keyed, &vec![Outcome::Done; branches]);
                assert_eq!((state, cost), (State::Committed, Cost { calls: 2 * branches, forced: 2 }));
            }
        }
    }
}

#[test]
fn each_wave_of_data_costs_one_forced_record_more() {
    let plans: [(&[&[u8]], usize); 4] = [
        (&[&[], &[0]], 2),
        (&[&[], &[0], &[1]], 3),
        // Two branches that each name another of the first wave are rendered together.
        (&[&[], &[], &[0], &[1]], 2),
        (&[&[], &[0], &[0], &[1, 2]], 3),
    ];
    for mode in BALLOTS {
        for (needs, waves) in plans {
            let branches = needs.len();
            let (state, cost) = run(naming(mode, needs), false, &vec![Outcome::Done; branches]);
            assert_eq!((state, cost), (State::Committed, Cost { calls: 2 * branches, forced: waves + 1 }));
            // The last one refuses: all waves were written, and no verdict.
            let votes = votes(branches, 0, branches - 1);
            let (state, cost) = run(naming(mode, needs), false, &votes);
            assert_eq!((state, cost), (State::RolledBack, Cost { calls: 2 * branches - 1, forced: waves }));
        }
    }
}

#[test]
fn where_everybody_asks_a_commit_is_forced_once_and_a_rollback_never() {
    let plans: [&[&[u8]]; 4] = [&[&[]], &[&[], &[]], &[&[], &[0]], &[&[], &[0], &[1]]];
    for needs in plans {
        let branches = needs.len();
        let (state, cost) = run(asking(needs), false, &vec![Outcome::Done; branches]);
        assert_eq!((state, cost), (State::Committed, Cost { calls: 2 * branches, forced: 1 }));
        let (state, cost) = run(asking(needs), false, &vec![Outcome::ReadOnly; branches]);
        assert_eq!((state, cost), (State::Committed, Cost { calls: branches, forced: 0 }));
        let (state, cost) = run(asking(needs), false, &votes(branches, 0, branches - 1));
        assert_eq!((state, cost), (State::RolledBack, Cost { calls: 2 * branches - 1, forced: 0 }));
    }
}

#[test]
fn where_everybody_asks_a_key_costs_what_it_costs_elsewhere() {
    let (state, cost) = run(asking(&[&[], &[]]), true, &[Outcome::Done; 2]);
    assert_eq!((state, cost), (State::Committed, Cost { calls: 4, forced: 2 }));
}

#[test]
fn a_refusal_at_any_place_costs_what_was_asked_and_what_was_not_spared() {
    for mode in BALLOTS {
        for (branches, read_only) in sizes() {
            for refuser in read_only..branches {
                // Those that only read have answered before the refusal comes.
                let votes = votes(branches, read_only, refuser);
                let spared = 1 + if mode == Mode::TwoPhase { read_only } else { 0 };
                let calls = branches + (branches - spared);
                check_rollback(side_by_side(mode, branches), &votes, calls);
            }
        }
    }
}

#[test]
fn a_refusal_in_an_order_costs_nothing_for_those_that_were_never_asked() {
    for mode in BALLOTS {
        for branches in 1..=4 {
            for refuser in 0..branches {
                let asked = refuser + 1;
                check_rollback(chain(mode, branches), &votes(branches, 0, refuser), asked + refuser);
            }
        }
    }
}

#[test]
fn silence_costs_an_undo_for_everybody_who_was_asked() {
    for mode in BALLOTS {
        for branches in 1..=4 {
            let silent = vec![Outcome::Unknown; branches];
            check_rollback(side_by_side(mode, branches), &silent, 2 * branches);
        }
    }
}

/// One forced record, the beginning, and one more with a key.
fn check_rollback(outline: Arc<Outline>, votes: &[Outcome], calls: usize) {
    for keyed in [false, true] {
        let (state, cost) = run(outline.clone(), keyed, votes);
        assert_eq!(state, State::RolledBack);
        assert_eq!(cost, Cost { calls, forced: 1 + usize::from(keyed) }, "{votes:?}");
    }
}

fn sizes() -> impl Iterator<Item = (usize, usize)> {
    (1..=4).flat_map(|branches| (0..=branches).map(move |read_only| (branches, read_only)))
}

/// Each branch waits for the one before it.
fn chain(mode: Mode, branches: usize) -> Arc<Outline> {
    let after: [&[u8]; 4] = [&[], &[0], &[1], &[2]];
    outline(mode, &after[..branches])
}

fn votes(branches: usize, read_only: usize, refuser: usize) -> Vec<Outcome> {
    let vote = |branch| match branch {
        _ if branch < read_only => Outcome::ReadOnly,
        _ if branch == refuser => Outcome::Refused,
        _ => Outcome::Done,
    };
    (0..branches).map(vote).collect()
}

/// From the beginning to the end: each branch is asked once and votes in its turn; who is told says that it is done.
pub fn run(outline: Arc<Outline>, keyed: bool, votes: &[Outcome]) -> (State, Cost) {
    let mut bench = Bench::new(outline, keyed);
    let mut forced = forced_among(&bench.tell(Event::Submitted));
    let mut calls = 0;
    while !bench.core.is_finished() {
        calls += bench.send_due().len();
        for branch in bench.core.indices() {
            let Some((operation, _)) = bench.in_flight(branch) else { continue };
            let vote = operation.tells().map_or(votes[branch.at()], |_| Outcome::Done);
            forced += forced_among(&bench.answer(branch, vote));
            if operation.tells().is_none() && bench.core.verdict().is_some() {
                break;
            }
        }
        if bench.core.verdict().is_none() && votes.contains(&Outcome::Unknown) {
            forced += forced_among(&bench.tell(Event::DeadlinePassed));
        }
    }
    (bench.core.state(), Cost { calls, forced })
}

fn forced_among(records: &[Record]) -> usize {
    records.iter().filter(|record| record.durability() == Durability::Forced).count()
}
