//! `unanimo journal verify`: reads every byte as a start would, and says what is there.

use super::{Failed, directory, look, say};
use crate::commands::units::grouped;
use crate::table::{self, Column, Give};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};
use unanimo_journal::{Inspection, Kind, SegmentFacts, inspect};

/// Read every byte as a start would, and say what is there
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Verify {
    /// The journal's directory, a backup, or a configuration
    path: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Takes no lock and changes nothing. What a running gateway is writing at this
moment may show as a torn tail. Damage is told with its file and byte.

Example:
  $ unanimo journal verify /var/lib/unanimo/journal
  /var/lib/unanimo/journal: the journal of node 5be0cd19, start 3
  SEGMENT  FORMAT  START  OPENED                           USED  BATCHES
        1       2      3  Sat, 21 Nov 2026 17:45:20 GMT  88,021      412
  batches    412, the last of them 412; 411 has a witness that it was durable
  records    1,630
  open       2 transactions
  whole: everything that was durable is readable

Ends with:
  0  it is whole; there may be a torn tail, of which nobody was told
  1  it is damaged: something that was durable is no longer there
  2  it cannot be read, or another version wrote it

Read on: docs/journal-format.md, docs/backup.md";

impl Verify {
    pub fn run(self) -> Result<(), Failed> {
        let directory = directory(&self.path)?;
        let found = inspect(&look(&directory)?, &directory, |_| ())?;
        if self.json {
            say(&as_json(&directory, &found).to_string());
        } else {
            as_text(&directory, &found).iter().for_each(|line| say(line));
        }
        Ok(())
    }
}

/// What stands in a directory, for people.
pub fn as_text(directory: &Path, found: &Inspection) -> Vec<String> {
    let what = match found.kind {
        Kind::Journal => "the journal",
        Kind::Backup => "a backup of the journal",
    };
    let mut lines =
        vec![format!("{}: {what} of node {}, start {}", directory.display(), found.node, found.epoch.0)];
    lines.extend(table::lines(
        COLUMNS,
        &found.segments.iter().map(row).collect::<Vec<_>>(),
        table::terminal_width(),
    ));
    let report = &found.report;
    let number = |number: u64| grouped(number);
    lines.push(format!(
        "batches    {}, the last of them {}; {} has a witness that it was durable",
        number(report.batches),
        report.last.number(),
        report.durable.number()
    ));
    let left_over = match report.leftovers {
        0 => String::new(),
        some => format!(", and {} whose beginning was dropped", number(some)),
    };
    lines.push(format!("records    {}{left_over}", number(report.records)));
    lines.push(format!("open       {} transactions", number(report.open as u64)));
    if let Some(restored) = found.restored {
        lines.push(format!(
            "restored   segments up to {restored} came from a backup: what is open there is quarantined"
        ));
    }
    if let Some(torn) = &report.torn {
        lines.push(format!(
            "torn tail  {} at byte {}: never synced, nobody was told of it; or being written now",
            torn.path.display(),
            torn.offset
        ));
    }
    lines.push("whole: everything that was durable is readable".to_owned());
    lines
}

const COLUMNS: [Column; 7] = [
    Column::number("SEGMENT", Give::Nothing),
    Column::number("FORMAT", Give::Away(3)),
    Column::number("START", Give::Away(2)),
    Column::new("OPENED", Give::Away(1)),
    Column::number("BYTES", Give::Away(4)),
    Column::number("USED", Give::Nothing),
    Column::number("BATCHES", Give::Nothing),
];

fn row(segment: &SegmentFacts) -> [String; 7] {
    [
        segment.number.to_string(),
        segment.version.to_string(),
        segment.epoch.0.to_string(),
        httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(segment.opened_unix)),
        grouped(segment.size),
        grouped(segment.end),
        grouped(segment.batches),
    ]
}

fn as_json(directory: &Path, found: &Inspection) -> Value {
    let segment = |segment: &SegmentFacts| {
        json!({
            "segment": segment.number.0,
            "format": segment.version,
            "node": segment.node.to_string(),
            "start": segment.epoch.0,
            "opened_unix": segment.opened_unix,
            "bytes": segment.size,
            "used": segment.end,
            "batches": segment.batches,
        })
    };
    let report = &found.report;
    json!({
        "directory": directory.display().to_string(),
        "kind": match found.kind { Kind::Journal => "journal", Kind::Backup => "backup" },
        "node": found.node.to_string(),
        "start": found.epoch.0,
        "restored_up_to": found.restored.map(|restored| restored.0),
        "segments": found.segments.iter().map(segment).collect::<Vec<_>>(),
        "batches": report.batches,
        "last_batch": report.last.number(),
        "durable_batch": report.durable.number(),
        "records": report.records,
        "left_over": report.leftovers,
        "open": report.open,
        "closed": report.closed,
        "torn": report.torn.as_ref().map(|torn| json!({
            "file": torn.path.display().to_string(),
            "offset": torn.offset,
        })),
    })
}
