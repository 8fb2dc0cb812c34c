//! What can go wrong: whose fault it is, whether to try again, and what to do.

use crate::Misconfigured;
use crate::codec::Unreadable;
use crate::layout::OLDEST_VERSION;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a journal cannot be opened, replayed or started. None of them goes away by trying again, save
/// [`Error::Locked`] once the other owner has ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The operator's: a setting that cannot be.
    Config(Misconfigured),
    /// The machine's: the operating system refused.
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process owns the directory.
    Locked {
        /// Which one.
        directory: PathBuf,
    },
    /// The operator's: this file system does not keep what is synced.
    Ephemeral {
        /// Where.
        directory: PathBuf,
        /// Its kind.
        file_system: &'static str,
    },
    /// The operator's: another version of Unanimo wrote this.
    UnknownVersion {
        /// Which file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The latest format version that this program knows.
        known: u32,
    },
    /// The operator's: another version of Unanimo wrote this entry.
    UnknownEntry {
        /// Which file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// What is not known.
        why: Unreadable,
    },
    /// The disk's, or of whoever touched the files: something that was durable is no longer there.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where in it, in bytes.
        offset: u64,
        /// How this is known.
        why: String,
    },
    /// The operator's: there is neither a journal nor a backup.
    NoJournal {
        /// Where.
        directory: PathBuf,
    },
    /// The operator's: a backup is restored, not started.
    Backup {
        /// Which one.
        directory: PathBuf,
    },
    /// The operator's: the directory was copied, and its original may have gone further or still be running.
    Copied {
        /// Which one.
        directory: PathBuf,
    },
    /// The operator's: something is there already.
    NotEmpty {
        /// Where.
        directory: PathBuf,
    },
    /// The operator's: only a journal that was closed in good order can be moved.
    NotClosed {
        /// Which one.
        directory: PathBuf,
    },
    /// Every number of a start was used.
    EpochsSpent,
    /// The caller's: [`crate::Recovery::start`] before [`crate::Recovery::replay`] has succeeded.
    NotReplayed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(misconfigured) => misconfigured.fmt(f),
            Error::Io { doing, path, source } => {
                write!(f, "could not {doing} {}: {source}. See to the disk, then start again", path.display())
            }
            Error::Locked { directory } => {
                let directory = directory.display();
                write!(
                    f,
                    "another process owns the journal in {directory}: end it, or choose another directory"
                )
            }
            Error::Ephemeral { directory, file_system } => write!(
                f,
                "{} is on {file_system}, which does not keep what is synced: choose a local disk, or set \
                 `accept_ephemeral: true` where losing transactions is acceptable",
                directory.display()
            ),
            Error::UnknownVersion { path, found, known } => write!(
                f,
                "{} has format version {found}, this program knows {OLDEST_VERSION} to {known}: start the program that \
                 wrote it",
                path.display()
            ),
            Error::UnknownEntry { path, offset, why } => write!(
                f,
                "{} at byte {offset}: {why}. It was written by another version: start that one",
                path.display()
            ),
            Error::Damaged { path, offset, why } => write!(
                f,
                "{} is damaged at byte {offset}: {why}. Nothing was changed. Decisions may be missing, so do not \
                 delete it: restore this file from where it is intact, or resolve by hand what it held",
                path.display()
            ),
            Error::NoJournal { directory } => f.write_str(&misplaced(directory, NO_JOURNAL)),
            Error::Backup { directory } => f.write_str(&misplaced(directory, BACKUP)),
            Error::Copied { directory } => f.write_str(&misplaced(directory, COPIED)),
            Error::NotEmpty { directory } => f.write_str(&misplaced(directory, NOT_EMPTY)),
            Error::NotClosed { directory } => f.write_str(&misplaced(directory, NOT_CLOSED)),
            Error::EpochsSpent => f.write_str(
                "the journal was opened 16,777,215 times, and ids hold no more: begin a new directory",
            ),
            Error::NotReplayed => f.write_str("the journal must be replayed before it is started"),
        }
    }
}

// What is wrong with a directory, which stands where `{}` does.

const NO_JOURNAL: &str = "{} holds neither a journal nor a backup: name the directory of one";

const BACKUP: &str = "{} is a backup: `unanimo journal restore {} NEW` makes a journal of it";

const COPIED: &str = "{} is a copy of a journal, whose original may still run or have gone further: start the original; \
                      or, where that is lost, `unanimo journal restore {} NEW`; or, where it was ended in good order and \
                      copied here, `unanimo journal restore --moved {} NEW`";

const NOT_EMPTY: &str = "{} is not empty: name a directory that is not there yet";

const NOT_CLOSED: &str = "{} was not closed by its last owner, so that what it holds may not be all: end the gateway that \
                          owns it with SIGTERM and copy it anew, or restore it without `--moved`";

fn misplaced(directory: &Path, said: &str) -> String {
    said.replace("{}", &directory.display().to_string())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { source, .. } => Some(source),
            Error::Config(misconfigured) => Some(misconfigured),
            Error::UnknownEntry { why, .. } => Some(why),
            _ => None,
        }
    }
}

impl From<Misconfigured> for Error {
    fn from(misconfigured: Misconfigured) -> Error {
        Error::Config(misconfigured)
    }
}

/// Why the journal takes nothing more: the first write or sync that failed. It stays; only a new start helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poison(Arc<str>);

impl Poison {
    pub(crate) fn new(reason: impl fmt::Display) -> Poison {
        Poison(reason.to_string().into())
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal takes nothing more: {}", self.0)
    }
}

impl std::error::Error for Poison {}

/// Why an append was refused. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppendError {
    /// A write or sync has failed: end the process, and start again.
    Poisoned(Poison),
    /// The journal was closed by its owner.
    Closed,
    /// More waits for the disk than may wait, and this would begin something new: refuse what was asked.
    Full,
    /// The caller's epoch is not the one that is held: it lost its shards, and must stop.
    Fenced,
    /// It would not fit a segment: the caller must refuse what was asked.
    TooLarge {
        /// Bytes that it may need.
        bytes: usize,
        /// Bytes that there is room for.
        limit: usize,
    },
    /// A `Begun` came without the plan that it names: a mistake in the caller.
    PlanMissing,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Poisoned(poison) => poison.fmt(f),
            AppendError::Closed => f.write_str("the journal is closed"),
            AppendError::Full => f.write_str("too much waits for the journal's disk: try again later"),
            AppendError::Fenced => {
                f.write_str("the journal is held under another epoch: this owner must stop")
            }
            AppendError::TooLarge { bytes, limit } => {
                write!(f, "a decision of {bytes} bytes does not fit the journal, whose limit is {limit}")
            }
            AppendError::PlanMissing => {
                f.write_str("a beginning was appended without the plan that it names")
            }
        }
    }
}

impl std::error::Error for AppendError {}
