//! The fixed shapes on disk: segment header and batch header. Numbers stand lowest byte first.

use crate::{Position, SegmentNumber};
use unanimo_protocol::planted::{Mistake, planted};
use unanimo_protocol::{Epoch, Node};

/// The version of everything that is written. A later one is refused.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// The oldest version that is still read. Its entries have kinds 1 to 7, and its manifest knows of no copies.
pub(crate) const OLDEST_VERSION: u32 = 1;

/// What a disk writes as a whole or not at all. The first batch starts at the second sector.
pub(crate) const SECTOR: usize = 512;

/// Bytes of a batch before its payload.
pub(crate) const BATCH_HEADER: usize = 44;

const SEGMENT_MAGIC: [u8; 8] = *b"UNANIMOJ";
const SEGMENT_HEADER: usize = 64;
const BATCH_MAGIC: [u8; 4] = [0xb5, b'U', b'N', b'B'];
const CLOSING: u32 = 1;

/// From which bit of the flags on the time stands.
const TENTHS: u32 = 1;

/// Takes fixed fields from the front of bytes whose length was checked.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl Cursor<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.0 = rest;
                *taken
            }
            None => [0; N],
        }
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// What the first sector of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// By which its entries are read.
    pub(crate) version: u32,
    pub(crate) node: Node,
    pub(crate) number: SegmentNumber,
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) epoch: Epoch,
    /// Random: tells this segment's batches from anything that looks like one.
    pub(crate) salt: u64,
    /// The last batch before this segment: everything up to it was durable, anything beyond it was cut.
    pub(crate) resumes_after: Position,
    pub(crate) created_unix: u64,
}

/// Why the first sector is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAHeader {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SECTOR] {
        let mut out = Vec::with_capacity(SECTOR);
        out.extend_from_slice(&SEGMENT_MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&self.number.0.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.resumes_after.0.to_le_bytes());
        out.extend_from_slice(&self.created_unix.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        let mut sector = [0; SECTOR];
        sector[..SEGMENT_HEADER].copy_from_slice(&out);
        sector
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<SegmentHeader, NotAHeader> {
        let header = bytes.get(..SEGMENT_HEADER).ok_or(NotAHeader::Damaged)?;
        let mut fields = Cursor(header);
        if fields.take() != SEGMENT_MAGIC {
            return Err(NotAHeader::Damaged);
        }
        let version = take_version(&mut fields)?;
        check_sum(header)?;
        Ok(SegmentHeader {
            version,
            node: Node(fields.u32()),
            number: SegmentNumber(fields.u64()),
            size: fields.u64(),
            epoch: Epoch(fields.u32()),
            salt: fields.u64(),
            resumes_after: Position(fields.u64()),
            created_unix: fields.u64(),
        })
    }
}

/// Takes the version. It is judged before the sum: where that is wrong, it may be another version's shape, or damage to
/// the version itself, and either way nothing is read.
pub(crate) fn take_version(fields: &mut Cursor<'_>) -> Result<u32, NotAHeader> {
    match fields.u32() {
        known @ OLDEST_VERSION..=FORMAT_VERSION => Ok(known),
        unknown => Err(NotAHeader::Version(unknown)),
    }
}

/// Checks the sum in the last four bytes.
pub(crate) fn check_sum(header: &[u8]) -> Result<(), NotAHeader> {
    let (covered, sum) = header.split_at(header.len() - 4);
    if crc32c::crc32c(covered).to_le_bytes() != sum {
        return Err(NotAHeader::Damaged);
    }
    Ok(())
}

/// What stands before a batch's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) salt: u64,
    pub(crate) number: Position,
    /// The last batch known to be durable when this one was written.
    pub(crate) synced_up_to: Position,
    pub(crate) epoch: Epoch,
    /// Whether its writer closed the journal after it.
    pub(crate) closing: bool,
    /// When it was about to be written, on the wall clock: tenths of a second after its segment was opened, rounded up,
    /// of 31 bits. Shown to people, decides nothing.
    pub(crate) tenths: u32,
}

impl BatchHeader {
    /// The first bytes of each batch of a segment.
    pub(crate) fn mark(salt: u64) -> [u8; 12] {
        let salt = if planted(Mistake::NoSalt) { 0 } else { salt };
        let mut mark = [0; 12];
        mark[..4].copy_from_slice(&BATCH_MAGIC);
        mark[4..].copy_from_slice(&salt.to_le_bytes());
        mark
    }

    /// Fills the room that was left before the payload.
    pub(crate) fn seal(&self, batch: &mut [u8]) {
        let payload = (batch.len() - BATCH_HEADER) as u32; // Smaller than a segment.
        batch[..12].copy_from_slice(&BatchHeader::mark(self.salt));
        batch[16..24].copy_from_slice(&self.number.0.to_le_bytes());
        batch[24..32].copy_from_slice(&self.synced_up_to.0.to_le_bytes());
        batch[32..36].copy_from_slice(&self.epoch.0.to_le_bytes());
        batch[36..40].copy_from_slice(&(u32::from(self.closing) | self.tenths << TENTHS).to_le_bytes());
        batch[40..44].copy_from_slice(&payload.to_le_bytes());
        let sum = sum(batch);
        batch[12..16].copy_from_slice(&sum.to_le_bytes());
    }

    /// Bytes of the payload, if a batch starts at the front of `bytes`; anything otherwise.
    pub(crate) fn payload_len(bytes: &[u8]) -> usize {
        bytes.get(40..44).map_or(0, |len| Cursor(len).u32() as usize)
    }

    /// Reads the batch that starts at the front of `bytes`; `None` when none does.
    pub(crate) fn open(bytes: &[u8], salt: u64) -> Option<(BatchHeader, &[u8])> {
        let mut fields = Cursor(bytes.get(..BATCH_HEADER)?);
        if fields.take() != BatchHeader::mark(salt) {
            return None;
        }
        let expected = fields.u32();
        let (number, synced_up_to) = (Position(fields.u64()), Position(fields.u64()));
        let (epoch, flags, payload) = (Epoch(fields.u32()), fields.u32(), fields.u32());
        let batch = bytes.get(..BATCH_HEADER + payload as usize)?;
        if sum(batch) != expected {
            return None;
        }
        let header = BatchHeader {
            salt,
            number,
            synced_up_to,
            epoch,
            closing: flags & CLOSING != 0,
            tenths: flags >> TENTHS,
        };
        Some((header, &batch[BATCH_HEADER..]))
    }
}

/// Over the whole batch but the sum itself.
fn sum(batch: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&batch[..12]), &batch[16..])
}
