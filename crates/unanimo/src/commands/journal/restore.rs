//! `unanimo journal restore`: a journal out of a backup, under a node of its own.

use super::{Failed, copy_history, look, say, verify};
use std::collections::BTreeSet;
use std::path::PathBuf;
use unanimo_journal::{Files, Restored};
use unanimo_runtime::history;

/// Make a journal of a backup, with what was unfinished in quarantine
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Restore {
    /// A backup, or the directory of a journal that no gateway runs on
    from: PathBuf,
    /// The directory to make
    directory: PathBuf,
    /// Keep the node: the original was closed, and never starts again
    #[arg(long)]
    moved: bool,
}

const HELP: &str = "\
A backup is older than what it was made of: a verdict may exist that only the
lost original knew. So the new journal gets a node of its own. Of the old
node's transactions, finished ones keep their answers, and the history beside
the backup comes with them; unfinished ones are quarantined: nothing is called
until an operator has resolved each. Services that ask for an unknown id of
the old node hear `not-mine`, never `rollback`.

Example:
  $ unanimo journal restore /backup/2026-11-21 /var/lib/unanimo/journal
  $ unanimo run gateway.yaml
  $ unanimo transactions list

Ends with:
  0  the journal is there, synced and read back
  1  the backup is damaged, a gateway runs on it, the directory is not empty,
     or, with --moved, the original was not ended in good order
  2  it cannot be read or written

Read on: docs/backup.md";

impl Restore {
    pub fn run(self) -> Result<(), Failed> {
        let from = look(&self.from)?;
        let mut to = Files::open(&self.directory)?;
        let how = if self.moved { Restored::Moved } else { Restored::Quarantined };
        let made = unanimo_journal::restore((&from, &self.from), (&mut to, &self.directory), how)?;
        verify::as_text(&self.directory, &made).iter().for_each(|line| say(line));
        copy_history(&self.from.join(history::FILE), &self.directory, &BTreeSet::new())
    }
}
