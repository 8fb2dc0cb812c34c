//! A batch on its way to the disk.

use crate::layout::{BATCH_HEADER, BatchHeader};
use crate::ledger::Mark;
use crate::{Position, SegmentNumber};
use unanimo_protocol::Epoch;

/// Records that share one write and one sync.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) segment: SegmentNumber,
    pub(crate) number: Position,
    /// Where it stands in its segment.
    pub(crate) offset: u64,
    pub(crate) forced: u64,
    pub(crate) lazy: u64,
    /// Whether the journal is closed after it.
    pub(crate) closing: bool,
    /// Room for the header, then the entries.
    pub(crate) buffer: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
}

impl Batch {
    /// Where it ends in its segment.
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Bytes of its entries.
    pub(crate) fn payload_len(&self) -> usize {
        self.buffer.len() - BATCH_HEADER
    }

    /// Fills in the header. Only one batch is under way at a time, so all before it are durable.
    pub(crate) fn seal(&mut self, salt: u64, epoch: Epoch, tenths: u32) {
        let synced_up_to = Position(self.number.0 - 1);
        let (number, closing) = (self.number, self.closing);
        let header = BatchHeader { salt, number, synced_up_to, epoch, closing, tenths };
        header.seal(&mut self.buffer);
    }
}
