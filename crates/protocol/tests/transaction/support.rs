//! What the tests share: outlines, a renderer of nothing, and a journal's word for every record.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use unanimo_protocol::{
    Begun, BranchIndex, BranchOutline, BranchSet, Cause, Concluded, Digest, Durability, Event, Id, Key, Mode,
    Operation, Outcome, Outline, Record, Render, Settled, Step, Time, Token, Transaction, Verdict,
};

pub const ID: Id = Id::from_bits(0x5eed);
/// The modes in which every branch votes, and is told.
pub const BALLOTS: [Mode; 2] = [Mode::TwoPhase, Mode::Tcc];
pub const A: BranchIndex = BranchIndex(0);
pub const B: BranchIndex = BranchIndex(1);

/// Renders next to nothing: what it renders is opaque to the core.
pub struct Plain {
    pub keyed: bool,
    /// The branch whose answer is of no use to a later wave.
    pub unusable: Option<BranchIndex>,
}

impl Render for Plain {
    fn begun(&self, waves: u8, durability: Durability) -> Begun {
        let scope = Digest([1; 16]);
        Begun {
            token: Token(1),
            plan: Digest([0; 16]),
            key: self.keyed.then_some(Key { scope, fingerprint: scope }),
            deadline: Duration::from_secs(10),
            began_unix_ms: 0,
            waves,
            calls: Bytes::new(),
            durability,
        }
    }

    fn wave(&self, _: BranchSet) -> Result<Bytes, BranchIndex> {
        self.unusable.map_or(Ok(Bytes::new()), Err)
    }

    fn answer(&self, verdict: Verdict, cause: Option<Cause>) -> Bytes {
        Bytes::from(format!("{verdict} {cause:?}"))
    }

    fn kept(&self, _: BranchIndex) -> Bytes {
        Bytes::new()
    }

    fn compensations(&self, branches: BranchSet) -> Bytes {
        Bytes::from(format!("{branches:?}"))
    }
}

/// Branches of which each waits for those that its entry names.
pub fn outline(mode: Mode, after: &[&[u8]]) -> Arc<Outline> {
    let branch = |before: &&[u8]| BranchOutline { after: indices(before), ..BranchOutline::default() };
    made(mode, after.iter().map(branch).collect())
}

/// Branches of which each names the answers of those in its entry.
pub fn naming(mode: Mode, needs: &[&[u8]]) -> Arc<Outline> {
    let branch = |needs: &&[u8]| BranchOutline { needs: indices(needs), ..BranchOutline::default() };
    made(mode, needs.iter().map(branch).collect())
}

/// So many branches of two-phase, all asked side by side, of which each asks for the verdict itself.
pub fn asking(needs: &[&[u8]]) -> Arc<Outline> {
    let branch =
        |needs: &&[u8]| BranchOutline { needs: indices(needs), asks: true, ..BranchOutline::default() };
    made(Mode::TwoPhase, needs.iter().map(branch).collect())
}

/// A saga of these steps.
pub fn saga(steps: &[BranchOutline]) -> Arc<Outline> {
    made(Mode::Saga, steps.to_vec())
}

/// A step that can be compensated, and comes after these.
pub fn compensatable(after: &[u8]) -> BranchOutline {
    BranchOutline { after: indices(after), ..BranchOutline::default() }
}

/// The same at a service that keeps no marks.
pub fn unfenced(after: &[u8]) -> BranchOutline {
    BranchOutline { unfenced: true, ..compensatable(after) }
}

/// The point of no return.
pub fn pivot(after: &[u8]) -> BranchOutline {
    BranchOutline { step: Step::Pivot, ..compensatable(after) }
}

/// A step that acts after the verdict.
pub fn retriable(after: &[u8]) -> BranchOutline {
    BranchOutline { step: Step::Retriable, ..compensatable(after) }
}

fn made(mode: Mode, branches: Vec<BranchOutline>) -> Arc<Outline> {
    Arc::new(Outline::new(mode, Duration::from_secs(10), branches).unwrap())
}

fn indices(branches: &[u8]) -> BranchSet {
    branches.iter().copied().map(BranchIndex).collect()
}

/// So many branches, all asked side by side.
pub fn side_by_side(mode: Mode, branches: usize) -> Arc<Outline> {
    outline(mode, &vec![&[] as &[u8]; branches])
}

/// A core and a journal that syncs at once.
#[derive(Clone, Debug)]
pub struct Bench {
    pub core: Transaction,
    pub keyed: bool,
    /// The branch whose answer is of no use to a later wave.
    pub unusable: Option<BranchIndex>,
}

impl Bench {
    /// A transaction that has not begun.
    pub fn new(outline: Arc<Outline>, keyed: bool) -> Bench {
        Bench { core: Transaction::new(ID, outline, keyed, Time(0)), keyed, unusable: None }
    }

    /// A transaction that has begun.
    pub fn begun(outline: Arc<Outline>) -> Bench {
        let mut bench = Bench::new(outline, false);
        bench.tell(Event::Submitted);
        bench
    }

    /// A transaction of which replay has found the beginning, and perhaps more.
    pub fn replayed(outline: Arc<Outline>, keyed: bool, more: Vec<Record>) -> Bench {
        let mut bench = Bench { core: Transaction::replayed(ID, outline, keyed), keyed, unusable: None };
        bench.settle(vec![Record::Begun(bench.plain().begun(1, Durability::Forced))]);
        bench.settle(more);
        bench
    }

    pub fn decide(&self, event: Event) -> Vec<Record> {
        self.core.decide(&event, &self.plain())
    }

    fn plain(&self) -> Plain {
        Plain { keyed: self.keyed, unusable: self.unusable }
    }

    pub fn settle(&mut self, records: Vec<Record>) {
        records.into_iter().for_each(|record| self.core.apply(Settled::journaled(record)));
    }

    /// Tells an event and settles what follows, which it gives back.
    pub fn tell(&mut self, event: Event) -> Vec<Record> {
        let records = self.decide(event);
        self.settle(records.clone());
        records
    }

    /// Sends all that is due; gives back the calls.
    pub fn send_due(&mut self) -> Vec<(BranchIndex, Operation, u32)> {
        let due: Vec<_> = self.core.due().collect();
        for call in &due {
            let sent = self.tell(Event::Sending { branch: call.branch, operation: call.operation });
            assert_eq!(sent.len(), 1, "{call:?} is due and does not leave");
        }
        due.into_iter().map(|call| (call.branch, call.operation, call.attempt)).collect()
    }

    /// Answers the call that is under way.
    pub fn answer(&mut self, branch: BranchIndex, outcome: Outcome) -> Vec<Record> {
        let (operation, attempt) = self.in_flight(branch).unwrap();
        self.tell(Event::Answered { branch, operation, attempt, outcome })
    }

    /// Answers one call to each of these branches in the same way.
    pub fn answer_all(&mut self, branches: &[BranchIndex], outcome: Outcome) {
        for branch in branches {
            self.answer(*branch, outcome);
        }
    }

    /// The call that is under way to a branch.
    pub fn in_flight(&self, branch: BranchIndex) -> Option<(Operation, u32)> {
        let attempts = |operation| (1..=9).map(move |attempt| (operation, attempt));
        let mut calls = Operation::ALL.into_iter().flat_map(attempts);
        calls.find(|(operation, attempt)| self.core.awaits(branch, *operation, *attempt))
    }
}

/// The verdict among these records.
pub fn concluded(records: &[Record]) -> Option<&Concluded> {
    records.iter().find_map(|record| match record {
        Record::Concluded(concluded) => Some(concluded),
        _ => None,
    })
}

/// A set of branches.
pub fn set(branches: &[BranchIndex]) -> BranchSet {
    branches.iter().copied().collect()
}
