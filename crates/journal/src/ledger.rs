//! Which segments must stay: those in which a transaction began that has not ended.

use crate::SegmentNumber;
use crate::lookup::Beginnings;
use std::collections::VecDeque;
use unanimo_protocol::{Id, Record};

/// What a record means to its segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Begun(Id),
    Ended(Id),
}

impl Mark {
    /// The mark of a record, where it has one.
    pub(crate) fn of(transaction: Id, record: &Record) -> Option<Mark> {
        match record {
            Record::Begun(_) => Some(Mark::Begun(transaction)),
            Record::Ended => Some(Mark::Ended(transaction)),
            _ => None,
        }
    }
}

/// One segment, as far as it may be dropped.
#[derive(Debug)]
struct Kept {
    number: SegmentNumber,
    open: u64,
}

/// The segments that are there, and what is open in them. It knows of durable records only.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    segments: VecDeque<Kept>,
    open: Beginnings,
}

impl Ledger {
    /// A segment was opened after all others.
    pub(crate) fn opened(&mut self, number: SegmentNumber) {
        self.segments.push_back(Kept { number, open: 0 });
    }

    /// A durable record of this segment begins or ends a transaction.
    pub(crate) fn note(&mut self, segment: SegmentNumber, mark: Mark) {
        match mark {
            Mark::Begun(id) => {
                if self.open.insert(id, segment) {
                    self.count(segment, |open| open + 1);
                }
            }
            Mark::Ended(id) => {
                if let Some(began_in) = self.open.remove(id) {
                    self.count(began_in, |open| open.saturating_sub(1));
                }
            }
        }
    }

    fn count(&mut self, segment: SegmentNumber, change: impl FnOnce(u64) -> u64) {
        if let Some(kept) = self.segments.iter_mut().rfind(|kept| kept.number == segment) {
            kept.open = change(kept.open);
        }
    }

    /// Whether the transaction began here and has not ended.
    pub(crate) fn is_open(&self, transaction: Id) -> bool {
        self.open.contains(transaction)
    }

    /// How many transactions have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// The segment that becomes the oldest when the one before it is dropped; `None` while that must stay: something is
    /// open in it, or whoever keeps what has ended has not released it.
    pub(crate) fn droppable(&self, released: SegmentNumber) -> Option<SegmentNumber> {
        let (first, second) = (self.segments.front()?, self.segments.get(1)?);
        (first.open == 0 && second.number <= released).then_some(second.number)
    }

    /// The first segment that is there.
    pub(crate) fn oldest(&self) -> Option<SegmentNumber> {
        self.segments.front().map(|kept| kept.number)
    }

    /// Every segment before this one is gone.
    pub(crate) fn dropped(&mut self, oldest: SegmentNumber) {
        self.segments.retain(|kept| kept.number >= oldest);
    }
}
