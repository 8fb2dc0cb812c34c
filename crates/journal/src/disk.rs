//! The seam to the machine: one directory of files. Faults are put in here, so that they hit production code.

pub mod files;
#[cfg(any(test, feature = "simulation"))]
pub mod simulated;

use std::io;

/// What tells a directory from a copy of it: marks of the directory itself and of its lock's file, which a copy cannot
/// take over. 0 where the system gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Of the directory.
    pub directory: u64,
    /// Of the lock's file.
    pub lock: u64,
}

impl Identity {
    /// Whether one that says this of itself, and was this when its manifest was written, must be a copy. A directory
    /// that was moved, or whose lock was removed, keeps one of the two.
    pub(crate) fn is_copy_of(self, written: Identity) -> bool {
        let differ = |a: u64, b: u64| a != 0 && b != 0 && a != b;
        differ(self.directory, written.directory) && differ(self.lock, written.lock)
    }
}

/// One directory, and what the operating system does with it.
pub trait Disk: Send + 'static {
    /// An open file.
    type File: File;

    /// Takes the directory for this owner alone, until the disk is dropped; `false` when another one has it.
    fn lock(&mut self) -> io::Result<bool>;

    /// Whether somebody has the directory now. Nobody, where this cannot be known.
    fn is_locked(&self) -> io::Result<bool> {
        Ok(false)
    }

    /// What tells the directory from a copy of it; nothing, where this cannot be known. Asked once it is locked.
    fn identity(&self) -> io::Result<Identity> {
        Ok(Identity::default())
    }

    /// The file system's name, where it is one that does not keep what is synced.
    fn ephemeral(&self) -> io::Result<Option<&'static str>>;

    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a file, or empties the one of this name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read and to write.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in place of any file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a name away.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns once all names are durable as they are.
    fn sync_directory(&self) -> io::Result<()>;

    /// Random bits that no client can guess.
    fn entropy(&self) -> io::Result<u64>;
}

/// An open file.
pub trait File: Send {
    /// Writes all of `bytes`, or fails with an unknown part of them written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `into` from `offset` on, as far as the file goes; says how many bytes that were.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Bytes of the file.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns once all that was written is durable. After a failure nothing is known, and trying again may lie.
    fn sync_data(&mut self) -> io::Result<()>;
}
