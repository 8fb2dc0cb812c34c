//! The book: every order, and everything that its client was ever told of it.

use super::meaning::{End, Told};
use super::order::Order;

/// What one client knows of one order.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was ordered.
    pub order: Order,
    /// What it was told, each time that it was told something final.
    pub told: Vec<Told>,
    /// The transaction that a 202 named: from then on it has to exist.
    pub accepted: Option<String>,
    /// How often it sent its question, and no answer came back.
    pub lost: u32,
    /// Answers that no client should hear.
    pub odd: Vec<String>,
    /// Whether the first final answer came before the gateway was killed.
    pub is_from_before: bool,
}

/// All orders, and the counts that are shown while they run.
#[derive(Debug, Default)]
pub struct Book {
    entries: Vec<Entry>,
    /// The counts.
    pub counts: Counts,
    has_crashed: bool,
}

/// How many orders are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Placed at all.
    pub driven: u64,
    /// Known to stand.
    pub committed: u64,
    /// Known to be refused.
    pub refused: u64,
    /// Known to have met the deadline.
    pub timed_out: u64,
    /// Known to be rolled back by recovery.
    pub interrupted: u64,
}

impl Counts {
    /// Those whose client does not know yet.
    pub fn under_way(&self) -> u64 {
        self.driven - self.committed - self.refused - self.timed_out - self.interrupted
    }
}

impl Book {
    /// Opens an entry for the next order; gives its place.
    pub fn open(&mut self) -> usize {
        let order = Order::number(self.entries.len() as u64);
        let entry = Entry {
            order,
            told: vec![],
            accepted: None,
            lost: 0,
            odd: vec![],
            is_from_before: !self.has_crashed,
        };
        self.entries.push(entry);
        self.counts.driven += 1;
        self.entries.len() - 1
    }

    /// All entries, in the order in which they were opened.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// A client was told the truth, be it once more.
    pub fn tell(&mut self, at: usize, told: Told) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        if entry.told.is_empty() {
            entry.is_from_before = !self.has_crashed;
            let count = match told.end {
                End::Committed => &mut self.counts.committed,
                End::Refused => &mut self.counts.refused,
                End::TimedOut => &mut self.counts.timed_out,
                End::Interrupted => &mut self.counts.interrupted,
            };
            *count += 1;
        }
        entry.told.push(told);
    }

    /// A client was told that its order stands as this transaction, and where to look.
    pub fn accept(&mut self, at: usize, transaction: String) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        match &entry.accepted {
            Some(first) if *first != transaction => {
                entry.odd.push(format!("202 named {first} first, and then {transaction}"));
            }
            _ => entry.accepted = Some(transaction),
        }
    }

    /// A client has lost an answer.
    pub fn lose(&mut self, at: usize) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.lost += 1;
        }
    }

    /// A client heard something that no client should hear.
    pub fn wonder(&mut self, at: usize, what: String) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.odd.push(what);
        }
    }

    /// From now on, answers come from a gateway that was killed in between.
    pub fn note_crash(&mut self) {
        self.has_crashed = true;
    }
}
