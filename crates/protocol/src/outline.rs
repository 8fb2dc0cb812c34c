//! What the core knows of a plan: mode, deadline, the order of branches, and the waves in which calls are rendered.

use crate::{BranchIndex, BranchSet, Mode};
use std::fmt;
use std::time::Duration;

/// What the core knows of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    mode: Mode,
    deadline: Duration,
    branches: Vec<BranchOutline>,
    /// Invariant: no branch is in two waves, each is in one, and a wave needs answers of earlier waves alone.
    waves: Vec<BranchSet>,
}

/// What the core knows of one branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BranchOutline {
    /// The branches that must have voted yes before this one is first called. Order, without data.
    pub after: BranchSet,
    /// The branches whose answers its call names: it cannot be rendered before they have voted.
    pub needs: BranchSet,
    /// Whether its participant asks for the verdict of what it has prepared, so that nobody has to tell it.
    pub asks: bool,
}

/// Why a plan cannot be a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlineError {
    /// No branch at all.
    NoBranches,
    /// More than [`BranchSet::CAPACITY`].
    TooManyBranches(usize),
    /// The order or the call of this branch names a branch that isn't there.
    UnknownBranch(BranchIndex),
    /// This branch waits for itself, perhaps by way of others.
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
                write!(f, "branch {branch} waits for a branch that is not there")
            }
            OutlineError::Cycle(branch) => {
                write!(f, "branch {branch} waits for itself, perhaps by way of others")
            }
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
        let unknown = |branch: &BranchOutline| !branch.waits_for().is_subset(all);
        if let Some(at) = branches.iter().position(unknown) {
            return Err(OutlineError::UnknownBranch(BranchIndex(at as u8)));
        }
        let waves = waves(&branches)?;
        Ok(Outline { mode, deadline, branches, waves })
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

    /// The branches whose calls are rendered at one moment, wave by wave; the first is rendered at the beginning.
    pub fn waves(&self) -> &[BranchSet] {
        &self.waves
    }

    /// The branches whose calls are rendered once so many waves are.
    pub fn rendered(&self, waves: u8) -> BranchSet {
        self.waves.iter().take(waves.into()).copied().fold(BranchSet::EMPTY, BranchSet::union)
    }

    /// The branches whose answers the calls of a wave name.
    pub fn needs(&self, wave: BranchSet) -> BranchSet {
        wave.iter().map(|branch| self.branches[branch.at()].needs).fold(BranchSet::EMPTY, BranchSet::union)
    }

    /// Whether a beginning need not be written: whoever has prepared asks, and an unknown transaction means rollback.
    pub fn presumes_rollback(&self) -> bool {
        self.mode == Mode::TwoPhase && self.branches.iter().all(|branch| branch.asks)
    }
}

impl BranchOutline {
    fn waits_for(&self) -> BranchSet {
        self.after.union(self.needs)
    }
}

/// Sorts the branches into waves; refuses branches that wait for themselves.
///
/// A wave is rendered as one, when the last answer that any of its calls names is there. A branch that comes `after`
/// another is therefore at no earlier stage than that one: else a wave could wait for a branch that waits for the wave.
fn waves(branches: &[BranchOutline]) -> Result<Vec<BranchSet>, OutlineError> {
    let mut stages: Vec<Option<usize>> = vec![None; branches.len()];
    let mut waves = vec![BranchSet::EMPTY];
    for _ in branches {
        for (at, branch) in branches.iter().enumerate() {
            let of = |set: BranchSet| {
                set.iter().map(|other| stages[other.at()]).try_fold(0, |most, stage| Some(most.max(stage?)))
            };
            let data =
                if branch.needs.is_empty() { Some(0) } else { of(branch.needs).map(|stage| stage + 1) };
            let (None, Some(data), Some(order)) = (stages[at], data, of(branch.after)) else { continue };
            let stage = data.max(order);
            stages[at] = Some(stage);
            // Without data there is nothing to wait for: such a call is rendered at the beginning.
            let wave = if branch.needs.is_empty() { 0 } else { stage };
            if waves.len() <= wave {
                waves.resize(wave + 1, BranchSet::EMPTY);
            }
            waves[wave].insert(BranchIndex(at as u8));
        }
    }
    match stages.iter().position(Option::is_none) {
        Some(stuck) => Err(OutlineError::Cycle(BranchIndex(stuck as u8))),
        None => Ok(waves),
    }
}
