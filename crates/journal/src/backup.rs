//! Copies of what is durable: a backup, which may be taken while the owner writes, and a directory that is made of one.

use crate::disk::{Disk, File, Identity};
use crate::inspect::{Again, Inspection, inspect, pass};
use crate::layout::SegmentHeader;
use crate::manifest::{Kind, Manifest};
use crate::scan::{Replayed, Visitor};
use crate::segments::file_name;
use crate::{Error, SegmentNumber};
use std::io;
use std::path::Path;
use unanimo_protocol::Node;

/// Copies everything that is durable into `to`, which must be empty. The owner of `from` may run: it does not notice,
/// and what it has made durable up to 50 ms before is in the copy. Says what the copy holds, read back from it.
pub fn backup<D: Disk, T: Disk>(from: (&D, &Path), to: (&T, &Path)) -> Result<Inspection, Error> {
    refuse_unless_empty(to.0, to.1)?;
    let copied = copy(from, to)?;
    let manifest = Manifest { identity: Identity::default(), ..copied };
    keep(&manifest, to, Kind::Backup)
}

/// What becomes of those that began under the former node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The original is lost, or may have gone further: a new node is minted, and the old one's transactions are
    /// quarantined.
    Quarantined,
    /// The original was closed in good order and will never be started again: everything goes on where it ended.
    Moved,
}

/// Makes a journal in `to`, which must be empty, of a backup or of another directory that nobody owns.
pub fn restore<D: Disk, T: Disk>(
    from: (&D, &Path),
    to: (&mut T, &Path),
    how: Restored,
) -> Result<Inspection, Error> {
    let directory = || from.1.to_owned();
    let failed = |path: &Path, doing| {
        let path = path.to_owned();
        move |source: io::Error| Error::Io { doing, path, source }
    };
    if from.0.is_locked().map_err(failed(from.1, "examine"))? {
        return Err(Error::Locked { directory: directory() });
    }
    if how == Restored::Moved && !inspect(from.0, from.1, |_| ())?.report.closed {
        return Err(Error::NotClosed { directory: directory() });
    }
    refuse_unless_empty(to.0, to.1)?;
    if !to.0.lock().map_err(failed(to.1, "lock"))? {
        return Err(Error::Locked { directory: to.1.to_owned() });
    }
    let copied = copy(from, (&*to.0, to.1))?;
    let identity = to.0.identity().map_err(failed(to.1, "examine"))?;
    let manifest = match how {
        Restored::Moved => Manifest { identity, ..copied },
        Restored::Quarantined => {
            let node = another(copied.node, to.0).map_err(failed(to.1, "draw random bits for"))?;
            Manifest { identity, node, restored: copied.newest, ..copied }
        }
    };
    keep(&manifest, (&*to.0, to.1), Kind::Journal)
}

/// A random node that is not this one.
fn another<T: Disk>(former: Node, disk: &T) -> io::Result<Node> {
    loop {
        let node = Node(disk.entropy()? as u32);
        if node != former {
            return Ok(node);
        }
    }
}

fn refuse_unless_empty<T: Disk>(disk: &T, directory: &Path) -> Result<(), Error> {
    let names = disk.list();
    let names = names.map_err(|source| Error::Io { doing: "list", path: directory.to_owned(), source })?;
    if names.is_empty() { Ok(()) } else { Err(Error::NotEmpty { directory: directory.to_owned() }) }
}

/// Copies the segments, and says what the copy's manifest must know.
fn copy<D: Disk, T: Disk>(from: (&D, &Path), to: (&T, &Path)) -> Result<Manifest, Error> {
    let mut copying = Copying { to: to.0, directory: to.1, written: Vec::new(), last: None };
    let (_, manifest, found) = pass(from.0, from.1, &mut copying)?;
    let (mut last, durable) = (found.report.last, found.report.durable);
    if last > durable {
        let owned = from.0.is_locked();
        let owned =
            owned.map_err(|source| Error::Io { doing: "examine", path: from.1.to_owned(), source })?;
        // An owner may still be syncing it. Where there is none, replay would take it, and so does the copy.
        if owned {
            copying.cut().map_err(|source| copying.failed("write", source))?;
            last = durable;
        }
    }
    copying.drop_before(manifest.oldest).map_err(|source| copying.failed("remove from", source))?;
    to.0.sync_directory().map_err(|source| copying.failed("sync", source))?;
    let newest = copying.written.last().copied().unwrap_or(manifest.newest);
    Ok(Manifest { newest, durable: last, ..manifest })
}

/// Gives the copy its name, which makes it one, and reads it back.
fn keep<T: Disk>(
    manifest: &Manifest,
    (disk, directory): (&T, &Path),
    kind: Kind,
) -> Result<Inspection, Error> {
    let written = manifest.write(disk, kind);
    written.map_err(|source| Error::Io { doing: "write", path: directory.to_owned(), source })?;
    inspect(disk, directory, |_| ())
}

struct Copying<'a, T: Disk> {
    to: &'a T,
    directory: &'a Path,
    /// The segments that were copied; some may have been dropped meanwhile.
    written: Vec<SegmentNumber>,
    /// The last batch of the last segment: its name, where it starts, and its bytes.
    last: Option<(String, u64, usize)>,
}

impl<T: Disk> Copying<'_, T> {
    /// Writes zeros over the last batch.
    fn cut(&mut self) -> io::Result<()> {
        let Some((name, at, len)) = self.last.take() else { return Ok(()) };
        let mut file = self.to.open(&name)?;
        file.write_at(at, &vec![0; len])?;
        file.sync_data()
    }

    fn drop_before(&mut self, oldest: SegmentNumber) -> io::Result<()> {
        for number in self.written.iter().filter(|number| **number < oldest) {
            self.to.remove(&file_name(*number))?;
        }
        self.written.retain(|number| *number >= oldest);
        Ok(())
    }

    fn put(&self, header: &SegmentHeader, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.to.create(&file_name(header.number))?;
        file.write_at(0, bytes)?;
        // Nothing is ever appended to a copied segment: holes do for what was never written.
        if header.size > bytes.len() as u64 {
            file.write_at(header.size - 1, &[0])?;
        }
        file.sync_data()
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Io { doing, path: self.directory.to_owned(), source }
    }
}

impl<T: Disk> Again for Copying<'_, T> {
    fn again(&mut self) {
        self.last = None;
    }
}

impl<T: Disk> Visitor for &mut Copying<'_, T> {
    fn entry(&mut self, _: Replayed, _: bool) {}

    fn segment(
        &mut self,
        header: &SegmentHeader,
        bytes: &[u8],
        last: usize,
        batches: u64,
    ) -> Result<(), Error> {
        self.put(header, bytes).map_err(|source| self.failed("write", source))?;
        if self.written.last() < Some(&header.number) {
            self.written.push(header.number);
        }
        let name = file_name(header.number);
        self.last = (batches > 0).then(|| (name, last as u64, bytes.len() - last));
        Ok(())
    }
}
