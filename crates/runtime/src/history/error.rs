//! What can go wrong with the file: whose fault it is, whether to try again, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why history cannot be read or written. No open transaction depends on it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file is not what was written. It is set aside.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How this is known.
        why: String,
    },
    /// The operator's: another program's file.
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its application id.
        application: i32,
    },
    /// The operator's: a later version of Unanimo wrote this.
    Newer {
        /// Which file.
        path: PathBuf,
        /// What is newer: `schema` or `format`.
        what: &'static str,
        /// The file's version.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The machine's, mostly: a full disk, missing rights. Trying again may help.
    Refused {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What was said.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Damaged { path, why } => write!(f, "the history {} is damaged: {why}", path.display()),
            Error::Foreign { path, application } => write!(
                f,
                "{} is another program's file (application id {application:#x}): configure another `history.file`",
                path.display()
            ),
            Error::Newer { path, what, found, known } => write!(
                f,
                "the history {} has {what} {found}, this program knows {known}: use the version that wrote it, or move \
                 the file away, which loses past answers and keys",
                path.display()
            ),
            Error::Refused { doing, path, why } => {
                write!(f, "could not {doing} the history {}: {why}; see to the disk", path.display())
            }
        }
    }
}

impl std::error::Error for Error {}

/// What SQLite says, in our words.
pub(crate) fn refused(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    let (path, why) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::Damaged { path, why },
        _ => Error::Refused { doing, path, why },
    }
}
