//! The manifest: what the directory is, who owns it now, and which segments must be there.
//!
//! It is replaced as a whole: written under another name, synced, renamed, and the directory synced.

use crate::disk::{Disk, File};
use crate::layout::{Cursor, FORMAT_VERSION, NotAHeader, check_version};
use crate::{Error, Position, SegmentNumber};
use std::io;
use std::path::Path;
use unanimo_protocol::{Epoch, Node, Shard};

const NAME: &str = "manifest";
const NEW: &str = "manifest.new";
const MAGIC: [u8; 8] = *b"UNANIMOM";
const SIZE: usize = 52;

/// What the manifest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) node: Node,
    /// The number of the start that owns the directory.
    pub(crate) epoch: Epoch,
    /// The first segment that must be there.
    pub(crate) oldest: SegmentNumber,
    /// The last segment: it is there, and all between are.
    pub(crate) newest: SegmentNumber,
    /// A batch that was durable when this was written: it and all before it must be readable.
    pub(crate) durable: Position,
}

impl Manifest {
    /// Reads it; `None` when there is none.
    pub(crate) fn read<D: Disk>(disk: &D, directory: &Path) -> Result<Option<Manifest>, Error> {
        let path = directory.join(NAME);
        let mut bytes = [0; SIZE];
        let read = match disk.open(NAME).and_then(|file| file.read_at(0, &mut bytes)) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { doing: "read", path, source }),
        };
        match Manifest::decode(&bytes[..read]) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(NotAHeader::Version(found)) => {
                Err(Error::UnknownVersion { path, found, known: FORMAT_VERSION })
            }
            Err(NotAHeader::Damaged) => {
                Err(Error::Damaged { path, offset: 0, why: "its checksum is wrong".to_owned() })
            }
        }
    }

    /// Replaces it, durably.
    pub(crate) fn write<D: Disk>(&self, disk: &D) -> io::Result<()> {
        let mut file = disk.create(NEW)?;
        file.write_at(0, &self.encode())?;
        file.sync_data()?;
        disk.rename(NEW, NAME)?;
        disk.sync_directory()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&u32::from(Shard::COUNT).to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.oldest.0.to_le_bytes());
        out.extend_from_slice(&self.newest.0.to_le_bytes());
        out.extend_from_slice(&self.durable.0.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Result<Manifest, NotAHeader> {
        let mut fields = Cursor(bytes);
        if bytes.len() != SIZE || fields.take() != MAGIC {
            return Err(NotAHeader::Damaged);
        }
        check_version(&mut fields, bytes)?;
        let node = Node(fields.u32());
        if fields.u32() != u32::from(Shard::COUNT) {
            return Err(NotAHeader::Damaged);
        }
        Ok(Manifest {
            node,
            epoch: Epoch(fields.u32()),
            oldest: SegmentNumber(fields.u64()),
            newest: SegmentNumber(fields.u64()),
            durable: Position(fields.u64()),
        })
    }
}
