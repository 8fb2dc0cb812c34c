//! `unanimo journal dump|verify|backup|restore`: the journal's files, for people.

mod backup;
mod dump;
mod restore;
mod verify;

use crate::commands::units::grouped;
use crate::config;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use unanimo_contract::Id;
use unanimo_journal::{Error, Files};
use unanimo_runtime::history::{self, Copied};

/// Look into a journal, back it up, and restore it
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Journal {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Each takes the journal's directory, or the configuration that names it. All
but `restore` may be used while the gateway runs: it does not notice.

Example:
  $ unanimo journal verify /var/lib/unanimo/journal
  $ unanimo journal dump gateway.yaml --transaction 0a8sd8p0r0000g0000000rq7tm
  $ unanimo journal backup gateway.yaml /backup/2026-11-21
  $ unanimo journal restore /backup/2026-11-21 /var/lib/unanimo/journal

Ends with:
  0  it is done, and everything that was durable is readable
  1  the journal is damaged, or what was asked for is refused
  2  it cannot be read or written

Read on: docs/backup.md, docs/journal-format.md";

#[derive(clap::Subcommand)]
enum Command {
    Verify(verify::Verify),
    Dump(dump::Dump),
    Backup(backup::Backup),
    Restore(restore::Restore),
}

impl Journal {
    /// Ends with 0 where it is done, 1 where the journal is damaged or refuses, 2 where it cannot be read or written.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Command::Verify(verify) => verify.run(),
            Command::Dump(dump) => dump.run(),
            Command::Backup(backup) => backup.run(),
            Command::Restore(restore) => restore.run(),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failed { code, why }) => {
                let _ = writeln!(io::stderr(), "{why}");
                ExitCode::from(code)
            }
        }
    }
}

/// Damaged, or refused.
const REFUSED: u8 = 1;
/// It cannot be read or written.
const UNREADABLE: u8 = 2;

/// Why a command could not do what it should.
struct Failed {
    code: u8,
    why: String,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        let code = match &error {
            Error::Io { .. }
            | Error::NoJournal { .. }
            | Error::UnknownVersion { .. }
            | Error::UnknownEntry { .. } => UNREADABLE,
            _ => REFUSED,
        };
        Failed { code, why: format!("error: {error}") }
    }
}

impl From<history::Error> for Failed {
    fn from(error: history::Error) -> Failed {
        let code = match &error {
            history::Error::Damaged { .. } | history::Error::Foreign { .. } => REFUSED,
            _ => UNREADABLE,
        };
        Failed { code, why: format!("error: {error}") }
    }
}

/// Where a gateway keeps what it must not lose.
struct Places {
    journal: PathBuf,
    history: PathBuf,
}

/// The directory of a journal: itself, or the one that a configuration names.
fn directory(path: &Path) -> Result<PathBuf, Failed> {
    Ok(places(path)?.journal)
}

/// A journal's directory, with the history in it, or what a configuration names.
fn places(path: &Path) -> Result<Places, Failed> {
    let holds = |name: &str| path.join(name).is_file();
    if path.is_dir() && (holds("manifest") || holds("backup") || !has_configuration(path)) {
        return Ok(Places { journal: path.to_owned(), history: path.join(history::FILE) });
    }
    match config::load(path) {
        Ok(loaded) => {
            Ok(Places { journal: loaded.config.journal.directory, history: loaded.config.history.file })
        }
        Err(mistakes) => {
            let why: Vec<String> =
                mistakes.iter().map(|mistake| mistake.rendered(false).to_string()).collect();
            Err(Failed { code: UNREADABLE, why: why.join("\n\n") })
        }
    }
}

fn has_configuration(folder: &Path) -> bool {
    let is_yaml = |path: &Path| path.extension().is_some_and(|extension| extension == "yaml");
    folder.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| is_yaml(&entry.path())))
}

/// A look into this directory.
fn look(directory: &Path) -> Result<Files, Failed> {
    Ok(Files::look(directory)?)
}

/// Copies the history beside a journal's copy, and says what it holds.
fn copy_history(from: &Path, directory: &Path, open: &BTreeSet<Id>) -> Result<(), Failed> {
    let copied = history::copy(from, &directory.join(history::FILE), open).map_err(|error| {
        let Failed { code, why } = error.into();
        Failed { code, why: format!("{why}\nThe copy of the journal is whole; no history is beside it.") }
    })?;
    say(&match copied {
        Some(Copied { transactions, keys }) => {
            format!("history    {} finished transactions, {} keys", grouped(transactions), grouped(keys))
        }
        None => "history    none".to_owned(),
    });
    Ok(())
}

/// A line for whoever reads. A closed pipe is the reader's business.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
