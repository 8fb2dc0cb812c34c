//! The manifest: what the directory is, who owns it now, and which segments must be there.
//!
//! It is replaced as a whole: written under another name, synced, renamed, and the directory synced. A backup has the same
//! under another name and mark, so that nobody takes it for a journal that may be started.

use crate::disk::{Disk, File, Identity};
use crate::layout::{Cursor, FORMAT_VERSION, NotAHeader, check_sum, take_version};
use crate::{Error, Position, SegmentNumber};
use std::io;
use std::path::Path;
use unanimo_protocol::{Epoch, Node, Shard};

/// Bytes of version 1, which ends after `durable`.
const SIZE_1: usize = 52;
const SIZE: usize = 76;

/// What a directory of segments is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A journal, which a gateway owns or may own.
    Journal,
    /// A backup, which is restored into a directory before a gateway can own it.
    Backup,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Journal => "manifest",
            Kind::Backup => "backup",
        }
    }

    fn magic(self) -> [u8; 8] {
        match self {
            Kind::Journal => *b"UNANIMOM",
            Kind::Backup => *b"UNANIMOB",
        }
    }
}

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
    /// What tells the directory from a copy of it.
    pub(crate) identity: Identity,
    /// Segments up to this one came from a backup and bear the nodes of former directories; 0 where none did.
    pub(crate) restored: SegmentNumber,
}

impl Manifest {
    /// Reads it; `None` when there is none.
    pub(crate) fn read<D: Disk>(disk: &D, directory: &Path, kind: Kind) -> Result<Option<Manifest>, Error> {
        let path = directory.join(kind.name());
        let mut bytes = [0; SIZE + 1];
        let read = match disk.open(kind.name()).and_then(|file| file.read_at(0, &mut bytes)) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { doing: "read", path, source }),
        };
        match Manifest::decode(&bytes[..read], kind) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(NotAHeader::Version(found)) => {
                Err(Error::UnknownVersion { path, found, known: FORMAT_VERSION })
            }
            Err(NotAHeader::Damaged) => {
                Err(Error::Damaged { path, offset: 0, why: "its checksum is wrong".to_owned() })
            }
        }
    }

    /// Reads what this directory is: a journal or a backup.
    pub(crate) fn of<D: Disk>(disk: &D, directory: &Path) -> Result<(Kind, Manifest), Error> {
        for kind in [Kind::Journal, Kind::Backup] {
            if let Some(manifest) = Manifest::read(disk, directory, kind)? {
                return Ok((kind, manifest));
            }
        }
        Err(Error::NoJournal { directory: directory.to_owned() })
    }

    /// Replaces it, durably.
    pub(crate) fn write<D: Disk>(&self, disk: &D, kind: Kind) -> io::Result<()> {
        let new = format!("{}.new", kind.name());
        let mut file = disk.create(&new)?;
        file.write_at(0, &self.encode(kind))?;
        file.sync_data()?;
        disk.rename(&new, kind.name())?;
        disk.sync_directory()
    }

    fn encode(&self, kind: Kind) -> Vec<u8> {
        let mut out = Vec::with_capacity(SIZE);
        out.extend_from_slice(&kind.magic());
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.node.0.to_le_bytes());
        out.extend_from_slice(&u32::from(Shard::COUNT).to_le_bytes());
        out.extend_from_slice(&self.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.oldest.0.to_le_bytes());
        out.extend_from_slice(&self.newest.0.to_le_bytes());
        out.extend_from_slice(&self.durable.0.to_le_bytes());
        out.extend_from_slice(&self.identity.directory.to_le_bytes());
        out.extend_from_slice(&self.identity.lock.to_le_bytes());
        out.extend_from_slice(&self.restored.0.to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], kind: Kind) -> Result<Manifest, NotAHeader> {
        let mut fields = Cursor(bytes);
        if bytes.len() < SIZE_1 || fields.take() != kind.magic() {
            return Err(NotAHeader::Damaged);
        }
        let version = take_version(&mut fields)?;
        let size = if version == 1 { SIZE_1 } else { SIZE };
        if bytes.len() != size {
            return Err(NotAHeader::Damaged);
        }
        check_sum(bytes)?;
        let node = Node(fields.u32());
        if fields.u32() != u32::from(Shard::COUNT) {
            return Err(NotAHeader::Damaged);
        }
        let mut manifest = Manifest {
            node,
            epoch: Epoch(fields.u32()),
            oldest: SegmentNumber(fields.u64()),
            newest: SegmentNumber(fields.u64()),
            durable: Position(fields.u64()),
            identity: Identity::default(),
            restored: SegmentNumber(0),
        };
        if version > 1 {
            manifest.identity = Identity { directory: fields.u64(), lock: fields.u64() };
            manifest.restored = SegmentNumber(fields.u64());
        }
        Ok(manifest)
    }
}
