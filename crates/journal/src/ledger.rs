//! Which segments must stay: those in which a transaction began that has not ended.

use crate::lookup::Beginnings;
use crate::{Retention, SegmentNumber};
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
    size: u64,
    created_unix: u64,
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
    pub(crate) fn opened(&mut self, number: SegmentNumber, size: u64, created_unix: u64) {
        self.segments.push_back(Kept { number, size, created_unix, open: 0 });
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

    /// The segment that becomes the oldest when the one before it is dropped; `None` while that must stay.
    ///
    /// The second segment's birth is when the first one took its last record: from then on the first one ages.
    pub(crate) fn droppable(&self, retention: &Retention, unix_seconds: u64) -> Option<SegmentNumber> {
        let (first, second) = (self.segments.front()?, self.segments.get(1)?);
        let aged = unix_seconds.saturating_sub(second.created_unix) >= retention.time.as_secs();
        let size: u64 = self.segments.iter().map(|kept| kept.size).sum();
        (first.open == 0 && (aged || size > retention.size)).then_some(second.number)
    }

    /// Seconds until the first segment may be dropped for its age; `None` when age alone will not do it.
    pub(crate) fn ages_in(&self, retention: &Retention, unix_seconds: u64) -> Option<u64> {
        let (first, second) = (self.segments.front()?, self.segments.get(1)?);
        let at = second.created_unix.saturating_add(retention.time.as_secs());
        (first.open == 0).then(|| at.saturating_sub(unix_seconds))
    }

    /// Every segment before this one is gone.
    pub(crate) fn dropped(&mut self, oldest: SegmentNumber) {
        self.segments.retain(|kept| kept.number >= oldest);
    }
}
