//! What was measured, as one list of figures for each bench.

use serde::Serialize;
use std::fs;
use std::io;
use std::path::Path;

/// One measured value.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The bench.
    pub bench: &'static str,
    /// What was measured.
    pub subject: String,
    /// How many clients or callers there were.
    pub clients: usize,
    /// What of it.
    pub measure: &'static str,
    /// The value; a median where there was more than one round.
    pub value: f64,
    /// In which unit.
    pub unit: &'static str,
}

/// The figures of one bench, while they come in.
pub struct Report {
    bench: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    pub fn new(bench: &'static str) -> Report {
        Report { bench, figures: Vec::new() }
    }

    /// Adds one value.
    pub fn add(
        &mut self,
        subject: &str,
        clients: usize,
        (measure, value, unit): (&'static str, f64, &'static str),
    ) {
        let subject = subject.to_owned();
        self.figures.push(Figure { bench: self.bench, subject, clients, measure, value, unit });
    }

    /// Writes `<bench>.json` below this directory.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        let mut text = serde_json::to_string_pretty(&self.figures)?;
        text.push('\n');
        fs::write(directory.join(format!("{}.json", self.bench)), text)
    }
}
