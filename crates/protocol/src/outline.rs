//! What the core knows of a plan: mode, deadline, and the order of branches.

use crate::{BranchIndex, BranchSet, Mode};
use std::fmt;
use std::time::Duration;

/// What the core knows of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    mode: Mode,
    deadline: Duration,
    branches: Vec<BranchOutline>,
}

/// What the core knows of one branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchOutline {
    /// The branches that must have voted yes before this one is first called. Order, without data.
    pub after: BranchSet,
}

/// Why a plan cannot be a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlineError {
    /// No branch at all.
    NoBranches,
    /// More than [`BranchSet::CAPACITY`].
    TooManyBranches(usize),
    /// `after` names a branch that isn't there.
    UnknownBranch(BranchIndex),
    /// `after` leads this branch back to itself.
    Cycle(BranchIndex),
}

impl fmt::Display for OutlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OutlineError::NoBranches => f.write_str("a transaction needs at least one branch"),
            OutlineError::TooManyBranches(n) => {
                write!(f, "a transaction has at most {} branches, this one has {n}", BranchSet::CAPACITY)
            }
            OutlineError::UnknownBranch(branch) => {
                write!(f, "`after` of branch {branch} names a branch that is not there")
            }
            OutlineError::Cycle(branch) => write!(f, "`after` leads branch {branch} back to itself"),
        }
    }
}

impl std::error::Error for OutlineError {}

impl Outline {
    /// Checks that every branch can be reached.
    pub fn new(
        mode: Mode,
        deadline: Duration,
        branches: Vec<BranchOutline>,
    ) -> Result<Outline, OutlineError> {
        if branches.is_empty() {
            return Err(OutlineError::NoBranches);
        }
        if branches.len() > BranchSet::CAPACITY {
            return Err(OutlineError::TooManyBranches(branches.len()));
        }
        let all = BranchSet::first(branches.len());
        if let Some(at) = branches.iter().position(|branch| !branch.after.is_subset(all)) {
            return Err(OutlineError::UnknownBranch(BranchIndex(at as u8)));
        }
        let mut reached = BranchSet::EMPTY;
        while reached != all {
            let next =
                all.iter().find(|b| !reached.contains(*b) && branches[b.at()].after.is_subset(reached));
            match next {
                Some(branch) => reached.insert(branch),
                None => {
                    let stuck = all.iter().find(|b| !reached.contains(*b)).unwrap_or(BranchIndex(0));
                    return Err(OutlineError::Cycle(stuck));
                }
            }
        }
        Ok(Outline { mode, deadline, branches })
    }

    /// The protocol.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// How long branches may take to vote.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The branches, in the plan's order.
    pub fn branches(&self) -> &[BranchOutline] {
        &self.branches
    }
}
