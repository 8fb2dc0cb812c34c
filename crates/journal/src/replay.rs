//! Opening a directory and reading back what it holds.

use crate::batcher::{Batcher, Start};
use crate::clock::Clock;
use crate::codec::{Entry, take_entry};
use crate::committer::{Committer, Committing};
use crate::disk::{Disk, File};
use crate::journal::Shared;
use crate::layout::{BATCH_HEADER, BatchHeader, FORMAT_VERSION, NotAHeader, SECTOR, SegmentHeader};
use crate::ledger::{Ledger, Mark};
use crate::manifest::Manifest;
use crate::segments::{NEXT, Segments, file_name, number_of};
use crate::tail::{self, Tail};
use crate::{Config, Error, Journal, Now, Position, Progress, SegmentNumber};
use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use unanimo_protocol::{Digest, Epoch, Id, Node, Record};

/// One thing that came back, in the order in which it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Where it stands.
    pub segment: SegmentNumber,
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

/// A directory that is owned and not yet replayed.
pub struct Recovery<D: Disk> {
    config: Config,
    disk: D,
    manifest: Manifest,
    replayed: Option<Found>,
}

/// What replay leaves to the start.
#[derive(Default)]
struct Found {
    ledger: Ledger,
    report: Report,
    /// Where the last batch of the newest segment stands, and its bytes: the only one that may not be durable.
    last_batch: Range<usize>,
    last_bytes: Vec<u8>,
}

/// Takes the directory for this process alone, and forces the number of this start.
pub fn open<D: Disk>(config: Config, mut disk: D) -> Result<Recovery<D>, Error> {
    config.validate()?;
    let directory = config.directory.clone();
    let failed = |doing, source| Error::Io { doing, path: directory.clone(), source };
    let ephemeral = disk.ephemeral().map_err(|e| failed("examine", e))?;
    if let Some(file_system) = ephemeral.filter(|_| !config.accept_ephemeral) {
        return Err(Error::Ephemeral { directory, file_system });
    }
    if !disk.lock().map_err(|e| failed("lock", e))? {
        return Err(Error::Locked { directory });
    }
    let names = disk.list().map_err(|e| failed("list", e))?;
    let present: BTreeSet<SegmentNumber> = names.iter().filter_map(|name| number_of(name)).collect();
    let mut manifest = match Manifest::read(&disk, &directory)? {
        Some(manifest) => manifest,
        None => first_manifest(&disk, &present, &config)?,
    };
    check_presence(&present, &manifest, &config)?;
    manifest.newest = present.last().copied().unwrap_or_default().max(manifest.newest);
    manifest.epoch = Epoch(manifest.epoch.0 + 1);
    if manifest.epoch > Epoch::MAX {
        return Err(Error::EpochsSpent);
    }
    manifest.write(&disk).map_err(|e| failed("replace the manifest of", e))?;
    // What an interrupted drop or allocation has left.
    let stale = present.range(..manifest.oldest).map(|number| file_name(*number));
    let next = names.iter().filter(|name| *name == NEXT).cloned();
    for name in stale.chain(next) {
        disk.remove(&name).map_err(|source| Error::Io {
            doing: "remove",
            path: directory.join(&name),
            source,
        })?;
    }
    Ok(Recovery { config, disk, manifest, replayed: None })
}

/// The manifest of a directory that has none yet.
fn first_manifest<D: Disk>(
    disk: &D,
    present: &BTreeSet<SegmentNumber>,
    config: &Config,
) -> Result<Manifest, Error> {
    if !present.is_empty() {
        let (path, why) =
            (config.directory.join("manifest"), "it is missing, but segments are there".to_owned());
        return Err(Error::Damaged { path, offset: 0, why });
    }
    let bits = disk.entropy();
    let bits = bits.map_err(|source| Error::Io {
        doing: "draw random bits for",
        path: config.directory.clone(),
        source,
    })?;
    Ok(Manifest {
        node: Node(bits as u32),
        epoch: Epoch(0),
        oldest: SegmentNumber(1),
        newest: SegmentNumber(0),
        durable: Position(0),
    })
}

/// Every segment from the oldest on must be there.
fn check_presence(
    present: &BTreeSet<SegmentNumber>,
    manifest: &Manifest,
    config: &Config,
) -> Result<(), Error> {
    let newest = present.last().copied().unwrap_or_default().max(manifest.newest);
    let missing = (manifest.oldest.0..=newest.0).map(SegmentNumber).find(|number| !present.contains(number));
    match missing {
        None => Ok(()),
        Some(number) => Err(Error::Damaged {
            path: config.directory.join(file_name(number)),
            offset: 0,
            why: format!("the file is missing; segments {} to {newest} must be there", manifest.oldest),
        }),
    }
}

impl<D: Disk> Recovery<D> {
    /// Whose directory it is.
    pub fn node(&self) -> Node {
        self.manifest.node
    }

    /// The number of this start; it is durable, and no former owner has it.
    pub fn epoch(&self) -> Epoch {
        self.manifest.epoch
    }

    /// Gives out everything that is remembered, in order. On an error, forget what was given out.
    pub fn replay(&mut self, mut each: impl FnMut(Replayed)) -> Result<Report, Error> {
        let mut found = Found::default();
        let numbers: Vec<SegmentNumber> =
            (self.manifest.oldest.0..=self.manifest.newest.0).map(SegmentNumber).collect();
        let headers = numbers.iter().map(|number| self.header(*number)).collect::<Result<Vec<_>, _>>()?;
        found.report.last = headers.first().map_or(Position(0), |header| header.resumes_after);
        let mut bytes = Vec::new();
        for (at, header) in headers.iter().enumerate() {
            self.read(header, &mut bytes)?;
            found.ledger.opened(header.number, header.size, header.created_unix);
            let until = headers.get(at + 1).map(|next| next.resumes_after);
            self.segment(&bytes, header, until, &mut found, &mut each)?;
        }
        found.last_bytes = bytes.get(found.last_batch.clone()).unwrap_or_default().to_vec();
        found.report.open = found.ledger.open();
        let report = found.report.clone();
        self.replayed = Some(found);
        Ok(report)
    }

    /// Reads the batches of one segment: up to `until`, where a later segment says so, else as far as they go.
    fn segment(
        &self,
        bytes: &[u8],
        header: &SegmentHeader,
        until: Option<Position>,
        found: &mut Found,
        each: &mut impl FnMut(Replayed),
    ) -> Result<(), Error> {
        let path = || self.config.directory.join(file_name(header.number));
        let mut at = SECTOR;
        let mut plans = BTreeSet::new();
        found.last_batch = at..at;
        while until != Some(found.report.last) {
            let expected = Position(found.report.last.0 + 1);
            let batch = BatchHeader::open(&bytes[at..], header.salt)
                .filter(|(batch, _)| batch.number == expected && batch.epoch == header.epoch);
            let Some((batch, payload)) = batch else {
                let tail = match until {
                    Some(until) => Tail::Damaged(format!(
                        "batch {} is not readable, but the next segment was opened when batch {} was durable",
                        expected.0, until.0
                    )),
                    None => tail::judge(bytes, at, expected, header, self.manifest.durable),
                };
                match tail {
                    Tail::Clean => {}
                    Tail::Torn => found.report.torn = Some(Torn { path: path(), offset: at as u64 }),
                    Tail::Damaged(why) => {
                        return Err(Error::Damaged { path: path(), offset: at as u64, why });
                    }
                }
                return Ok(());
            };
            let start = (header.number, at + BATCH_HEADER);
            self.batch(payload, start, &mut plans, found, each)?;
            let end = at + BATCH_HEADER + payload.len();
            found.report.batches += 1;
            found.report.closed = batch.closing;
            found.report.last = expected;
            found.last_batch = at..end;
            at = end;
        }
        Ok(())
    }

    fn batch(
        &self,
        payload: &[u8],
        (segment, start): (SegmentNumber, usize),
        plans: &mut BTreeSet<Digest>,
        found: &mut Found,
        each: &mut impl FnMut(Replayed),
    ) -> Result<(), Error> {
        let mut at = 0;
        while at < payload.len() {
            let path = || self.config.directory.join(file_name(segment));
            let offset = (start + at) as u64;
            let (transaction, entry, next) =
                take_entry(payload, at).map_err(|why| Error::UnknownEntry { path: path(), offset, why })?;
            at = next;
            match &entry {
                Entry::Plan { digest, .. } => {
                    plans.insert(*digest);
                }
                Entry::Record(settled) => {
                    if matches!(settled.record(), Record::Begun(begun) if !plans.contains(&begun.plan)) {
                        let why = format!("{transaction} names a plan that this segment does not hold");
                        return Err(Error::Damaged { path: path(), offset, why });
                    }
                    let mark = Mark::of(transaction, settled.record());
                    let known = found.ledger.is_open(transaction) || matches!(mark, Some(Mark::Begun(_)));
                    mark.into_iter().for_each(|mark| found.ledger.note(segment, mark));
                    if !known {
                        found.report.leftovers += 1;
                        continue;
                    }
                    found.report.records += 1;
                }
            }
            each(Replayed { segment, transaction, entry });
        }
        Ok(())
    }

    fn header(&self, number: SegmentNumber) -> Result<SegmentHeader, Error> {
        let name = file_name(number);
        let path = self.config.directory.join(&name);
        let mut sector = [0; SECTOR];
        let file = self.disk.open(&name);
        let read = file.and_then(|file| Ok((file.read_at(0, &mut sector)?, file.len()?)));
        let (read, len) = match read {
            Ok(read) => read,
            Err(source) => return Err(Error::Io { doing: "read", path, source }),
        };
        let damaged = |offset, why: String| Error::Damaged { path: path.clone(), offset, why };
        let header = SegmentHeader::decode(&sector[..read]).map_err(|why| match why {
            NotAHeader::Version(found) => {
                Error::UnknownVersion { path: path.clone(), found, known: FORMAT_VERSION }
            }
            NotAHeader::Damaged => damaged(0, "its header is not readable".to_owned()),
        })?;
        if len != header.size {
            return Err(damaged(
                len.min(header.size),
                format!("it has {len} bytes instead of {}", header.size),
            ));
        }
        if header.epoch >= self.manifest.epoch {
            let why = "it is of a later start than the manifest, which must be an old copy".to_owned();
            return Err(damaged(0, why));
        }
        if header.number != number || header.node != self.manifest.node {
            let (node, number) = (header.node, header.number);
            return Err(damaged(
                0,
                format!("it is segment {number} of node {node}, and does not belong here"),
            ));
        }
        Ok(header)
    }

    fn read(&self, header: &SegmentHeader, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let name = file_name(header.number);
        bytes.resize(header.size as usize, 0);
        let read = self.disk.open(&name).and_then(|file| file.read_at(0, bytes));
        let failed = |source| Error::Io { doing: "read", path: self.config.directory.join(&name), source };
        if read.map_err(failed)? < bytes.len() {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// Starts the committing thread. The listener is called on it: it must be short, and must not wait.
    pub fn start(self, listener: impl Fn(Progress) + Send + 'static) -> Result<(Journal, Committing), Error> {
        let (journal, committer) = self.assemble(Clock::new().now())?;
        Ok((journal, committer.spawn(listener)?))
    }

    /// The journal without a thread: the caller makes the [`Committer`]'s turns, and says what time it is.
    pub fn assemble(mut self, now: Now) -> Result<(Journal, Committer<D>), Error> {
        let found = self.replayed.take().ok_or(Error::NotReplayed)?;
        self.make_durable(&found)?;
        let (config, manifest) = (self.config, self.manifest);
        let mut segments = Segments::new(self.disk, config.directory.clone(), config.segment_size, manifest);
        let (last, newest) = (found.report.last, manifest.newest);
        segments.open_next(SegmentNumber(newest.0 + 1), last, now.unix_seconds)?;
        let start = Start { epoch: manifest.epoch, last, newest, ledger: found.ledger };
        let mut batcher = Batcher::new(&config, start);
        batcher.opened(SegmentNumber(newest.0 + 1), now.unix_seconds);
        let shared = Arc::new(Shared::new(batcher, manifest.node, config.directory));
        Ok((Journal::new(shared.clone()), Committer::new(shared, segments)))
    }

    /// What was read may stand in the operating system's memory alone: written by a process that died before its
    /// sync, or after a sync that failed and left the memory marked as clean. The last batch is written again, byte
    /// for byte, so that this sync cannot pass it over.
    fn make_durable(&self, found: &Found) -> Result<(), Error> {
        if found.last_bytes.is_empty() {
            return Ok(());
        }
        let name = file_name(self.manifest.newest);
        let rewrite = || {
            let mut file = self.disk.open(&name)?;
            file.write_at(found.last_batch.start as u64, &found.last_bytes)?;
            file.sync_data()
        };
        let path = self.config.directory.join(&name);
        rewrite().map_err(|source| Error::Io { doing: "make durable", path, source })
    }
}
