//! What the tests share: outlines, a renderer of nothing, and a journal's word for every record.

use bytes::Bytes;
use std::time::Duration;
use unanimo_protocol::{
    Begun, BranchIndex, BranchOutline, BranchSet, Cause, Concluded, Digest, Event, Id, Key, Mode, Operation,
    Outcome, Outline, Record, Render, Settled, Time, Token, Transaction, Verdict,
};

pub const ID: Id = Id::from_bits(0x5eed);
pub const A: BranchIndex = BranchIndex(0);
pub const B: BranchIndex = BranchIndex(1);

/// Renders next to nothing: what it renders is opaque to the core.
pub struct Plain {
    pub keyed: bool,
}

impl Render for Plain {
    fn begun(&self) -> Begun {
        let scope = Digest([1; 16]);
        Begun {
            token: Token(1),
            plan: Digest([0; 16]),
            key: self.keyed.then_some(Key { scope, fingerprint: scope }),
            deadline: Duration::from_secs(10),
            began_unix_ms: 0,
            calls: Bytes::new(),
        }
    }

    fn answer(&self, verdict: Verdict, cause: Option<Cause>) -> Bytes {
        Bytes::from(format!("{verdict} {cause:?}"))
    }
}

/// Branches of which each waits for those that its entry names.
pub fn outline(mode: Mode, after: &[&[u8]]) -> Outline {
    let branches =
        after.iter().map(|before| BranchOutline { after: before.iter().copied().map(BranchIndex).collect() });
    Outline::new(mode, Duration::from_secs(10), branches.collect()).unwrap()
}

/// So many branches, all asked side by side.
pub fn side_by_side(mode: Mode, branches: usize) -> Outline {
    outline(mode, &vec![&[] as &[u8]; branches])
}

/// A core and a journal that syncs at once.
#[derive(Clone, Debug)]
pub struct Bench {
    pub core: Transaction,
    pub keyed: bool,
}

impl Bench {
    /// A transaction that has not begun.
    pub fn new(outline: Outline, keyed: bool) -> Bench {
        Bench { core: Transaction::new(ID, outline, keyed, Time(0)), keyed }
    }

    /// A transaction that has begun.
    pub fn begun(outline: Outline) -> Bench {
        let mut bench = Bench::new(outline, false);
        bench.tell(Event::Submitted);
        bench
    }

    /// A transaction of which replay has found the beginning, and perhaps more.
    pub fn replayed(outline: Outline, keyed: bool, more: Vec<Record>) -> Bench {
        let mut bench = Bench { core: Transaction::replayed(ID, outline, keyed), keyed };
        bench.settle(vec![Record::Begun(Plain { keyed }.begun())]);
        bench.settle(more);
        bench
    }

    pub fn decide(&self, event: Event) -> Vec<Record> {
        self.core.decide(&event, &Plain { keyed: self.keyed })
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
