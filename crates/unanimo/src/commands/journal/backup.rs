//! `unanimo journal backup`: a copy of what is durable, taken while the gateway runs.

use super::{Failed, Places, copy_history, look, places, say, verify};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use unanimo_contract::Id;
use unanimo_journal::{Entry, Files, inspect};
use unanimo_protocol::Record;

/// Copy what is durable into a new directory, while the gateway runs
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Backup {
    /// The journal's directory, or a configuration
    path: PathBuf,
    /// The directory to make
    destination: PathBuf,
}

const HELP: &str = "\
The copy holds every batch that was durable 50 ms before, in whole segments,
and is read back before the command ends. The history of what has finished is
copied beside it. No gateway starts on a backup: it is restored first. Its
file system should not be the journal's.

Example:
  $ unanimo journal backup gateway.yaml /backup/2026-11-21

Ends with:
  0  the backup is there, synced and read back
  1  the journal is damaged, or the destination is not empty
  2  it cannot be read or written

Read on: docs/backup.md";

impl Backup {
    pub fn run(self) -> Result<(), Failed> {
        let Places { journal, history } = places(&self.path)?;
        let from = look(&journal)?;
        let to = Files::open(&self.destination)?;
        let copied = unanimo_journal::backup((&from, &journal), (&to, &self.destination))?;
        verify::as_text(&self.destination, &copied).iter().for_each(|line| say(line));
        // After the journal: what a segment had that was dropped before it could be copied stands in the history.
        copy_history(&history, &self.destination, &open(&to, &self.destination)?)
    }
}

/// What has not ended in this journal.
fn open(disk: &Files, directory: &Path) -> Result<BTreeSet<Id>, Failed> {
    let mut open = BTreeSet::new();
    inspect(disk, directory, |seen| {
        let Entry::Record(settled) = &seen.replayed.entry else { return };
        match settled.record() {
            Record::Begun(_) => drop(open.insert(seen.replayed.transaction)),
            Record::Ended => drop(open.remove(&seen.replayed.transaction)),
            _ => {}
        }
    })?;
    Ok(open)
}
