//! Branches by number, and sets of them.

use std::fmt;

/// A branch's place in its plan, from 0; at most [`BranchSet::CAPACITY`] − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchIndex(pub u8);

impl BranchIndex {
    /// The place as an index into a list of branches.
    pub fn at(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for BranchIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A set of branches of one transaction.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchSet(u32);

impl BranchSet {
    /// How many branches a transaction may have.
    pub const CAPACITY: usize = 32;

    /// No branch.
    pub const EMPTY: BranchSet = BranchSet(0);

    /// The first `count` branches.
    pub fn first(count: usize) -> BranchSet {
        (0..count.min(BranchSet::CAPACITY)).map(|at| BranchIndex(at as u8)).collect()
    }

    /// The set as bits, branch 0 lowest: how the journal keeps it.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The set of these bits.
    pub fn from_bits(bits: u32) -> BranchSet {
        BranchSet(bits)
    }

    /// Whether the branch is in the set.
    pub fn contains(self, branch: BranchIndex) -> bool {
        branch.at() < BranchSet::CAPACITY && self.0 & (1 << branch.0) != 0
    }

    /// Adds a branch. One beyond the capacity is a mistake of the caller, which [`crate::Outline`] rules out.
    pub fn insert(&mut self, branch: BranchIndex) {
        assert!(
            branch.at() < BranchSet::CAPACITY,
            "a transaction has at most {} branches",
            BranchSet::CAPACITY
        );
        self.0 |= 1 << branch.0;
    }

    /// Whether no branch is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many branches are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether every branch of this set is also in the other.
    pub fn is_subset(self, other: BranchSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// The branches of either set.
    pub fn union(self, other: BranchSet) -> BranchSet {
        BranchSet(self.0 | other.0)
    }

    /// The branches of this set that are not in the other.
    pub fn without(self, other: BranchSet) -> BranchSet {
        BranchSet(self.0 & !other.0)
    }

    /// The branches of both sets.
    pub fn intersection(self, other: BranchSet) -> BranchSet {
        BranchSet(self.0 & other.0)
    }

    /// The set with one branch more.
    pub fn with(mut self, branch: BranchIndex) -> BranchSet {
        self.insert(branch);
        self
    }

    /// The branches, lowest first.
    pub fn iter(self) -> impl Iterator<Item = BranchIndex> + Clone {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let lowest = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (lowest < u32::BITS).then_some(BranchIndex(lowest as u8))
        })
    }
}

impl FromIterator<BranchIndex> for BranchSet {
    fn from_iter<I: IntoIterator<Item = BranchIndex>>(branches: I) -> BranchSet {
        let mut set = BranchSet::EMPTY;
        branches.into_iter().for_each(|branch| set.insert(branch));
        set
    }
}

impl fmt::Debug for BranchSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|branch| branch.0)).finish()
    }
}
