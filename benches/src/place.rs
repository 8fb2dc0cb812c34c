//! Where a measurement keeps its files: in a private directory on the disk that holds the build, and gone afterwards.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is removed with its handle.
pub struct Place(PathBuf);

impl Place {
    /// A new, empty directory.
    pub fn new(below: &Path, name: &str) -> io::Result<Place> {
        let path = below.join(format!("{name}-{}", std::process::id()));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Place(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // A leftover is only disk space, below the build directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}
