//! What is handed to the journal, and what comes back: proof that facts may be applied.

use bytes::Bytes;
use std::fmt;
use unanimo_protocol::planted::{Mistake, planted};
use unanimo_protocol::{Digest, Durability, Epoch, Id, Record, Settled};

/// The number of a segment, from 1; its file is named after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNumber(pub u64);

impl SegmentNumber {
    /// The one after this.
    pub(crate) fn next(self) -> SegmentNumber {
        SegmentNumber(self.0 + 1)
    }
}

impl fmt::Display for SegmentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a batch, from 1; it goes on over segments and starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// The batch's number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The last batch that is durable. Only the journal makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watermark(pub(crate) Position);

impl Watermark {
    /// Whether this batch is durable.
    pub fn covers(self, position: Position) -> bool {
        position <= self.0
    }

    /// The last durable batch.
    pub fn position(self) -> Position {
        self.0
    }
}

/// The records of one decision about one transaction, in order.
#[derive(Clone, Debug)]
pub struct Append {
    /// Whose they are. A transaction's first record is its `Begun`.
    pub transaction: Id,
    /// The epoch that the caller believes it holds.
    pub epoch: Epoch,
    /// The plan, given with each `Begun` that names it; it is written once per segment.
    pub plan: Option<(Digest, Bytes)>,
    /// What was decided; volatile records are kept, not written.
    pub records: Vec<Record>,
}

/// The records of one decision, waiting to settle together and in order.
#[derive(Debug)]
#[must_use = "records that are never settled are never applied"]
pub struct Appended {
    pub(crate) records: Vec<Record>,
    pub(crate) position: Position,
    pub(crate) segment: SegmentNumber,
    pub(crate) forced: bool,
}

impl Appended {
    /// The batch that holds them.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The segment that holds them.
    pub fn segment(&self) -> SegmentNumber {
        self.segment
    }

    /// Whether one of them must be durable before any is applied.
    pub fn is_forced(&self) -> bool {
        self.forced
    }

    /// The records, to look at; to apply them, settle them.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Settles them if nothing among them is forced, or if their batch is durable; else gives them back.
    pub fn settle(self, synced: Watermark) -> Result<Vec<Settled>, Appended> {
        let waits = self.forced && !synced.covers(self.position);
        if waits && !planted(Mistake::SettlesBeforeSync) {
            return Err(self);
        }
        Ok(self.records.into_iter().map(Settled::journaled).collect())
    }
}

/// Whether a record is written at all.
pub(crate) fn is_written(record: &Record) -> bool {
    record.durability() != Durability::Volatile
}
