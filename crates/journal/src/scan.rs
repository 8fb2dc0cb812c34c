//! Reads back what segments hold, and refuses what they no longer do.

use crate::codec::{Entry, take_entry};
use crate::disk::{Disk, File};
use crate::layout::{BATCH_HEADER, BatchHeader, FORMAT_VERSION, NotAHeader, SECTOR, SegmentHeader};
use crate::ledger::{Ledger, Mark};
use crate::manifest::Manifest;
use crate::segments::file_name;
use crate::tail::{self, Tail};
use crate::{Error, Position, SegmentNumber};
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use unanimo_protocol::{Digest, Id, Record};

/// Files are read in pieces of at least so many bytes: a segment that was left early is mostly zeros. Tests read in
/// smaller ones, so that batches stand across them.
const PIECE: usize = if cfg!(test) { 600 } else { 1 << 20 };

/// One thing that came back, in the order in which it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Where it stands.
    pub segment: SegmentNumber,
    /// The batch that holds it.
    pub batch: Position,
    /// Where it starts in its segment, in bytes.
    pub offset: u64,
    /// Whose it is. A plan belongs to all; here it is the transaction that first named it in this segment.
    pub transaction: Id,
    /// What it is.
    pub entry: Entry,
}

/// What replay has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Batches read, empty ones included.
    pub batches: u64,
    /// Records given out.
    pub records: u64,
    /// Records left out: they belong to transactions that have ended and whose beginning was dropped.
    pub leftovers: u64,
    /// Transactions that have begun and not ended.
    pub open: usize,
    /// The last batch.
    pub last: Position,
    /// The last batch of which something else says that it was durable.
    pub durable: Position,
    /// What was cut.
    pub torn: Option<Torn>,
    /// Whether the last owner closed the journal.
    pub closed: bool,
}

/// A batch that was being written when the last owner ended. Nobody was told that it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The file.
    pub path: PathBuf,
    /// Where it starts, in bytes.
    pub offset: u64,
}

/// What replay leaves to the start.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) ledger: Ledger,
    pub(crate) report: Report,
    /// The last batch of the newest segment, and where it stands: the only one that may not be durable.
    pub(crate) last_batch: Option<(u64, Vec<u8>)>,
}

/// Who hears of what a pass comes by.
pub(crate) trait Visitor {
    /// An entry that replay gives out, or (`known` is false) one of a transaction that has ended and whose beginning was
    /// dropped.
    fn entry(&mut self, replayed: Replayed, known: bool);

    /// A segment that was read: its bytes up to where its last batch ends, and where that one starts.
    fn segment(
        &mut self,
        header: &SegmentHeader,
        bytes: &[u8],
        last: usize,
        batches: u64,
    ) -> Result<(), Error>;
}

/// Replay: what is known, and nothing else.
pub(crate) struct Replay<E>(pub(crate) E);

impl<E: FnMut(Replayed)> Visitor for Replay<E> {
    fn entry(&mut self, replayed: Replayed, known: bool) {
        if known {
            (self.0)(replayed);
        }
    }

    fn segment(&mut self, _: &SegmentHeader, _: &[u8], _: usize, _: u64) -> Result<(), Error> {
        Ok(())
    }
}

/// How often the newest segment is read again before it is called damaged: its owner may have been writing it.
const LOOKS: u32 = 3;

/// One pass over all segments.
pub(crate) struct Scan<'a, D, V> {
    disk: &'a D,
    directory: &'a Path,
    manifest: &'a Manifest,
    visitor: V,
    found: Found,
}

impl<'a, D: Disk, V: Visitor> Scan<'a, D, V> {
    pub(crate) fn new(
        disk: &'a D,
        directory: &'a Path,
        manifest: &'a Manifest,
        visitor: V,
    ) -> Scan<'a, D, V> {
        Scan { disk, directory, manifest, visitor, found: Found::default() }
    }

    pub(crate) fn run(mut self) -> Result<Found, Error> {
        let numbers = (self.manifest.oldest.0..=self.manifest.newest.0).map(SegmentNumber);
        let headers = numbers.map(|number| self.header(number)).collect::<Result<Vec<_>, _>>()?;
        self.found.report.last = headers.first().map_or(Position(0), |header| header.resumes_after);
        self.found.report.durable = self.manifest.durable.max(self.found.report.last);
        let mut bytes = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            let until = headers.get(at + 1).map(|next| next.resumes_after);
            self.found.ledger.opened(header.number);
            let before = self.found.report.batches;
            let last = self.segment(header, until, &mut bytes)?;
            let batches = self.found.report.batches - before;
            self.witness(until.unwrap_or_default());
            let read = bytes.get(..last.end).unwrap_or(&bytes);
            self.visitor.segment(header, read, last.start, batches)?;
            let batch = bytes.get(last.clone()).filter(|batch| !batch.is_empty());
            self.found.last_batch = batch.map(|batch| (last.start as u64, batch.to_vec()));
        }
        self.found.report.open = self.found.ledger.open();
        Ok(self.found)
    }

    fn header(&self, number: SegmentNumber) -> Result<SegmentHeader, Error> {
        let path = self.path(number);
        let mut sector = [0; SECTOR];
        let file = self.disk.open(&file_name(number));
        let read = file.and_then(|file| Ok((file.read_at(0, &mut sector)?, file.len()?)));
        let (read, len) = read.map_err(|source| self.unread(number, source))?;
        let damaged = |offset, why: String| Error::Damaged { path: path.clone(), offset, why };
        let header = SegmentHeader::decode(&sector[..read]).map_err(|why| match why {
            NotAHeader::Version(found) => {
                Error::UnknownVersion { path: path.clone(), found, known: FORMAT_VERSION }
            }
            NotAHeader::Damaged => damaged(0, "its header is not readable".to_owned()),
        })?;
        let (node, found) = (header.node, header.number);
        if len != header.size {
            let why = format!("it has {len} bytes instead of {}", header.size);
            return Err(damaged(len.min(header.size), why));
        }
        if header.epoch >= self.manifest.epoch {
            let why = "it is of a later start than the manifest, which must be an old copy".to_owned();
            return Err(damaged(0, why));
        }
        if found != number || (node != self.manifest.node && number > self.manifest.restored) {
            let why = format!("it is segment {found} of node {node}, and does not belong here");
            return Err(damaged(0, why));
        }
        Ok(header)
    }

    /// Reads the batches of one segment: up to `until`, where a later segment says so, else as far as they go. Says
    /// where the last one stands.
    fn segment(
        &mut self,
        header: &SegmentHeader,
        until: Option<Position>,
        bytes: &mut Vec<u8>,
    ) -> Result<Range<usize>, Error> {
        let number = header.number;
        let file = self.disk.open(&file_name(number)).map_err(|source| self.unread(number, source))?;
        let mut pages = Pages { file, size: header.size as usize, bytes };
        pages.bytes.clear();
        let mut plans = BTreeSet::new();
        let (mut last, mut looks) = (SECTOR..SECTOR, 0);
        pages.fill(SECTOR).map_err(|source| self.unread(number, source))?;
        while until != Some(self.found.report.last) {
            let (at, expected) = (last.end, Position(self.found.report.last.0 + 1));
            pages.fill_batch(at).map_err(|source| self.unread(number, source))?;
            let batch = BatchHeader::open(&pages.bytes[at..], header.salt)
                .filter(|(batch, _)| batch.number == expected && batch.epoch == header.epoch);
            let Some((batch, payload)) = batch else {
                pages.fill(pages.size).map_err(|source| self.unread(number, source))?;
                match self.end(pages.bytes, at, header, until) {
                    Err(Error::Damaged { .. }) if looks < LOOKS => {
                        looks += 1;
                        pages.bytes.clear();
                        continue;
                    }
                    ended => ended?,
                }
                break;
            };
            looks = 0;
            self.witness(batch.synced_up_to);
            let place =
                Place { segment: number, version: header.version, batch: expected, start: at + BATCH_HEADER };
            self.batch(payload, place, &mut plans)?;
            self.found.report.batches += 1;
            self.found.report.closed = batch.closing;
            self.found.report.last = expected;
            last = at..at + BATCH_HEADER + payload.len();
        }
        Ok(last)
    }

    /// The next batch should be at `at`, and is not readable.
    fn end(
        &mut self,
        bytes: &[u8],
        at: usize,
        header: &SegmentHeader,
        until: Option<Position>,
    ) -> Result<(), Error> {
        let (path, offset) = (self.path(header.number), at as u64);
        let expected = Position(self.found.report.last.0 + 1);
        let tail = match until {
            None => tail::judge(bytes, at, expected, header, self.manifest.durable),
            Some(until) => Tail::Damaged(format!(
                "batch {} is not readable, but the next segment was opened when batch {} was durable",
                expected.0, until.0
            )),
        };
        match tail {
            Tail::Clean => {}
            Tail::Torn => self.found.report.torn = Some(Torn { path, offset }),
            Tail::Damaged(why) => return Err(Error::Damaged { path, offset, why }),
        }
        Ok(())
    }

    fn batch(
        &mut self,
        payload: &[u8],
        Place { segment, version, batch, start }: Place,
        plans: &mut BTreeSet<Digest>,
    ) -> Result<(), Error> {
        let mut at = 0;
        while at < payload.len() {
            let offset = (start + at) as u64;
            let taken = take_entry(payload, at, version);
            let (transaction, entry, next) =
                taken.map_err(|why| Error::UnknownEntry { path: self.path(segment), offset, why })?;
            at = next;
            let mut known = true;
            match &entry {
                Entry::Plan { digest, .. } => {
                    plans.insert(*digest);
                }
                Entry::Record(settled) => {
                    if matches!(settled.record(), Record::Begun(begun) if !plans.contains(&begun.plan)) {
                        let why = format!("{transaction} names a plan that this segment does not hold");
                        return Err(Error::Damaged { path: self.path(segment), offset, why });
                    }
                    known = self.note(segment, transaction, settled.record());
                }
            }
            self.visitor.entry(Replayed { segment, batch, offset, transaction, entry }, known);
        }
        Ok(())
    }

    /// Something says that this batch was durable.
    fn witness(&mut self, durable: Position) {
        self.found.report.durable = self.found.report.durable.max(durable);
    }

    /// Counts a record; `false` for one whose transaction has ended and began in a segment that was dropped.
    fn note(&mut self, segment: SegmentNumber, transaction: Id, record: &Record) -> bool {
        let mark = Mark::of(transaction, record);
        let known = matches!(mark, Some(Mark::Begun(_))) || self.found.ledger.is_open(transaction);
        mark.into_iter().for_each(|mark| self.found.ledger.note(segment, mark));
        self.found.report.records += u64::from(known);
        self.found.report.leftovers += u64::from(!known);
        known
    }

    fn path(&self, number: SegmentNumber) -> PathBuf {
        self.directory.join(file_name(number))
    }

    fn unread(&self, number: SegmentNumber, source: io::Error) -> Error {
        Error::Io { doing: "read", path: self.path(number), source }
    }
}

/// Where a batch's entries stand, and how they are read.
struct Place {
    segment: SegmentNumber,
    version: u32,
    batch: Position,
    start: usize,
}

/// A file, as far as it was read.
struct Pages<'a, F> {
    file: F,
    size: usize,
    bytes: &'a mut Vec<u8>,
}

impl<F: File> Pages<'_, F> {
    /// Reads as far as the batch at `at` goes, if one is there.
    fn fill_batch(&mut self, at: usize) -> io::Result<()> {
        self.fill(at + BATCH_HEADER)?;
        let payload = BatchHeader::payload_len(&self.bytes[at..]);
        self.fill(at + BATCH_HEADER + payload)
    }

    fn fill(&mut self, up_to: usize) -> io::Result<()> {
        let (filled, up_to) = (self.bytes.len(), up_to.min(self.size));
        if up_to <= filled {
            return Ok(());
        }
        self.bytes.resize(up_to.max(filled + PIECE).min(self.size), 0);
        let read = self.file.read_at(filled as u64, &mut self.bytes[filled..])?;
        if filled + read < self.bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
