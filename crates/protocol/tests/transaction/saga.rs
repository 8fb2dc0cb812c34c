//! What a saga costs, counted, and what it owes to whom.

use crate::costs::{Cost, run};
use crate::support::{A, B, Bench, compensatable, concluded, pivot, retriable, saga, set, unfenced};
use std::num::NonZeroU32;
use std::sync::Arc;
use unanimo_protocol::{
    BranchIndex, BranchOutline, Cause, Event, Operation, Outcome, Outline, Record, State, Verdict,
};

const C: BranchIndex = BranchIndex(2);

/// Sagas, and their waves.
fn sagas() -> Vec<(Arc<Outline>, usize)> {
    let naming = |before: u8| BranchOutline { needs: set(&[BranchIndex(before)]), ..compensatable(&[]) };
    let late = BranchOutline { needs: set(&[A]), ..retriable(&[]) };
    vec![
        (saga(&[compensatable(&[])]), 1),
        (saga(&[compensatable(&[]), compensatable(&[]), compensatable(&[])]), 1),
        // An order costs nothing, data costs a wave.
        (saga(&[compensatable(&[]), compensatable(&[0])]), 1),
        (saga(&[compensatable(&[]), naming(0)]), 2),
        (saga(&[compensatable(&[]), naming(0), naming(1)]), 3),
        // So does the pivot, unless it stands alone.
        (saga(&[pivot(&[])]), 1),
        (saga(&[compensatable(&[]), pivot(&[0])]), 2),
        (saga(&[compensatable(&[]), compensatable(&[]), pivot(&[0, 1]), retriable(&[])]), 2),
        // Who acts after the verdict costs one where it names an answer.
        (saga(&[compensatable(&[]), retriable(&[])]), 1),
        (saga(&[compensatable(&[]), late]), 2),
        (saga(&[compensatable(&[]), pivot(&[0]), late]), 3),
        // A service without marks has a wave of its own.
        (saga(&[unfenced(&[])]), 1),
        (saga(&[compensatable(&[]), unfenced(&[])]), 2),
        (saga(&[unfenced(&[]), unfenced(&[]), compensatable(&[])]), 3),
    ]
}

#[test]
fn a_saga_commits_with_n_calls_and_a_forced_record_more_than_it_has_waves() {
    for (outline, waves) in sagas() {
        assert_eq!(outline.waves().len(), waves, "{outline:?}");
        for keyed in [false, true] {
            let branches = outline.branches().len();
            let (state, cost) = run(outline.clone(), keyed, &vec![Outcome::Done; branches]);
            assert_eq!((state, cost), (State::Committed, Cost { calls: branches, forced: waves + 1 }));
        }
    }
}

#[test]
fn a_refusal_costs_the_waves_that_were_reached_and_a_compensation_for_who_was_asked_and_not_spared() {
    // Outline, who refuses, then: calls that ask, calls that compensate, waves reached.
    let chain = saga(&[compensatable(&[]), compensatable(&[0]), compensatable(&[1])]);
    let beside = saga(&[compensatable(&[]), compensatable(&[]), compensatable(&[])]);
    let pivots = saga(&[compensatable(&[]), compensatable(&[]), pivot(&[0, 1]), retriable(&[])]);
    let plain = saga(&[compensatable(&[]), unfenced(&[]), unfenced(&[])]);
    let rows = [
        (&chain, A, 1, 0, 1),
        (&chain, B, 2, 1, 1),
        (&chain, C, 3, 2, 1),
        (&beside, A, 3, 2, 1),
        (&beside, C, 3, 2, 1),
        (&pivots, B, 2, 1, 1),
        (&pivots, C, 3, 2, 2),
        (&plain, A, 1, 0, 1),
        (&plain, B, 2, 1, 2),
        (&plain, C, 3, 2, 3),
    ];
    for (outline, refuser, asked, compensated, waves) in rows {
        let vote = |branch| if branch == refuser { Outcome::Refused } else { Outcome::Done };
        let votes: Vec<Outcome> =
            (0..outline.branches().len() as u8).map(|at| vote(BranchIndex(at))).collect();
        for keyed in [false, true] {
            let (state, cost) = run(outline.clone(), keyed, &votes);
            let expected = Cost { calls: asked + compensated, forced: waves + 1 };
            assert_eq!((state, cost), (State::RolledBack, expected), "{refuser} of {outline:?}");
        }
    }
}

#[test]
fn who_only_read_is_spared_its_compensation() {
    let outline = saga(&[compensatable(&[]), compensatable(&[0])]);
    let (state, cost) = run(outline, false, &[Outcome::ReadOnly, Outcome::Refused]);
    assert_eq!((state, cost), (State::RolledBack, Cost { calls: 2, forced: 2 }));
}

#[test]
fn silence_costs_a_compensation_for_everybody_who_was_asked() {
    for branches in 1..=4 {
        let outline = saga(&vec![compensatable(&[]); branches]);
        let (state, cost) = run(outline, false, &vec![Outcome::Unknown; branches]);
        assert_eq!((state, cost), (State::RolledBack, Cost { calls: 2 * branches, forced: 2 }));
    }
}

#[test]
fn what_came_last_is_made_good_first() {
    let mut bench = Bench::begun(saga(&[compensatable(&[]), compensatable(&[0]), compensatable(&[])]));
    bench.send_due();
    bench.answer(A, Outcome::Done);
    bench.send_due();
    bench.tell(Event::DeadlinePassed);
    let undo = |branch| (branch, Operation::Compensate, 1);
    assert_eq!(bench.send_due(), [undo(B), undo(C)]);
    bench.answer(C, Outcome::Done);
    assert_eq!(bench.send_due(), []);
    bench.answer(B, Outcome::Done);
    assert_eq!(bench.send_due(), [undo(A)]);
}

#[test]
fn once_the_pivot_may_have_acted_only_its_refusal_leads_back() {
    for outcome in [Outcome::Ongoing, Outcome::Unknown] {
        let mut bench = Bench::begun(saga(&[compensatable(&[]), pivot(&[0])]));
        bench.send_due();
        bench.answer(A, Outcome::Done);
        bench.send_due();
        for event in [Event::DeadlinePassed, Event::Recovered] {
            assert_eq!(bench.tell(event), []);
        }
        bench.answer(B, outcome);
        assert_eq!((bench.core.wake(), bench.tell(Event::DeadlinePassed)), (None, vec![]));
        assert_eq!(bench.send_due(), [(B, Operation::Act, 2)]);
        let back = bench.answer(B, Outcome::Refused);
        assert_eq!(concluded(&back).map(|end| (end.verdict, end.tell)), Some((Verdict::Rollback, set(&[A]))));
    }
}

#[test]
fn an_action_is_asked_for_as_often_as_it_may_be_and_then_compensated() {
    for most in 1..=3 {
        let bounded = BranchOutline { attempts: NonZeroU32::new(most), ..compensatable(&[]) };
        let mut bench = Bench::begun(saga(&[bounded, compensatable(&[])]));
        bench.send_due();
        for _ in 1..most {
            assert_eq!(concluded(&bench.answer(A, Outcome::Unknown)), None);
            bench.send_due();
        }
        let mut busy = bench.clone();
        assert_eq!(concluded(&busy.answer(A, Outcome::Ongoing)), None, "who is at work is waited for");
        let end = bench.answer(A, Outcome::Unknown);
        let end = concluded(&end).map(|end| (end.cause, end.tell));
        assert_eq!(end, Some((Some(Cause::Unanswered(A)), set(&[A, B]))));
    }
}

#[test]
fn after_a_crash_it_goes_on_where_every_action_can_be_asked_for_again() {
    let client = BranchOutline { needs_client: true, ..compensatable(&[]) };
    let rows = [(compensatable(&[]), true), (unfenced(&[]), false), (client, false)];
    for (second, goes_on) in rows {
        let mut bench = Bench::replayed(saga(&[compensatable(&[]), second]), false, Vec::new());
        let records = bench.tell(Event::Recovered);
        assert_eq!(records.is_empty(), goes_on, "{second:?}: {records:?}");
        let called = bench.send_due();
        let expected = if goes_on { Operation::Act } else { Operation::Compensate };
        assert!(called.iter().all(|(_, operation, attempt)| (*operation, *attempt) == (expected, 2)));
    }
}

#[test]
fn a_step_that_only_goes_forward_is_asked_until_it_has_acted() {
    let mut bench = Bench::begun(saga(&[compensatable(&[]), retriable(&[])]));
    assert_eq!(bench.send_due(), [(A, Operation::Act, 1)]);
    bench.answer(A, Outcome::Done);
    for attempt in 1..=4 {
        assert_eq!(bench.send_due(), [(B, Operation::Act, attempt)]);
        let said = [Outcome::Refused, Outcome::Unknown, Outcome::Ongoing, Outcome::Done];
        let records = bench.answer(B, said[attempt as usize - 1]);
        assert_eq!(records.contains(&Record::Ended), attempt == 4, "{records:?}");
    }
}
