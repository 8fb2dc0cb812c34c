//! What a person may end by hand, and when that is refused. `docs/transaction-api.md` has the table for people.
//!
//! Nothing here changes a verdict: it is chosen where there is none and nobody else may choose, or it is taken note of
//! that a branch has come to it, or never will.

use crate::{BranchIndex, Verdict};
use bytes::Bytes;
use std::fmt;

/// What is ended by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// A branch has ended against the verdict; somebody has looked, and put right what had to be.
    SignOff(BranchIndex),
    /// A branch that does not acknowledge the verdict has been brought to it by other means: it is told no more.
    Told(BranchIndex),
    /// A quarantined transaction without a verdict gets one.
    Choose(Verdict),
    /// A quarantined transaction with a verdict may tell it.
    Release,
}

impl Resolution {
    /// The word that APIs and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Resolution::SignOff(_) => "sign-off",
            Resolution::Told(_) => "told",
            Resolution::Choose(verdict) => verdict.as_str(),
            Resolution::Release => "release",
        }
    }

    /// The branch, where it is about one.
    pub fn branch(self) -> Option<BranchIndex> {
        match self {
            Resolution::SignOff(branch) | Resolution::Told(branch) => Some(branch),
            Resolution::Choose(_) | Resolution::Release => None,
        }
    }
}

/// A person has ended something by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What.
    pub what: Resolution,
    /// Who, when and why. Opaque here.
    pub word: Bytes,
}

/// Why something cannot be ended by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unresolvable {
    /// It has not begun, or has ended: nothing is left to end.
    NotOpen,
    /// Nothing of it is in the journal: its participants ask by themselves, and the next start forgets it.
    Unwritten,
    /// There is no such branch.
    NoBranch,
    /// The branch has not ended against the verdict, or that is signed off already.
    NotHeuristic,
    /// There is no verdict that the branch could have come to.
    NoVerdict,
    /// The branch is to hear nothing more.
    Heard,
    /// A verdict never changes.
    HasVerdict,
    /// It is not in quarantine: it goes on by itself.
    NotQuarantined,
    /// It cannot be committed: calls of a later wave were never rendered, so not every branch was asked.
    NotAsked,
}

impl fmt::Display for Unresolvable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unresolvable::NotOpen => "it has ended: nothing is left to be ended by hand",
            Unresolvable::Unwritten => {
                "nothing of it is written: its participants ask by themselves, and a restart forgets it"
            }
            Unresolvable::NoBranch => "it has no such branch",
            Unresolvable::NotHeuristic => {
                "the branch has not ended against the verdict, or that is signed off already"
            }
            Unresolvable::NoVerdict => "it has no verdict yet that the branch could have been brought to",
            Unresolvable::Heard => "the branch has nothing more to hear",
            Unresolvable::HasVerdict => "it has a verdict, and a verdict never changes",
            Unresolvable::NotQuarantined => "it is not in quarantine: it goes on by itself",
            Unresolvable::NotAsked => "not every branch was asked, so it cannot be committed; roll it back",
        })
    }
}

impl std::error::Error for Unresolvable {}
