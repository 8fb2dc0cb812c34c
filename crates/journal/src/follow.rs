//! Reads what is durable while the journal is being written: batch by batch, through files of its own.
//!
//! It takes no lock and asks the committing thread for nothing but the watermark, so that nobody waits for it. What it
//! has not read yet waits in the segments: they are its queue, and stay until [`crate::Journal::release`].

use crate::codec::{Entry, take_entry};
use crate::disk::{Disk, File};
use crate::layout::{BATCH_HEADER, BatchHeader, FORMAT_VERSION, NotAHeader, SECTOR, SegmentHeader};
use crate::segments::{FIRST_BATCH, file_name};
use crate::{Error, Position, SegmentNumber, Watermark};
use std::io;
use std::path::PathBuf;
use unanimo_protocol::Id;

/// What can be read at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// The last batch that is durable.
    pub watermark: Watermark,
    /// The segment that was open then: no durable batch stands in a later one.
    pub newest: SegmentNumber,
    /// The first segment that is still there.
    pub oldest: SegmentNumber,
}

/// Where a batch stands, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its segment.
    pub segment: SegmentNumber,
    /// Its number.
    pub position: Position,
    /// When it was about to be written: milliseconds since 1970 on the wall clock, rounded up to tenths of a second after
    /// its segment was opened.
    pub unix_ms: u64,
}

/// A reader behind the committing thread.
pub struct Follower<D: Disk> {
    disk: D,
    directory: PathBuf,
    /// The segment to open when there is none, or when this one is read.
    next: SegmentNumber,
    reading: Option<Reading<D::File>>,
    buffer: Vec<u8>,
}

struct Reading<F> {
    file: F,
    header: SegmentHeader,
    /// The last batch that was read.
    last: Position,
    /// Where the next one stands.
    at: u64,
    /// Where the segment's batches end, once the next segment says so.
    until: Option<Position>,
}

impl<D: Disk> Follower<D> {
    /// A reader that begins with this segment. The disk is opened and not locked: somebody else owns it.
    pub fn new(disk: D, directory: PathBuf, from: SegmentNumber) -> Follower<D> {
        Follower { disk, directory, next: from, reading: None, buffer: Vec::new() }
    }

    /// Gives out the entries of the next durable batch; `None` where there is none yet. After an error the reader stands
    /// where it stood.
    pub fn read(
        &mut self,
        durable: Durable,
        mut each: impl FnMut(Followed, Id, Entry),
    ) -> Result<Option<Followed>, Error> {
        loop {
            let Some(reading) = &mut self.reading else {
                if self.next > durable.newest {
                    return Ok(None);
                }
                self.reading = Some(self.open(self.next)?);
                continue;
            };
            if reading.until.is_none() && reading.header.number < durable.newest {
                let next = SegmentNumber(reading.header.number.0 + 1);
                reading.until = Some(header(&self.disk, &self.directory, next)?.1.resumes_after);
            }
            let reading = self.reading.as_ref().map(|reading| (reading.until, reading.last));
            match reading {
                Some((Some(until), last)) if last >= until => self.reading = None,
                Some((_, last)) if durable.watermark.covers(Position(last.0 + 1)) => {
                    return self.batch(&mut each).map(Some);
                }
                _ => return Ok(None),
            }
        }
    }

    fn open(&mut self, number: SegmentNumber) -> Result<Reading<D::File>, Error> {
        let (file, header) = header(&self.disk, &self.directory, number)?;
        self.next = SegmentNumber(number.0 + 1);
        Ok(Reading { file, last: header.resumes_after, header, at: FIRST_BATCH, until: None })
    }

    fn batch(&mut self, each: &mut impl FnMut(Followed, Id, Entry)) -> Result<Followed, Error> {
        let Some(reading) = &mut self.reading else { return Err(Error::NotReplayed) };
        let path = || self.directory.join(file_name(reading.header.number));
        let unread = |source| Error::Io { doing: "read", path: path(), source };
        let damaged = |why: &str| Error::Damaged { path: path(), offset: reading.at, why: why.to_owned() };
        self.buffer.resize(BATCH_HEADER, 0);
        reading.file.read_at(reading.at, &mut self.buffer).map_err(unread)?;
        let len = BATCH_HEADER + BatchHeader::payload_len(&self.buffer);
        if reading.at + len as u64 > reading.header.size {
            return Err(damaged("a durable batch is not readable"));
        }
        self.buffer.resize(len, 0);
        let rest = reading.at + BATCH_HEADER as u64;
        reading.file.read_at(rest, &mut self.buffer[BATCH_HEADER..]).map_err(unread)?;
        let expected = Position(reading.last.0 + 1);
        let batch = BatchHeader::open(&self.buffer, reading.header.salt)
            .filter(|(batch, _)| batch.number == expected && batch.epoch == reading.header.epoch);
        let (batch, payload) = batch.ok_or_else(|| damaged("a durable batch is not readable"))?;
        let mut entries = Vec::new();
        let mut at = 0;
        while at < payload.len() {
            let offset = rest + at as u64;
            let (id, entry, next) = take_entry(payload, at, reading.header.version)
                .map_err(|why| Error::UnknownEntry { path: path(), offset, why })?;
            entries.push((id, entry));
            at = next;
        }
        let unix_ms = reading.header.created_unix * 1000 + u64::from(batch.tenths) * 100;
        let followed = Followed { segment: reading.header.number, position: expected, unix_ms };
        entries.into_iter().for_each(|(id, entry)| each(followed, id, entry));
        reading.at += len as u64;
        reading.last = expected;
        Ok(followed)
    }
}

/// Opens a segment and reads what its first sector says.
fn header<D: Disk>(
    disk: &D,
    directory: &std::path::Path,
    number: SegmentNumber,
) -> Result<(D::File, SegmentHeader), Error> {
    let path = directory.join(file_name(number));
    let mut sector = [0; SECTOR];
    let opened = disk.open(&file_name(number)).and_then(|file| Ok((file.read_at(0, &mut sector)?, file)));
    let (read, file): (usize, D::File) =
        opened.map_err(|source: io::Error| Error::Io { doing: "read", path: path.clone(), source })?;
    match SegmentHeader::decode(&sector[..read]) {
        Ok(header) => Ok((file, header)),
        Err(NotAHeader::Version(found)) => Err(Error::UnknownVersion { path, found, known: FORMAT_VERSION }),
        Err(NotAHeader::Damaged) => {
            Err(Error::Damaged { path, offset: 0, why: "its header is not readable".to_owned() })
        }
    }
}
