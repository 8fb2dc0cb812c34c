//! Why the demonstration cannot go on. A wrong audit is none of these: it is a result.

use std::fmt;
use std::fs;
use std::path::Path;

/// How many of a log's last lines are shown.
const LINES: usize = 15;

/// What went wrong.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Something outside of our processes.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure(what.into())
    }

    /// A file that cannot be made, written or read.
    pub fn file(path: &Path, error: impl fmt::Display) -> Failure {
        Failure(format!("{}: {error}", path.display()))
    }

    /// A process that does not do what it must, and what it said last.
    pub fn process(what: &str, log: &Path) -> Failure {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES));
        let last: String = last.map(|line| format!("\n    {line}")).collect();
        let last = if last.is_empty() { " nothing" } else { &last };
        Failure(format!("{what}\n  the end of {}:{last}", log.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
