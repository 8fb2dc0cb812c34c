//! The simulated disk, as the gateway's process sees it: honest, or with the mistake of a sync that lies.

use std::io;
use unanimo_journal::Disk;
use unanimo_journal::disk::File;
use unanimo_journal::simulated::{Simulated, SimulatedFile};

/// A disk that lies keeps a file's first two syncs: those of its zeros and its header, and the only one of a manifest.
const HONEST_SYNCS: u32 = 2;

/// A disk that may lie.
#[derive(Debug)]
pub(crate) struct Medium {
    pub(crate) disk: Simulated,
    pub(crate) lies: bool,
}

impl Disk for Medium {
    type File = MediumFile;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        self.disk.ephemeral()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<MediumFile> {
        self.disk.create(name).map(|file| MediumFile { file, lies: self.lies, syncs: 0 })
    }

    fn open(&self, name: &str) -> io::Result<MediumFile> {
        self.disk.open(name).map(|file| MediumFile { file, lies: self.lies, syncs: 0 })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn entropy(&self) -> io::Result<u64> {
        self.disk.entropy()
    }
}

/// A file of [`Medium`].
#[derive(Debug)]
pub(crate) struct MediumFile {
    file: SimulatedFile,
    lies: bool,
    syncs: u32,
}

impl File for MediumFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.syncs += 1;
        if self.lies && self.syncs > HONEST_SYNCS { Ok(()) } else { self.file.sync_data() }
    }
}
