//! Known ways to get such a protocol wrong, one test each. What belongs to journals and participants is tested there.

use crate::support::{A, B, BALLOTS, Bench, concluded, outline, set, side_by_side};
use bytes::Bytes;
use std::time::Duration;
use unanimo_protocol::{
    BranchIndex, BranchOutline, BranchSet, Cause, Concluded, Durability, Event, Mode, Operation, Outcome,
    Outline, OutlineError, Progress, Record, Settled, State, Verdict,
};

fn asked(mode: Mode, branches: usize) -> Bench {
    let mut bench = Bench::begun(side_by_side(mode, branches));
    bench.send_due();
    bench
}

fn commit_of(tell: &[BranchIndex]) -> Record {
    Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell: set(tell),
        answer: Bytes::new(),
        calls: Bytes::new(),
        durability: Durability::Forced,
    })
}

#[test]
fn nothing_leaves_before_the_beginning_is_applied() {
    for mode in BALLOTS {
        let bench = Bench::new(side_by_side(mode, 2), false);
        assert_eq!(bench.decide(Event::Submitted).len(), 1);
        assert_eq!(bench.core.due().count(), 0);
        assert_eq!(bench.decide(Event::Sending { branch: A, operation: mode.first() }), []);
    }
}

#[test]
fn a_record_that_must_be_written_cannot_be_called_volatile() {
    let bench = Bench::new(side_by_side(Mode::TwoPhase, 1), false);
    let begun = bench.decide(Event::Submitted).remove(0);
    for record in
        [begun, commit_of(&[A]), Record::Told { branch: A }, Record::Heuristic { branch: A }, Record::Ended]
    {
        assert!(Settled::volatile(record).is_err());
    }
}

#[test]
#[should_panic(expected = "a verdict never changes")]
fn a_second_verdict_is_not_applied() {
    let mut bench = asked(Mode::TwoPhase, 1);
    bench.answer(A, Outcome::Done);
    bench.settle(vec![commit_of(&[A])]);
}

#[test]
#[should_panic(expected = "a commit needs every branch's vote")]
fn a_commit_without_every_vote_is_not_applied() {
    let mut bench = asked(Mode::TwoPhase, 2);
    bench.answer(A, Outcome::Done);
    bench.settle(vec![commit_of(&[A, B])]);
}

#[test]
#[should_panic(expected = "a commit is durable before anybody hears of it")]
fn a_commit_that_a_crash_could_forget_is_not_applied() {
    let mut bench = asked(Mode::TwoPhase, 1);
    let Record::Concluded(commit) = commit_of(&[A]) else { unreachable!() };
    bench.answer(A, Outcome::Unknown);
    bench.settle(vec![Record::Concluded(Concluded { durability: Durability::Lazy, ..commit })]);
}

#[test]
#[should_panic(expected = "ended without a verdict")]
fn an_end_without_a_verdict_is_not_applied() {
    asked(Mode::TwoPhase, 1).settle(vec![Record::Ended]);
}

/// Deciding twice after a timeout.
#[test]
fn a_late_vote_does_not_change_the_verdict_of_the_deadline() {
    for mode in BALLOTS {
        for late in Outcome::ALL {
            let mut bench = asked(mode, 2);
            bench.answer(A, Outcome::Done);
            bench.tell(Event::DeadlinePassed);
            let after = bench.answer(B, late);
            assert_eq!(after.len(), 1, "{after:?}");
            assert_eq!(after[0].durability(), Durability::Volatile);
            assert_eq!(
                (bench.core.verdict(), bench.core.cause()),
                (Some(Verdict::Rollback), Some(Cause::Deadline))
            );
            let undo = mode.telling(Verdict::Rollback);
            assert_eq!(bench.send_due(), [(A, undo, 1), (B, undo, 1)]);
        }
    }
}

#[test]
fn a_vote_that_the_verdict_has_overtaken_counts_for_nothing() {
    let mut bench = asked(Mode::TwoPhase, 2);
    bench.tell(Event::DeadlinePassed);
    bench.send_due();
    let vote =
        Event::Answered { branch: A, operation: Operation::Prepare, attempt: 1, outcome: Outcome::Refused };
    assert_eq!(bench.decide(vote), []);
    assert!(bench.core.awaits(A, Operation::Rollback, 1));
}

#[test]
fn the_deadline_is_no_event_after_the_verdict() {
    let mut bench = asked(Mode::TwoPhase, 1);
    assert!(bench.core.wake().is_some());
    bench.answer(A, Outcome::Done);
    assert_eq!(bench.core.wake(), None);
    assert_eq!(bench.tell(Event::DeadlinePassed), []);
    assert_eq!(bench.core.verdict(), Some(Verdict::Commit));
}

#[test]
fn an_answer_to_an_earlier_attempt_is_stale() {
    let mut bench = asked(Mode::TwoPhase, 2);
    bench.answer(A, Outcome::Unknown);
    bench.send_due();
    let first =
        Event::Answered { branch: A, operation: Operation::Prepare, attempt: 1, outcome: Outcome::Done };
    assert_eq!(bench.decide(first), []);
    assert_eq!(bench.core.progress(A), Some(Progress::Asked));
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut bench = asked(Mode::TwoPhase, 2);
    let yes =
        Event::Answered { branch: A, operation: Operation::Prepare, attempt: 1, outcome: Outcome::Done };
    let no =
        Event::Answered { branch: A, operation: Operation::Prepare, attempt: 1, outcome: Outcome::Refused };
    assert_eq!(bench.tell(yes).len(), 1);
    assert_eq!(bench.tell(yes), []);
    assert_eq!(bench.tell(no), []);
    assert_eq!(bench.core.progress(A), Some(Progress::Ready));
}

/// A timeout answered as a failure instead of as unknown.
#[test]
fn what_nobody_knows_is_asked_again_and_refuses_nothing() {
    for mode in BALLOTS {
        for outcome in [Outcome::Unknown, Outcome::Ongoing] {
            let mut bench = asked(mode, 1);
            for attempt in 2..=5 {
                assert_eq!(concluded(&bench.answer(A, outcome)), None);
                assert_eq!(bench.send_due(), [(A, mode.first(), attempt)]);
            }
            assert_eq!(concluded(&bench.answer(A, Outcome::Done)).unwrap().verdict, Verdict::Commit);
        }
    }
}

/// The compensation of an unknown step skipped: the first attempt may have been carried out.
#[test]
fn a_refusal_after_a_lost_attempt_is_undone() {
    for mode in BALLOTS {
        let mut bench = asked(mode, 2);
        bench.answer(A, Outcome::Unknown);
        bench.send_due();
        let verdict = bench.answer(A, Outcome::Refused);
        assert_eq!(concluded(&verdict).unwrap().tell, set(&[A, B]));
        assert!(bench.send_due().contains(&(A, mode.telling(Verdict::Rollback), 1)));
    }
}

#[test]
fn a_refusal_of_the_only_attempt_is_spared() {
    for mode in BALLOTS {
        let mut bench = asked(mode, 2);
        assert_eq!(concluded(&bench.answer(A, Outcome::Refused)).unwrap().tell, set(&[B]));
        assert_eq!(bench.core.progress(A), Some(Progress::Refused { spared: true }));
        assert_eq!(bench.send_due(), [(B, mode.telling(Verdict::Rollback), 1)]);
    }
}

#[test]
fn who_only_read_is_spared_in_two_phase_and_told_in_tcc() {
    for (mode, told) in [(Mode::TwoPhase, set(&[B])), (Mode::Tcc, set(&[A, B]))] {
        for last in [Outcome::Done, Outcome::Refused] {
            let mut bench = asked(mode, 3);
            bench.answer(A, Outcome::ReadOnly);
            bench.answer(B, Outcome::Done);
            let third = BranchIndex(2);
            let told = if last == Outcome::Done { told.iter().chain([third]).collect() } else { told };
            assert_eq!(concluded(&bench.answer(third, last)).unwrap().tell, told, "{mode} {last}");
        }
    }
}

#[test]
fn a_branch_that_waits_for_another_is_not_asked_before_its_vote_and_not_undone_if_never_asked() {
    for mode in BALLOTS {
        let mut bench = Bench::begun(outline(mode, &[&[], &[0]]));
        assert_eq!(bench.send_due(), [(A, mode.first(), 1)]);
        assert_eq!(bench.decide(Event::Sending { branch: B, operation: mode.first() }), []);
        bench.answer(A, Outcome::Unknown);
        assert_eq!(bench.send_due(), [(A, mode.first(), 2)]);
        let mut refused = bench.clone();
        assert_eq!(concluded(&refused.answer(A, Outcome::Refused)).unwrap().tell, set(&[A]));
        bench.answer(A, Outcome::ReadOnly);
        assert_eq!(bench.send_due(), [(B, mode.first(), 1)]);
    }
}

#[test]
fn where_nobody_is_to_be_told_the_verdict_is_the_end() {
    let mut read = asked(Mode::TwoPhase, 1);
    assert!(read.answer(A, Outcome::ReadOnly).contains(&Record::Ended));
    assert_eq!(read.core.state(), State::Committed);
    let mut refused = asked(Mode::Tcc, 1);
    assert!(refused.answer(A, Outcome::Refused).contains(&Record::Ended));
    assert_eq!(refused.core.state(), State::RolledBack);
    let mut never_asked = Bench::begun(side_by_side(Mode::Tcc, 2));
    assert!(never_asked.tell(Event::DeadlinePassed).contains(&Record::Ended));
    assert_eq!(never_asked.core.state(), State::RolledBack);
}

/// The end before all acknowledgements.
#[test]
fn the_end_waits_for_every_branch() {
    for outcome in [Outcome::Unknown, Outcome::Ongoing] {
        let mut bench = asked(Mode::TwoPhase, 2);
        bench.answer_all(&[A, B], Outcome::Done);
        bench.send_due();
        assert_eq!(bench.answer(A, Outcome::Done), [Record::Told { branch: A }]);
        assert_eq!(bench.answer(B, outcome)[0].durability(), Durability::Volatile);
        assert_eq!(bench.send_due(), [(B, Operation::Commit, 2)]);
        assert_eq!(bench.answer(B, Outcome::Done), [Record::Told { branch: B }, Record::Ended]);
        assert_eq!(bench.core.due().count(), 0);
    }
}

#[test]
fn an_undo_is_never_refused_it_is_told_again() {
    let mut bench = asked(Mode::Tcc, 1);
    bench.tell(Event::DeadlinePassed);
    bench.send_due();
    let refused = bench.answer(A, Outcome::Refused);
    assert_eq!(refused[0].durability(), Durability::Volatile);
    assert_eq!(bench.send_due(), [(A, Operation::Cancel, 2)]);
}

#[test]
fn a_heuristic_end_is_forced_is_told_no_more_and_stays_open_first_or_last() {
    for mode in BALLOTS {
        for last in [false, true] {
            let mut bench = asked(mode, 2);
            bench.answer_all(&[A, B], Outcome::Done);
            bench.send_due();
            let mut heuristic = Vec::new();
            for told in [last, !last] {
                if told {
                    assert_eq!(bench.answer(B, Outcome::Done), [Record::Told { branch: B }]);
                } else {
                    heuristic = bench.answer(A, Outcome::Refused);
                }
            }
            assert_eq!(heuristic, [Record::Heuristic { branch: A }]);
            assert_eq!(heuristic[0].durability(), Durability::Forced);
            assert_eq!((bench.core.heuristic(), bench.core.state()), (Some(A), State::Committing));
            assert_eq!((bench.core.due().count(), bench.core.untold().count()), (0, 0));
        }
    }
}

/// Unilateral abort while prepared; a participant list that is not durable.
#[test]
fn a_commit_found_by_replay_is_told_on_to_those_it_names() {
    let mut bench = Bench::replayed(
        side_by_side(Mode::TwoPhase, 3),
        false,
        vec![commit_of(&[A, B]), Record::Told { branch: A }],
    );
    assert_eq!(bench.tell(Event::Recovered), []);
    assert_eq!(bench.tell(Event::DeadlinePassed), []);
    assert_eq!(bench.send_due(), [(B, Operation::Commit, 2)]);
    assert_eq!(bench.answer(B, Outcome::Done), [Record::Told { branch: B }, Record::Ended]);
    assert_eq!(bench.core.state(), State::Committed);
}

#[test]
fn a_heuristic_end_found_by_replay_stays_open() {
    let commit = vec![commit_of(&[A]), Record::Heuristic { branch: A }];
    let mut bench = Bench::replayed(side_by_side(Mode::Tcc, 1), false, commit);
    assert_eq!(bench.tell(Event::Recovered), []);
    assert_eq!((bench.core.heuristic(), bench.core.due().count()), (Some(A), 0));
    assert!(!bench.core.is_finished());
}

#[test]
fn a_crash_before_the_verdict_rolls_back_everybody_who_may_have_been_asked() {
    for mode in BALLOTS {
        for keyed in [false, true] {
            let mut bench = Bench::replayed(side_by_side(mode, 2), keyed, Vec::new());
            let records = bench.tell(Event::Recovered);
            let verdict = concluded(&records).unwrap();
            assert_eq!((verdict.verdict, verdict.cause), (Verdict::Rollback, Some(Cause::Interrupted)));
            assert_eq!(verdict.tell, set(&[A, B]));
            let forced = verdict.durability == Durability::Forced;
            assert_eq!(forced, keyed, "the answer to a key must outlive the next crash too");
            assert_eq!(bench.tell(Event::Recovered), []);
        }
    }
}

/// After a replay nothing counts as a first attempt, and attempts count on from there.
#[test]
fn attempts_are_counted_on_after_a_replay() {
    for mode in BALLOTS {
        let mut bench = Bench::replayed(side_by_side(mode, 2), false, Vec::new());
        bench.tell(Event::Recovered);
        let undo = mode.telling(Verdict::Rollback);
        assert_eq!(bench.send_due(), [(A, undo, 2), (B, undo, 2)]);
        bench.answer(A, Outcome::Unknown);
        assert_eq!(bench.send_due(), [(A, undo, 3)]);
    }
}

#[test]
fn a_refusal_after_a_replay_spares_nobody() {
    let mut bench = Bench::replayed(side_by_side(Mode::TwoPhase, 1), false, Vec::new());
    assert_eq!(bench.send_due(), [(A, Operation::Prepare, 2)]);
    assert_eq!(concluded(&bench.answer(A, Outcome::Refused)).unwrap().tell, set(&[A]));
}

#[test]
fn a_second_submission_begins_nothing() {
    let mut bench = asked(Mode::TwoPhase, 1);
    assert_eq!(bench.tell(Event::Submitted), []);
}

#[test]
fn an_outline_that_could_never_commit_is_refused() {
    let after = |branches: &[&[u8]]| {
        let branch = |before: &&[u8]| BranchOutline {
            after: before.iter().copied().map(BranchIndex).collect(),
            ..BranchOutline::default()
        };
        Outline::new(Mode::Tcc, Duration::from_secs(1), branches.iter().map(branch).collect()).map(|_| ())
    };
    assert_eq!(after(&[]), Err(OutlineError::NoBranches));
    assert_eq!(after(&[&[0]]), Err(OutlineError::Cycle(A)));
    assert_eq!(after(&[&[], &[2], &[1]]), Err(OutlineError::Cycle(B)));
    assert_eq!(after(&[&[], &[2]]), Err(OutlineError::UnknownBranch(B)));
    assert_eq!(after(&vec![&[] as &[u8]; 33]), Err(OutlineError::TooManyBranches(33)));
    assert_eq!(after(&vec![&[] as &[u8]; BranchSet::CAPACITY]), Ok(()));
    assert_eq!(after(&[&[1], &[]]), Ok(()));
}
