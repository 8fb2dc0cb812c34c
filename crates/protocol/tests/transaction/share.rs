//! A participant that keeps its duties, as the small world sees it.

use crate::world::Letter;
use unanimo_protocol::{Mode, Operation, Outcome, Step, Verdict};

/// What a participant says to a call that asks for its vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Willing,
    ReadOnly,
    Unwilling,
    Busy,
}

/// What really happened to one participant's share. It survives every crash: a participant votes only for what does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub prepared: bool,
    /// It has said that there is nothing to commit or undo. Were that forgotten, an attempt that was held up on its way
    /// could prepare something of which nobody would ever tell the verdict.
    pub read_only: bool,
    pub committed: bool,
    /// It has refused for good: a pivot does so once, or never.
    pub refused: bool,
    pub rolled_back: bool,
    /// What was answered to each call, since one call has one answer.
    pub answered: Vec<(Letter, Outcome)>,
}

impl Share {
    /// Duties: the same key has its effect once, an undo is remembered, and nothing is done after its undo.
    pub fn carry_out(&mut self, mode: Mode, step: Step, operation: Operation, mood: Mood) -> Outcome {
        match operation.tells() {
            Some(Verdict::Commit) => {
                assert!(self.prepared, "told to commit what was never prepared");
                self.committed = true;
                Outcome::Done
            }
            Some(Verdict::Rollback) => {
                assert_eq!(step, Step::Compensatable, "told to make good what cannot be");
                self.rolled_back = true;
                Outcome::Done
            }
            None if self.rolled_back || self.refused => Outcome::Refused,
            None if self.read_only => Outcome::ReadOnly,
            None if self.committed => Outcome::Done,
            None => match mood {
                Mood::Willing => {
                    self.prepared = true;
                    Outcome::Done
                }
                // Whoever has prepared work cannot call it read-only any more.
                Mood::ReadOnly if self.prepared => Outcome::Done,
                Mood::ReadOnly => {
                    // In tcc every try is told, whatever it says.
                    let votes_so = mode != Mode::Tcc;
                    (self.prepared, self.read_only) = (!votes_so, votes_so);
                    Outcome::ReadOnly
                }
                // Who acts after the verdict may not refuse.
                Mood::Unwilling if step == Step::Retriable => Outcome::Ongoing,
                Mood::Unwilling if step == Step::Pivot && self.prepared => Outcome::Done,
                Mood::Unwilling if step == Step::Pivot => {
                    self.refused = true;
                    Outcome::Refused
                }
                // It may refuse a repeated call though the first one was carried out.
                Mood::Unwilling => Outcome::Refused,
                Mood::Busy => Outcome::Ongoing,
            },
        }
    }

    pub fn voted_yes(&self) -> bool {
        let yes = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::ReadOnly);
        self.answered.iter().any(|(letter, outcome)| letter.operation.tells().is_none() && yes(outcome))
    }
}
