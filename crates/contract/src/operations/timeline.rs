//! What happened to a transaction, and when.

use super::Word;
use crate::{BranchIndex, Operation, Outcome, Verdict};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use unanimo_protocol::{Cause, Resolution};

/// What a moment is: a record, or that a transaction became stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MomentKind {
    /// It exists.
    Begun,
    /// The calls of its next wave are rendered.
    Wave,
    /// A call left.
    Sent,
    /// A call was answered.
    Answered,
    /// It was decided.
    Verdict,
    /// A branch acknowledged the verdict.
    Told,
    /// A branch ended against the verdict.
    Heuristic,
    /// It counts as stuck from now on. No record: after a crash it is counted anew.
    Stuck,
    /// A person ended some of it by hand.
    Resolved,
    /// Every branch has acknowledged the verdict.
    Ended,
}

impl MomentKind {
    /// Every kind.
    pub const ALL: [MomentKind; 10] = [
        MomentKind::Begun,
        MomentKind::Wave,
        MomentKind::Sent,
        MomentKind::Answered,
        MomentKind::Verdict,
        MomentKind::Told,
        MomentKind::Heuristic,
        MomentKind::Stuck,
        MomentKind::Resolved,
        MomentKind::Ended,
    ];

    /// The word that APIs use.
    pub fn as_str(self) -> &'static str {
        match self {
            MomentKind::Begun => "begun",
            MomentKind::Wave => "wave",
            MomentKind::Sent => "sent",
            MomentKind::Answered => "answered",
            MomentKind::Verdict => "verdict",
            MomentKind::Told => "told",
            MomentKind::Heuristic => "heuristic",
            MomentKind::Stuck => "stuck",
            MomentKind::Resolved => "resolved",
            MomentKind::Ended => "ended",
        }
    }

    /// The kind of a word; `None` where there is no such kind.
    pub fn parse(word: &str) -> Option<MomentKind> {
        MomentKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One thing that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In milliseconds since 1970 on the wall clock; `None` where a crash has forgotten it.
    pub at_unix_ms: Option<u64>,
    /// What.
    pub kind: MomentKind,
    /// Of which branch, where it is of one.
    pub branch: Option<BranchIndex>,
    /// What was asked, where a call was sent or answered.
    pub operation: Option<Operation>,
    /// The attempt's number, where a call was sent.
    pub attempt: Option<u32>,
    /// What the answer meant, where a call was answered.
    pub outcome: Option<Outcome>,
    /// The answer's HTTP status, where there was one.
    pub status: Option<u16>,
    /// What was decided, where it was.
    pub verdict: Option<Verdict>,
    /// Why it was rolled back, where it was.
    pub cause: Option<Cause>,
    /// What was ended by hand, where something was.
    pub resolution: Option<Resolution>,
    /// Who ended it, and why.
    pub word: Option<Arc<Word>>,
}

impl Moment {
    /// A moment of which nothing more is known than its kind.
    pub fn of(kind: MomentKind, at_unix_ms: Option<u64>) -> Moment {
        Moment {
            at_unix_ms,
            kind,
            branch: None,
            operation: None,
            attempt: None,
            outcome: None,
            status: None,
            verdict: None,
            cause: None,
            resolution: None,
            word: None,
        }
    }

    /// The moment as JSON, with only the members that say something. `name` gives a branch's name.
    pub fn to_json<'a>(&self, name: impl Fn(BranchIndex) -> Option<&'a str>) -> Value {
        let mut members = Map::new();
        members.insert("at_unix_ms".into(), json!(self.at_unix_ms));
        members.insert("kind".into(), json!(self.kind.as_str()));
        let fault = match self.cause {
            Some(Cause::Refused(branch) | Cause::Unusable(branch)) => Some(branch),
            _ => None,
        };
        let mut say = |member: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(member.into(), value);
            }
        };
        say("branch", self.branch.or(fault).and_then(&name).map(Value::from));
        say("operation", self.operation.map(|operation| operation.as_str().into()));
        say("attempt", self.attempt.map(Value::from));
        say("outcome", self.outcome.map(|outcome| outcome.as_str().into()));
        say("status", self.status.map(Value::from));
        say("verdict", self.verdict.map(|verdict| Verdict::number(Some(verdict)).into()));
        say("cause", self.cause.map(|cause| cause.as_str().into()));
        say("resolution", self.resolution.map(|resolution| resolution.as_str().into()));
        say("who", self.word.as_ref().map(|word| word.who.as_str().into()));
        say("why", self.word.as_ref().map(|word| word.why.as_str().into()));
        Value::Object(members)
    }
}

/// The moments of a transaction in their order, bounded: where there are too many, those in the middle are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    moments: Vec<Moment>,
    left_out: u32,
}

impl Timeline {
    /// At most so many moments are kept.
    pub const LIMIT: usize = 256;

    /// Of so many, the first are kept for ever.
    const HEAD: usize = Timeline::LIMIT / 2;

    /// A timeline with room for what a transaction of so many branches usually needs.
    pub fn with_room(branches: usize) -> Timeline {
        Timeline { moments: Vec::with_capacity(3 + 4 * branches), left_out: 0 }
    }

    /// Adds a moment at the end.
    pub fn push(&mut self, moment: Moment) {
        if self.moments.len() == Timeline::LIMIT {
            self.moments.remove(Timeline::HEAD);
            self.left_out = self.left_out.saturating_add(1);
        }
        self.moments.push(moment);
    }

    /// The moments that are kept.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// How many were left out, after the first [`Timeline::LIMIT`] / 2.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// A timeline that was kept elsewhere.
    pub fn from_parts(moments: Vec<Moment>, left_out: u32) -> Timeline {
        Timeline { moments, left_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_moments_the_first_and_the_last_are_kept() {
        let mut timeline = Timeline::default();
        for at in 0..1000 {
            timeline.push(Moment::of(MomentKind::Sent, Some(at)));
        }
        let at = |place: usize| timeline.moments()[place].at_unix_ms;
        assert_eq!((timeline.moments().len(), timeline.left_out()), (256, 744));
        assert_eq!((at(0), at(127), at(128), at(255)), (Some(0), Some(127), Some(872), Some(999)));
    }
}
