//! `unanimo journal backup`: a copy of what is durable, taken while the gateway runs.

use super::{Failed, directory, look, say, verify};
use std::path::PathBuf;
use unanimo_journal::Files;

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
and is read back before the command ends. No gateway starts on a backup: it
is restored first. Its file system should not be the journal's.

Example:
  $ unanimo journal backup gateway.yaml /backup/2026-11-21

Ends with:
  0  the backup is there, synced and read back
  1  the journal is damaged, or the destination is not empty
  2  it cannot be read or written

Read on: docs/backup.md";

impl Backup {
    pub fn run(self) -> Result<(), Failed> {
        let directory = directory(&self.path)?;
        let from = look(&directory)?;
        let to = Files::open(&self.destination)?;
        let copied = unanimo_journal::backup((&from, &directory), (&to, &self.destination))?;
        verify::as_text(&self.destination, &copied).iter().for_each(|line| say(line));
        Ok(())
    }
}
