//! What an operator may choose.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How a journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where its files are; made when it is not there.
    pub directory: PathBuf,
    /// Bytes of a segment, allocated at once: 4 KiB to 1 GiB. A decision that is larger is refused.
    pub segment_size: u64,
    /// The shortest time from one sync's start to the next while at least 8 forced records wait; at most 100 ms.
    pub commit_interval: Duration,
    /// Whether a file system may be used that forgets (tmpfs, overlayfs) or promises less (NFS).
    pub accept_ephemeral: bool,
    /// Bytes that may wait for the committing thread, what it is writing included; beyond it nothing new begins. What
    /// has begun goes on: how much that is, is bounded by how much may be open.
    pub queue_bytes: usize,
}

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misconfigured {
    /// Its name.
    pub setting: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl fmt::Display for Misconfigured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal's `{}` must be {}: correct the configuration", self.setting, self.must)
    }
}

impl std::error::Error for Misconfigured {}

impl Config {
    /// The defaults, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Config {
        Config {
            directory: directory.into(),
            segment_size: 64 * MIB,
            commit_interval: Duration::from_millis(1),
            accept_ephemeral: false,
            queue_bytes: 64 * MIB as usize,
        }
    }

    /// Says which setting cannot be.
    pub fn validate(&self) -> Result<(), Misconfigured> {
        let rules = [
            ("directory", "a path", !self.directory.as_os_str().is_empty()),
            ("segment_size", "4 KiB to 1 GiB", (4 * KIB..=GIB).contains(&self.segment_size)),
            ("commit_interval", "at most 100 ms", self.commit_interval <= Duration::from_millis(100)),
            ("queue_bytes", "at least 4 KiB", self.queue_bytes as u64 >= 4 * KIB),
        ];
        match rules.into_iter().find(|(_, _, holds)| !holds) {
            Some((setting, must, _)) => Err(Misconfigured { setting, must }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_bad_setting_is_named() {
        let config = Config::new("journal");
        assert_eq!(config.validate(), Ok(()));
        let small = Config { segment_size: 100, ..config };
        assert_eq!(small.validate().unwrap_err().setting, "segment_size");
    }
}
