//! Which calls are rendered at one moment, and whose votes they wait for.

use crate::{BranchIndex, BranchOutline, BranchSet, OutlineError, Step};

/// The waves of an outline.
///
/// Invariant: no branch is in two waves, each is in one, and the gate of a wave holds branches of earlier waves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waves {
    /// The branches of each wave.
    pub(crate) waves: Vec<BranchSet>,
    /// For each wave the branches that must have voted before it can be rendered.
    pub(crate) gates: Vec<BranchSet>,
    /// The branches whose votes decide.
    pub(crate) voters: BranchSet,
    /// The pivot of a saga, and how many waves are rendered once it may have acted.
    pub(crate) pivot: Option<(BranchIndex, u8)>,
}

/// Sorts branches into waves by the answers that their calls name; refuses branches that wait for themselves.
///
/// A wave is rendered as one, when the last answer that any of its calls names is there. A branch that comes `after`
/// another is therefore at no earlier stage than that one: else a wave could wait for a branch that waits for the wave.
pub(crate) fn by_data(branches: &[BranchOutline]) -> Result<Waves, OutlineError> {
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
    if let Some(stuck) = stages.iter().position(Option::is_none) {
        return Err(OutlineError::Cycle(BranchIndex(stuck as u8)));
    }
    let gates = waves.iter().map(|wave| needs(branches, *wave)).collect();
    Ok(Waves { waves, gates, voters: BranchSet::first(branches.len()), pivot: None })
}

/// The waves of a saga: compensatable steps by data, each step of an unfenced service alone, then the pivot alone, then
/// the retriable steps whose calls name answers. Retriable ones that name none are rendered at the beginning.
///
/// A wave's record is what a crash leaves of the intent to take its steps, so that what is not in any wave was certainly
/// not done: hence the waves of their own where that makes a difference.
pub(crate) fn of_saga(branches: &[BranchOutline]) -> Result<Waves, OutlineError> {
    let of = |step: Step| with(branches, |branch| branch.step == step);
    let (compensatable, pivots, retriable) = (of(Step::Compensatable), of(Step::Pivot), of(Step::Retriable));
    check_saga(branches, compensatable, pivots, retriable)?;
    let unfenced = with(branches, |branch| branch.unfenced);
    let (mut waves, mut gates) = (Vec::new(), Vec::new());
    let mut placed = BranchSet::EMPTY;
    while placed != compensatable {
        let left = compensatable.without(placed);
        let wave = side_by_side(branches, left.without(unfenced), placed);
        if wave.is_empty() {
            let free = |branch: &BranchIndex| branches[branch.at()].waits_for().is_subset(placed);
            let alone = left.intersection(unfenced).iter().find(free);
            let Some(alone) = alone else {
                return Err(OutlineError::Cycle(left.iter().next().unwrap_or(BranchIndex(0))));
            };
            waves.push(BranchSet::EMPTY.with(alone));
            gates.push(placed);
            placed.insert(alone);
        } else {
            waves.push(wave);
            // What an unfenced step left behind is certain before anybody else acts.
            gates.push(needs(branches, wave).union(placed.intersection(unfenced)));
            placed = placed.union(wave);
        }
    }
    let mut pivot = None;
    if let Some(branch) = pivots.iter().next() {
        waves.push(pivots);
        gates.push(placed);
        placed = placed.union(pivots);
        pivot = Some((branch, waves.len() as u8));
    }
    let naming = retriable.iter().filter(|branch| !branches[branch.at()].needs.is_empty()).collect();
    waves[0] = waves[0].union(retriable.without(naming));
    if !naming.is_empty() {
        waves.push(naming);
        gates.push(placed);
    }
    check_order(branches, retriable)?;
    Ok(Waves { waves, gates, voters: placed, pivot })
}

/// The largest set of these branches that can be rendered now: they name only answers that are placed, and wait for
/// nobody but what is placed or among them.
fn side_by_side(branches: &[BranchOutline], of: BranchSet, placed: BranchSet) -> BranchSet {
    let mut wave: BranchSet =
        of.iter().filter(|branch| branches[branch.at()].needs.is_subset(placed)).collect();
    loop {
        let reach = placed.union(wave);
        let fits = |branch: &BranchIndex| branches[branch.at()].after.is_subset(reach);
        let fitting: BranchSet = wave.iter().filter(fits).collect();
        if fitting == wave {
            return without_circles(branches, wave, placed);
        }
        wave = fitting;
    }
}

/// The branches of a wave that can be called one day: those that wait for each other in a circle cannot.
fn without_circles(branches: &[BranchOutline], wave: BranchSet, placed: BranchSet) -> BranchSet {
    let mut called = placed;
    while let Some(next) =
        wave.without(called).iter().find(|branch| branches[branch.at()].after.is_subset(called))
    {
        called.insert(next);
    }
    called.without(placed)
}

/// What makes a saga of steps.
fn check_saga(
    branches: &[BranchOutline],
    compensatable: BranchSet,
    pivots: BranchSet,
    retriable: BranchSet,
) -> Result<(), OutlineError> {
    if compensatable.union(pivots).is_empty() {
        return Err(OutlineError::NobodyDecides);
    }
    if let Some(second) = pivots.iter().nth(1) {
        return Err(OutlineError::SecondPivot(second));
    }
    let followers = followers(branches);
    let follows =
        |set: BranchSet| set.iter().fold(BranchSet::EMPTY, |all, one| all.union(followers[one.at()]));
    if let Some(past) = follows(pivots.union(retriable)).intersection(compensatable).iter().next() {
        return Err(OutlineError::PastPivot(past));
    }
    if let Some(pivot) = pivots.iter().next() {
        if branches[pivot.at()].unfenced {
            return Err(OutlineError::UnfencedPivot(pivot));
        }
        if follows(retriable).contains(pivot) {
            return Err(OutlineError::PastPivot(pivot));
        }
        let beside = compensatable.iter().find(|branch| !followers[branch.at()].contains(pivot));
        if let Some(beside) = beside {
            return Err(OutlineError::BesidePivot(beside));
        }
    }
    let names = |branch: &BranchIndex| !branches[branch.at()].needs.intersection(retriable).is_empty();
    if let Some(naming) = BranchSet::first(branches.len()).iter().find(names) {
        return Err(OutlineError::NamesRetriable(naming));
    }
    let needs_client = |branch: &BranchIndex| branches[branch.at()].needs_client;
    match pivots.union(retriable).iter().find(needs_client) {
        Some(needing) => Err(OutlineError::NeedsClient(needing)),
        None => Ok(()),
    }
}

/// Whether every retriable step can act one day.
fn check_order(branches: &[BranchOutline], retriable: BranchSet) -> Result<(), OutlineError> {
    let before = BranchSet::first(branches.len()).without(retriable);
    let called = without_circles(branches, retriable, before);
    match retriable.without(called).iter().next() {
        Some(stuck) => Err(OutlineError::Cycle(stuck)),
        None => Ok(()),
    }
}

/// For each branch those that wait for it, directly or by way of others.
pub(crate) fn followers(branches: &[BranchOutline]) -> Vec<BranchSet> {
    let mut followers = vec![BranchSet::EMPTY; branches.len()];
    for _ in branches {
        for (at, branch) in branches.iter().enumerate() {
            let of_this = followers[at].with(BranchIndex(at as u8));
            for before in branch.waits_for().iter() {
                followers[before.at()] = followers[before.at()].union(of_this);
            }
        }
    }
    followers
}

/// The branches whose answers the calls of a wave name.
fn needs(branches: &[BranchOutline], wave: BranchSet) -> BranchSet {
    wave.iter().map(|branch| branches[branch.at()].needs).fold(BranchSet::EMPTY, BranchSet::union)
}

/// The branches of which this is true.
fn with(branches: &[BranchOutline], is: impl Fn(&BranchOutline) -> bool) -> BranchSet {
    let indices = (0..branches.len() as u8).map(BranchIndex);
    indices.filter(|branch| is(&branches[branch.at()])).collect()
}
