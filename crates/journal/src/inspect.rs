//! A look at a directory, as replay would read it: nothing is taken, nothing is changed, and its owner does not notice.

use crate::disk::Disk;
use crate::layout::{FORMAT_VERSION, SegmentHeader};
use crate::manifest::{Kind, Manifest};
use crate::recovery::check_presence;
use crate::scan::{Found, Replayed, Report, Scan, Visitor};
use crate::segments::number_of;
use crate::{Error, Position, SegmentNumber};
use std::io;
use std::path::Path;
use unanimo_protocol::{Epoch, Node};

/// How often a look begins again because its segments came or went meanwhile.
const LOOKS: u32 = 20;

/// What a directory is, and what stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it is a journal or a backup.
    pub kind: Kind,
    /// Whose it is.
    pub node: Node,
    /// The number of the start that owns it, or did.
    pub epoch: Epoch,
    /// What was restored from a backup stands in segments up to this one.
    pub restored: Option<SegmentNumber>,
    /// Its segments, oldest first.
    pub segments: Vec<SegmentFacts>,
    /// What replay would find.
    pub report: Report,
}

/// What one segment's file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFacts {
    /// Its number.
    pub number: SegmentNumber,
    /// Its format version.
    pub version: u32,
    /// Who wrote it.
    pub node: Node,
    /// The number of the start that opened it.
    pub epoch: Epoch,
    /// Bytes of the file.
    pub size: u64,
    /// Where its last batch ends, in bytes.
    pub end: u64,
    /// Its batches, empty ones included.
    pub batches: u64,
    /// When it was opened, in seconds since 1970.
    pub opened_unix: u64,
}

/// One entry, and whether replay gives it out: it leaves out what belongs to a transaction that has ended and whose
/// beginning was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The entry and its place.
    pub replayed: Replayed,
    /// Whether replay gives it out.
    pub known: bool,
}

/// Reads every byte as replay would, and gives out each entry once, in order.
pub fn inspect<D: Disk>(disk: &D, directory: &Path, each: impl FnMut(Seen)) -> Result<Inspection, Error> {
    let mut looking = Looking { each, given: Position(0), segments: Vec::new() };
    let (kind, manifest, found) = pass(disk, directory, &mut looking)?;
    Ok(Inspection {
        kind,
        node: manifest.node,
        epoch: manifest.epoch,
        restored: Some(manifest.restored).filter(|restored| restored.0 > 0),
        segments: looking.segments,
        report: found.report,
    })
}

/// Somebody who goes over all segments, and may have to begin again.
pub(crate) trait Again {
    /// What was heard so far does not count.
    fn again(&mut self);
}

/// Goes over all segments without owning them. Where they come or go meanwhile, it begins again.
pub(crate) fn pass<D: Disk, V>(
    disk: &D,
    directory: &Path,
    visitor: &mut V,
) -> Result<(Kind, Manifest, Found), Error>
where
    V: Again,
    for<'a> &'a mut V: Visitor,
{
    let mut looks = 0;
    loop {
        visitor.again();
        let (kind, manifest) = Manifest::of(disk, directory)?;
        let passed = pass_once(disk, directory, manifest, &mut *visitor);
        let Err(error) = passed else { return passed.map(|found| (kind, manifest, found)) };
        // The owner has dropped or opened a segment meanwhile, or it is another owner by now.
        let moved = Manifest::of(disk, directory)?.1 != manifest;
        looks += 1;
        if !moved || looks == LOOKS {
            return Err(error);
        }
    }
}

fn pass_once<D: Disk>(
    disk: &D,
    directory: &Path,
    mut manifest: Manifest,
    visitor: impl Visitor,
) -> Result<Found, Error> {
    let failed = |source: io::Error| Error::Io { doing: "list", path: directory.to_owned(), source };
    let present = disk.list().map_err(failed)?.iter().filter_map(|name| number_of(name)).collect();
    check_presence(&present, &manifest, directory)?;
    manifest.newest = present.last().copied().unwrap_or_default().max(manifest.newest);
    // The owner's own segments bear its number: only those of a later one are foreign.
    manifest.epoch = Epoch(manifest.epoch.0.saturating_add(1));
    Scan::new(disk, directory, &manifest, visitor).run()
}

impl SegmentFacts {
    pub(crate) fn of(header: &SegmentHeader, end: usize, batches: u64) -> SegmentFacts {
        SegmentFacts {
            number: header.number,
            version: header.version,
            node: header.node,
            epoch: header.epoch,
            size: header.size,
            end: end as u64,
            batches,
            opened_unix: header.created_unix,
        }
    }
}

impl Inspection {
    /// The format version that this program writes.
    pub const FORMAT_VERSION: u32 = FORMAT_VERSION;
}

struct Looking<E> {
    each: E,
    /// The last batch whose entries were given out.
    given: Position,
    segments: Vec<SegmentFacts>,
}

impl<E> Again for Looking<E> {
    fn again(&mut self) {
        self.segments.clear();
    }
}

impl<E: FnMut(Seen)> Visitor for &mut Looking<E> {
    fn entry(&mut self, replayed: Replayed, known: bool) {
        if replayed.batch > self.given {
            (self.each)(Seen { replayed, known });
        }
    }

    fn segment(&mut self, header: &SegmentHeader, bytes: &[u8], _: usize, batches: u64) -> Result<(), Error> {
        self.segments.push(SegmentFacts::of(header, bytes.len(), batches));
        self.given = self.given.max(Position(header.resumes_after.0 + batches));
        Ok(())
    }
}
