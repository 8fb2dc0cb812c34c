//! What the core knows of a plan: mode, deadline, the order of branches, and the waves in which calls are rendered.

use crate::planted::{Mistake, planted};
use crate::waves::{self, Waves};
use crate::{BranchIndex, BranchSet, Mode};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// What the core knows of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    mode: Mode,
    deadline: Duration,
    branches: Vec<BranchOutline>,
    waves: Waves,
    /// For each branch those that wait for it, directly or by way of others.
    followers: Vec<BranchSet>,
}

/// What a branch of a saga is to it: whether it can be made good again. Elsewhere every branch can be undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// What it did can be compensated.
    #[default]
    Compensatable,
    /// The point of no return: once it may have acted nothing is compensated any more, unless it refuses.
    Pivot,
    /// It acts after the verdict, may not refuse, and is asked until it has acted.
    Retriable,
}

impl Step {
    /// Every step.
    pub const ALL: [Step; 3] = [Step::Compensatable, Step::Pivot, Step::Retriable];

    /// The word that configuration and plans use.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Compensatable => "compensatable",
            Step::Pivot => "pivot",
            Step::Retriable => "retriable",
        }
    }
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
    /// What it is to a saga.
    pub step: Step,
    /// Whether its participant keeps no marks: in a saga it acts alone, and is never asked twice to do so.
    pub unfenced: bool,
    /// How often an action may be asked for until the saga gives it up; until the deadline where nothing is said.
    pub attempts: Option<NonZeroU32>,
    /// Whether its first call carries a credential that the client alone has: nobody can repeat it after a crash.
    pub needs_client: bool,
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
    /// Every step of the saga acts after its verdict, and nobody decides it.
    NobodyDecides,
    /// A second pivot.
    SecondPivot(BranchIndex),
    /// This compensatable branch waits for the pivot, or for a retriable one.
    PastPivot(BranchIndex),
    /// The pivot does not wait for this compensatable branch.
    BesidePivot(BranchIndex),
    /// The pivot's participant keeps no marks, so that it could neither be asked again nor compensated.
    UnfencedPivot(BranchIndex),
    /// This branch names the answer of a retriable one, which acts after the verdict.
    NamesRetriable(BranchIndex),
    /// This branch may have to act after a crash, and needs a credential that its client alone had.
    NeedsClient(BranchIndex),
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
            OutlineError::NobodyDecides => {
                f.write_str("every step of the saga is retriable, and none decides it")
            }
            OutlineError::SecondPivot(branch) => write!(f, "branch {branch} is a second pivot"),
            OutlineError::PastPivot(branch) => {
                write!(f, "branch {branch} can be compensated, and waits for one that cannot")
            }
            OutlineError::BesidePivot(branch) => write!(f, "the pivot does not wait for branch {branch}"),
            OutlineError::UnfencedPivot(branch) => {
                write!(f, "branch {branch} is the pivot, and its service keeps no fence")
            }
            OutlineError::NamesRetriable(branch) => {
                write!(f, "branch {branch} names the answer of a retriable one, which acts after the verdict")
            }
            OutlineError::NeedsClient(branch) => {
                write!(f, "branch {branch} needs the client's credential, which a crash forgets")
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
        let waves = match mode {
            Mode::TwoPhase | Mode::Tcc => waves::by_data(&branches)?,
            Mode::Saga => waves::of_saga(&branches)?,
        };
        let followers = waves::followers(&branches);
        Ok(Outline { mode, deadline, branches, waves, followers })
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
        &self.waves.waves
    }

    /// The branches whose calls are rendered once so many waves are.
    pub fn rendered(&self, waves: u8) -> BranchSet {
        self.waves().iter().take(waves.into()).copied().fold(BranchSet::EMPTY, BranchSet::union)
    }

    /// The branches that must have voted before the wave at this place can be rendered.
    pub fn gate(&self, wave: usize) -> BranchSet {
        self.waves.gates.get(wave).copied().unwrap_or_default()
    }

    /// The branches whose votes decide: all of them, but for a saga's retriable ones.
    pub fn voters(&self) -> BranchSet {
        self.waves.voters
    }

    /// The branches of a saga that act after its verdict.
    pub fn retriable(&self) -> BranchSet {
        BranchSet::first(self.branches.len()).without(self.voters())
    }

    /// The branches of a saga that can be compensated.
    pub fn compensatable(&self) -> BranchSet {
        self.pivot().map_or(self.voters(), |pivot| self.voters().without(BranchSet::EMPTY.with(pivot)))
    }

    /// The saga's point of no return, where it has one.
    pub fn pivot(&self) -> Option<BranchIndex> {
        self.waves.pivot.map(|(branch, _)| branch)
    }

    /// Whether the pivot may have acted once so many waves are rendered.
    pub fn is_past_return(&self, waves: u8) -> bool {
        self.waves.pivot.is_some_and(|(_, past)| waves >= past)
    }

    /// The branches that wait for this one, directly or by way of others: what they did is made good before.
    pub fn followers(&self, branch: BranchIndex) -> BranchSet {
        self.followers[branch.at()]
    }

    /// Whether a saga can go on after a crash before its pivot: every action can be asked for again.
    pub fn can_resume(&self) -> bool {
        let needs_client =
            |branch: &BranchOutline| branch.needs_client && !planted(Mistake::ResumesWithoutCredential);
        self.mode == Mode::Saga && !self.branches.iter().any(|branch| branch.unfenced || needs_client(branch))
    }

    /// Whether a beginning need not be written: whoever has prepared asks, and an unknown transaction means rollback.
    pub fn presumes_rollback(&self) -> bool {
        self.mode == Mode::TwoPhase && self.branches.iter().all(|branch| branch.asks)
    }
}

impl BranchOutline {
    /// The branches that must have voted before it is called.
    pub(crate) fn waits_for(&self) -> BranchSet {
        self.after.union(self.needs)
    }
}
