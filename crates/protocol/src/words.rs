//! The closed vocabularies: mode, operation, outcome, verdict.

use std::fmt;

/// The protocol that a transaction follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Prepare, then commit or roll back; presumed abort, read-only votes.
    TwoPhase,
    /// Try, then confirm or cancel: the participant's own business code holds the reservation.
    Tcc,
    /// Act, and compensate where it does not come to a good end: every step is final in itself.
    Saga,
}

impl Mode {
    /// Every mode, in the order of the lexicon.
    pub const ALL: [Mode; 3] = [Mode::TwoPhase, Mode::Tcc, Mode::Saga];

    /// The word that configuration, journal and APIs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::TwoPhase => "two-phase",
            Mode::Tcc => "tcc",
            Mode::Saga => "saga",
        }
    }

    /// The mode of a word; `None` when there is no such mode.
    pub fn parse(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }

    /// What a branch is asked first: its share of the work, held ready, or in a saga done.
    pub fn first(self) -> Operation {
        match self {
            Mode::TwoPhase => Operation::Prepare,
            Mode::Tcc => Operation::Try,
            Mode::Saga => Operation::Act,
        }
    }

    /// What tells a branch this verdict. Of a saga's commit nobody has to hear but who acts only then.
    pub fn telling(self, verdict: Verdict) -> Operation {
        match (self, verdict) {
            (Mode::TwoPhase, Verdict::Commit) => Operation::Commit,
            (Mode::TwoPhase, Verdict::Rollback) => Operation::Rollback,
            (Mode::Tcc, Verdict::Commit) => Operation::Confirm,
            (Mode::Tcc, Verdict::Rollback) => Operation::Cancel,
            (Mode::Saga, Verdict::Commit) => Operation::Act,
            (Mode::Saga, Verdict::Rollback) => Operation::Compensate,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a participant is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Two-phase: do the work, keep it undecided, and vote.
    Prepare,
    /// Two-phase: make the prepared work final.
    Commit,
    /// Two-phase: undo the prepared work.
    Rollback,
    /// Tcc: reserve.
    Try,
    /// Tcc: use the reservation.
    Confirm,
    /// Tcc: release the reservation.
    Cancel,
    /// Saga: do the work.
    Act,
    /// Saga: make the work good, also where nobody knows whether it was done.
    Compensate,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Operation; 8] = [
        Operation::Prepare,
        Operation::Commit,
        Operation::Rollback,
        Operation::Try,
        Operation::Confirm,
        Operation::Cancel,
        Operation::Act,
        Operation::Compensate,
    ];

    /// The word that paths, headers and the journal use.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Prepare => "prepare",
            Operation::Commit => "commit",
            Operation::Rollback => "rollback",
            Operation::Try => "try",
            Operation::Confirm => "confirm",
            Operation::Cancel => "cancel",
            Operation::Act => "act",
            Operation::Compensate => "compensate",
        }
    }

    /// The verdict that this operation tells; `None` for one that asks for a vote.
    pub fn tells(self) -> Option<Verdict> {
        match self {
            Operation::Prepare | Operation::Try | Operation::Act => None,
            Operation::Commit | Operation::Confirm => Some(Verdict::Commit),
            Operation::Rollback | Operation::Cancel | Operation::Compensate => Some(Verdict::Rollback),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a participant's answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was done, now or before. To a first operation: a vote for commit.
    Done,
    /// It was done and has nothing to commit or undo.
    ReadOnly,
    /// It will not be done. Before the verdict: a vote against. To commit or confirm: a heuristic end.
    Refused,
    /// It is under way; ask again.
    Ongoing,
    /// Nobody knows. Never a refusal.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 5] =
        [Outcome::Done, Outcome::ReadOnly, Outcome::Refused, Outcome::Ongoing, Outcome::Unknown];

    /// The word that headers and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::ReadOnly => "read-only",
            Outcome::Refused => "refused",
            Outcome::Ongoing => "ongoing",
            Outcome::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a transaction. It is set once, and never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Every branch takes effect.
    Commit,
    /// No branch takes effect.
    Rollback,
}

impl Verdict {
    /// The word that the journal and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Commit => "commit",
            Verdict::Rollback => "rollback",
        }
    }

    /// The verdict as every API and metric shows it: committed 1, rolled back 0, not yet known −1.
    pub fn number(verdict: Option<Verdict>) -> i8 {
        match verdict {
            Some(Verdict::Commit) => 1,
            Some(Verdict::Rollback) => 0,
            None => -1,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
