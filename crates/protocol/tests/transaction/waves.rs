//! Calls that name the answers of others: what is rendered when, and what an answer that is of no use leads to.

use crate::support::{A, B, Bench, asking, concluded, naming, set};
use bytes::Bytes;
use std::time::Duration;
use unanimo_protocol::{
    BranchIndex, BranchOutline, BranchSet, Cause, Durability, Event, Mode, Operation, Outcome, Outline,
    OutlineError, Record, Verdict, Wave,
};

const C: BranchIndex = BranchIndex(2);
const D: BranchIndex = BranchIndex(3);

#[test]
fn a_call_is_rendered_when_the_last_answer_that_its_wave_names_is_there() {
    let mut bench = Bench::begun(naming(Mode::Tcc, &[&[], &[], &[0], &[1]]));
    assert_eq!(bench.send_due().len(), 2);
    assert_eq!(bench.answer(A, Outcome::Done).len(), 1, "branch 3 is in the wave too, and names branch 1");
    assert_eq!(bench.send_due(), []);
    let wave = Record::Wave(Wave { calls: Bytes::new(), durability: Durability::Forced });
    assert_eq!(bench.answer(B, Outcome::Done)[1..], [wave]);
    assert_eq!(bench.send_due(), [(C, Operation::Try, 1), (D, Operation::Try, 1)]);
}

#[test]
fn a_branch_that_was_never_rendered_is_told_nothing() {
    for answer in [Event::DeadlinePassed, Event::Recovered] {
        let mut bench = Bench::begun(naming(Mode::TwoPhase, &[&[], &[0]]));
        bench.send_due();
        assert_eq!(concluded(&bench.tell(answer)).unwrap().tell, set(&[A]));
    }
    let mut replayed = Bench::replayed(naming(Mode::TwoPhase, &[&[], &[0]]), false, Vec::new());
    assert_eq!(concluded(&replayed.tell(Event::Recovered)).unwrap().tell, set(&[A]));
}

#[test]
fn a_wave_that_was_written_is_undone_after_a_replay() {
    let wave = Record::Wave(Wave { calls: Bytes::new(), durability: Durability::Forced });
    let mut bench = Bench::replayed(naming(Mode::TwoPhase, &[&[], &[0]]), false, vec![wave]);
    assert_eq!(concluded(&bench.tell(Event::Recovered)).unwrap().tell, set(&[A, B]));
}

#[test]
fn an_answer_of_no_use_rolls_back_whoever_was_asked_and_not_spared() {
    for (vote, tell) in [(Outcome::Done, set(&[A, B])), (Outcome::ReadOnly, set(&[A]))] {
        let mut bench = Bench::begun(naming(Mode::TwoPhase, &[&[], &[], &[0, 1]]));
        bench.unusable = Some(B);
        bench.send_due();
        bench.answer(A, Outcome::Done);
        let records = bench.answer(B, vote);
        let end = concluded(&records).unwrap();
        assert_eq!((end.verdict, end.cause, end.tell), (Verdict::Rollback, Some(Cause::Unusable(B)), tell));
    }
}

#[test]
fn what_is_promised_late_holds_the_calls_of_every_wave_so_far() {
    let mut bench = Bench::new(asking(&[&[], &[0], &[1]]), false);
    bench.tell(Event::Submitted);
    bench.send_due();
    bench.answer(A, Outcome::Done);
    let records = bench.tell(Event::Promised);
    let [Record::Begun(begun)] = &records[..] else { panic!("{records:?}") };
    assert_eq!((begun.waves, begun.durability), (2, Durability::Forced));
    assert_eq!(bench.tell(Event::Promised), [], "it is written already");
    bench.send_due();
    let wave = Record::Wave(Wave { calls: Bytes::new(), durability: Durability::Forced });
    assert_eq!(bench.answer(B, Outcome::Done)[1..], [wave], "from then on every wave is written");
}

#[test]
fn order_never_makes_a_wave_wait_for_itself() {
    // Branch 3 names branch 1, which comes after branch 2, which names branch 0.
    let needs = |needs: &[u8]| BranchOutline { needs: of(needs), ..BranchOutline::default() };
    let second = BranchOutline { after: of(&[2]), ..BranchOutline::default() };
    let branches = vec![needs(&[]), second, needs(&[0]), needs(&[1])];
    let outline = Outline::new(Mode::Tcc, Duration::from_secs(1), branches).unwrap();
    assert_eq!(outline.waves(), [of(&[0, 1]), of(&[2]), of(&[3])]);
}

#[test]
fn answers_that_name_each_other_are_refused() {
    let cyclic = |needs: &[&[u8]]| {
        let branch = |needs: &&[u8]| BranchOutline { needs: of(needs), ..BranchOutline::default() };
        Outline::new(Mode::Tcc, Duration::from_secs(1), needs.iter().map(branch).collect()).map(|_| ())
    };
    assert_eq!(cyclic(&[&[1], &[0]]), Err(OutlineError::Cycle(A)));
    assert_eq!(cyclic(&[&[], &[1]]), Err(OutlineError::Cycle(B)));
    assert_eq!(cyclic(&[&[], &[9]]), Err(OutlineError::UnknownBranch(B)));
}

fn of(branches: &[u8]) -> BranchSet {
    branches.iter().copied().map(BranchIndex).collect()
}
