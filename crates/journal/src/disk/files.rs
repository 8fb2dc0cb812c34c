//! Real files.

use super::{Disk, File, Identity};
use crate::Error;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A directory on this machine.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    directory: OwnedFd,
    lock: Option<OwnedFd>,
    access: OFlags,
}

impl Files {
    /// The file that is held, by `flock`, for as long as the directory has its owner.
    pub const LOCK: &'static str = "lock";

    /// Opens the directory, and makes it first where it is not there.
    pub fn open(path: &Path) -> Result<Files, Error> {
        let failed = |doing, source: io::Error| Error::Io { doing, path: path.to_owned(), source };
        if !path.is_dir() {
            fs::create_dir_all(path).map_err(|e| failed("make the directory", e))?;
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(parent).and_then(|p| p.sync_all()).map_err(|e| failed("keep the directory", e))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| failed("open the directory", e.into()))?;
        Ok(Files { path: path.to_owned(), directory, lock: None, access: OFlags::RDWR })
    }

    /// Opens a directory that is there, to look at it: whoever owns it does not notice, and nothing can be changed.
    pub fn look(path: &Path) -> Result<Files, Error> {
        let failed = |source| Error::Io { doing: "open", path: path.to_owned(), source };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
        Ok(Files { path: path.to_owned(), directory, lock: None, access: OFlags::RDONLY })
    }

    fn open_at(&self, name: &str, more: OFlags) -> io::Result<OwnedFd> {
        let flags = self.access | OFlags::CLOEXEC | more;
        // Bodies of clients are in it: nobody but the owner reads it.
        Ok(rustix::fs::openat(&self.directory, name, flags, Mode::RUSR | Mode::WUSR)?)
    }
}

impl Drop for Files {
    /// Gives the lock back in words: closing alone would not while a child that is just being started has a copy.
    fn drop(&mut self) {
        if let Some(lock) = &self.lock {
            let _ = rustix::fs::flock(lock, FlockOperation::Unlock);
        }
    }
}

impl Disk for Files {
    type File = OpenFile;

    fn lock(&mut self) -> io::Result<bool> {
        let lock = self.open_at(Files::LOCK, OFlags::CREATE)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                self.lock = Some(lock);
                Ok(true)
            }
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// A lock is the only thing that tells: it is taken for a moment, shared with whoever else looks.
    fn is_locked(&self) -> io::Result<bool> {
        let lock = match self.open_at(Files::LOCK, OFlags::empty()) {
            Ok(lock) => lock,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(e.into()),
        }
    }

    fn identity(&self) -> io::Result<Identity> {
        let lock = self.lock.as_ref().map_or(Ok(0), identity_of)?;
        Ok(Identity { directory: identity_of(&self.directory)?, lock })
    }

    #[cfg(target_os = "linux")]
    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        const KINDS: [(u32, &str); 6] = [
            (0x0102_1994, "tmpfs"),
            (0x8584_58f6, "ramfs"),
            (0x794c_7630, "overlayfs"),
            (0x0000_6969, "NFS"),
            (0xff53_4d42, "CIFS"),
            (0xfe53_4d42, "SMB"),
        ];
        let magic = rustix::fs::fstatfs(&self.directory)?.f_type as u32;
        Ok(KINDS.into_iter().find(|(kind, _)| *kind == magic).map(|(_, name)| name))
    }

    /// Elsewhere (macOS, for development) every file system is accepted.
    #[cfg(not(target_os = "linux"))]
    fn ephemeral(&self) -> io::Result<Option<&'static str>> {
        Ok(None)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(io::Result::transpose).collect()
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        self.open_at(name, OFlags::CREATE | OFlags::TRUNC).map(|fd| OpenFile(fd.into()))
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        self.open_at(name, OFlags::empty()).map(|fd| OpenFile(fd.into()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.directory, from, &self.directory, to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.directory, name, rustix::fs::AtFlags::empty())?)
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    fn entropy(&self) -> io::Result<u64> {
        getrandom::u64().map_err(io::Error::other)
    }
}

/// The file's number, and when it was born, to the nanosecond: no program can give a copy the same.
#[cfg(target_os = "linux")]
fn identity_of(file: &OwnedFd) -> io::Result<u64> {
    use rustix::fs::{AtFlags, StatxFlags, statx};
    let told = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::INO | StatxFlags::BTIME)?;
    if told.stx_mask & StatxFlags::BTIME.bits() == 0 {
        return Ok(0);
    }
    let born = told.stx_btime.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(told.stx_btime.tv_nsec.into());
    // Spread by an odd number, so that neighbouring files born together differ. Never 0: that means nothing is known.
    Ok((told.stx_ino.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ born as u64).max(1))
}

/// Elsewhere (macOS, for development) nothing tells a copy.
#[cfg(not(target_os = "linux"))]
fn identity_of(_: &OwnedFd) -> io::Result<u64> {
    Ok(0)
}

/// A file of [`Files`].
#[derive(Debug)]
pub struct OpenFile(fs::File);

impl File for OpenFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let at = offset + filled as u64;
            match std::os::unix::fs::FileExt::read_at(&self.0, &mut into[filled..], at) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(not(target_os = "macos"))]
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    /// On macOS `fsync` leaves data in the drive's own cache.
    #[cfg(target_os = "macos")]
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(rustix::fs::fcntl_fullfsync(&self.0)?)
    }
}
