//! A disk whose syncs take longer.

use std::io;
use std::time::Duration;
use unanimo_journal::Disk;
use unanimo_journal::disk::File;

/// A disk that waits before each sync.
pub struct Slow<D> {
    disk: D,
    more: Duration,
}

/// One of its files.
pub struct SlowFile<F> {
    file: F,
    more: Duration,
}

impl<D: Disk> Slow<D> {
    pub fn new(disk: D, more: Duration) -> Slow<D> {
        Slow { disk, more }
    }
}

fn wait(more: Duration) {
    // Even a sleep for no time is a call of the operating system.
    if !more.is_zero() {
        std::thread::sleep(more);
    }
}

impl<D: Disk> Disk for Slow<D> {
    type File = SlowFile<D::File>;

    fn lock(&mut self) -> io::Result<bool> {
        self.disk.lock()
    }

    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        self.disk.ephemeral()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Self::File> {
        Ok(SlowFile { file: self.disk.create(name)?, more: self.more })
    }

    fn open(&self, name: &str) -> io::Result<Self::File> {
        Ok(SlowFile { file: self.disk.open(name)?, more: self.more })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        wait(self.more);
        self.disk.sync_directory()
    }

    fn entropy(&self) -> io::Result<u64> {
        self.disk.entropy()
    }
}

impl<F: File> File for SlowFile<F> {
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
        wait(self.more);
        self.file.sync_data()
    }
}
