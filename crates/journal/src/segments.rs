//! The files of a journal that is being written: carries out what the batcher decides.

use crate::allocation::Allocation;
use crate::disk::{Disk, File};
use crate::layout::{FORMAT_VERSION, SECTOR, SegmentHeader};
use crate::manifest::{Kind, Manifest};
use crate::{Error, Position, SegmentNumber};
use std::io;
use std::path::PathBuf;
use unanimo_protocol::planted::{Mistake, planted};

/// The next segment, until it has its header and its name.
pub(crate) const NEXT: &str = "next.segment";

/// The name of a segment's file.
pub(crate) fn file_name(number: SegmentNumber) -> String {
    format!("{:010}.journal", number.0)
}

/// The segment of a file's name; `None` for a file that is something else.
pub(crate) fn number_of(name: &str) -> Option<SegmentNumber> {
    let number = SegmentNumber(name.strip_suffix(".journal")?.parse().ok()?);
    (file_name(number) == name).then_some(number)
}

/// How large the first segment of a start is, in bytes, where segments may be larger.
const FIRST_SIZE: u64 = 4 << 20;

/// How large each segment of this start is. A start begins small, so that it does not have to wait for the zeros of a
/// large one, and then every segment is twice as large as the one before, up to the configured size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    first: SegmentNumber,
    most: u64,
}

impl Sizes {
    pub(crate) fn new(first: SegmentNumber, most: u64) -> Sizes {
        Sizes { first, most }
    }

    pub(crate) fn of(&self, segment: SegmentNumber) -> u64 {
        let doublings = segment.0.saturating_sub(self.first.0).min(16);
        (FIRST_SIZE << doublings).min(self.most)
    }

    /// The smallest.
    pub(crate) fn least(&self) -> u64 {
        self.of(self.first)
    }
}

/// The open files.
pub(crate) struct Segments<D: Disk> {
    /// The next segment. It stands before the disk, which frees the directory when it is dropped.
    next: Option<Allocation<D::File>>,
    /// Whether the next segment is allocated beside the batches.
    beside: bool,
    disk: D,
    directory: PathBuf,
    sizes: Sizes,
    manifest: Manifest,
    /// Where batches go. `None` until the first segment is opened.
    current: Option<Current<D::File>>,
}

struct Current<F> {
    file: F,
    number: SegmentNumber,
    salt: u64,
    created_unix: u64,
}

/// A batch's place and the header that seals it come from the segment that is open.
impl<D: Disk> Segments<D> {
    pub(crate) fn new(disk: D, directory: PathBuf, sizes: Sizes, manifest: Manifest) -> Segments<D> {
        Segments { next: None, beside: false, disk, directory, sizes, manifest, current: None }
    }

    /// From now on, the next segment is allocated by a thread beside the batches.
    pub(crate) fn allocate_beside(&mut self) {
        self.beside = true;
    }

    /// Sees to it that the next segment will have so many zeros, durable, when it is opened.
    pub(crate) fn prepare(&mut self, up_to: u64) -> Result<(), Error> {
        let result = self.allocate(up_to);
        result.map_err(|source| self.failed("allocate", NEXT, source))
    }

    fn allocate(&mut self, up_to: u64) -> io::Result<()> {
        if let Some(next) = &mut self.next {
            return next.reach(up_to);
        }
        let file = self.disk.create(NEXT)?;
        let next = if self.beside { Allocation::beside(file)? } else { Allocation::here(file) };
        self.next.insert(next).reach(up_to)
    }

    /// Opens the next segment: its zeros, its header, its name, and that the manifest misses it if it goes; each
    /// durable before what follows.
    pub(crate) fn open_next(
        &mut self,
        number: SegmentNumber,
        after: Position,
        unix: u64,
    ) -> Result<(), Error> {
        self.prepare(self.sizes.of(number))?;
        let name = file_name(number);
        let opened = self.name_next(number, &name, after, unix);
        opened.map_err(|source| self.failed("open", &name, source))?;
        self.remember(after)
    }

    fn name_next(&mut self, number: SegmentNumber, name: &str, after: Position, unix: u64) -> io::Result<()> {
        let Some(next) = self.next.take() else {
            return Err(io::Error::other("it was not allocated"));
        };
        let mut file = next.finish()?;
        let salt = self.disk.entropy()?;
        let header = SegmentHeader {
            version: FORMAT_VERSION,
            node: self.manifest.node,
            number,
            size: self.sizes.of(number),
            epoch: self.manifest.epoch,
            salt,
            resumes_after: after,
            created_unix: unix,
        };
        file.write_at(0, &header.encode())?;
        file.sync_data()?;
        self.disk.rename(NEXT, name)?;
        self.disk.sync_directory()?;
        self.current = Some(Current { file, number, salt, created_unix: unix });
        Ok(())
    }

    /// Writes a sealed batch where it belongs, and syncs it.
    pub(crate) fn write(&mut self, offset: u64, batch: &[u8]) -> Result<(), Error> {
        let Some(current) = &mut self.current else {
            return Err(self.failed("write", NEXT, io::Error::other("no segment is open")));
        };
        let written = current.file.write_at(offset, batch).map_err(|e| ("write", e));
        let mut synced = written.and_then(|()| current.file.sync_data().map_err(|e| ("sync", e)));
        if planted(Mistake::RetriesSync) && synced.is_err() {
            synced = current.file.sync_data().map_err(|e| ("sync", e));
        }
        let name = file_name(current.number);
        synced.map_err(|(doing, source)| self.failed(doing, &name, source))
    }

    /// The salt of the segment that is open.
    pub(crate) fn salt(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.salt)
    }

    /// Tenths of a second since the segment was opened that is open now, rounded up: so that nothing seems to end before
    /// it began. 31 bits last for six years.
    pub(crate) fn tenths(&self, unix_ms: u64) -> u32 {
        let opened = self.current.as_ref().map_or(0, |current| current.created_unix.saturating_mul(1000));
        let tenths = unix_ms.saturating_sub(opened).div_ceil(100);
        u32::try_from(tenths).unwrap_or(u32::MAX).min(u32::MAX >> 1)
    }

    /// Gives up every segment before `oldest`: in the manifest first, then the files.
    pub(crate) fn drop_before(&mut self, oldest: SegmentNumber, durable: Position) -> Result<(), Error> {
        let from = self.manifest.oldest;
        self.manifest.oldest = oldest;
        self.remember(durable)?;
        for number in from.0..oldest.0 {
            let name = file_name(SegmentNumber(number));
            self.disk.remove(&name).map_err(|source| self.failed("remove", &name, source))?;
        }
        Ok(())
    }

    /// Writes into the manifest that everything up to `durable` is.
    pub(crate) fn remember(&mut self, durable: Position) -> Result<(), Error> {
        self.manifest.durable = durable;
        if let Some(current) = &self.current {
            self.manifest.newest = current.number;
        }
        self.manifest
            .write(&self.disk, Kind::Journal)
            .map_err(|source| self.failed("replace", "manifest", source))
    }

    fn failed(&self, doing: &'static str, name: &str, source: io::Error) -> Error {
        Error::Io { doing, path: self.directory.join(name), source }
    }
}

/// The first batch's place.
pub(crate) const FIRST_BATCH: u64 = SECTOR as u64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_begins_small_and_doubles_up_to_the_configured_size() {
        let sizes = Sizes::new(SegmentNumber(7), 64 << 20);
        let mib = |number| sizes.of(SegmentNumber(number)) >> 20;
        assert_eq!([mib(7), mib(8), mib(9), mib(10), mib(11), mib(12), mib(99)], [4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(Sizes::new(SegmentNumber(1), 4096).of(SegmentNumber(1)), 4096);
    }
}
