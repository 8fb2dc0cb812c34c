//! Why the demonstration cannot go on. A wrong audit is none of these: it is a result.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How many of a log's last lines are shown.
const LINES: usize = 15;

/// What went wrong, and whose log knows more.
#[derive(Debug)]
pub struct Failure {
    what: String,
    log: Option<PathBuf>,
}

impl Failure {
    /// Something outside of our processes.
    pub fn new(what: impl Into<String>) -> Failure {
        Failure { what: what.into(), log: None }
    }

    /// A file that cannot be made, written or read.
    pub fn file(path: &Path, error: impl fmt::Display) -> Failure {
        Failure::new(format!("{}: {error}", path.display()))
    }

    /// A process that does not do what it must.
    pub fn process(what: impl Into<String>, log: &Path) -> Failure {
        Failure { what: what.into(), log: Some(log.to_owned()) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        let Some(log) = &self.log else { return Ok(()) };
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        write!(f, "\n  the last lines of {}:", log.display())?;
        if lines.is_empty() {
            write!(f, " (none)")?;
        }
        lines.iter().skip(lines.len().saturating_sub(LINES)).try_for_each(|line| write!(f, "\n    {line}"))
    }
}
