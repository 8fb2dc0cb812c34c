//! The configuration's text, and places in it.

use std::path::{Path, PathBuf};

/// A file's text.
#[derive(Debug)]
pub struct Source {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
}

/// A piece of the text, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Source {
    /// The folder from which the file's relative paths are reckoned.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// The text of a piece.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The line (from 1) in which a byte stands, and the line's own first byte.
    pub fn line(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, start)
    }

    /// The text of the line that begins at `start`.
    pub fn line_text(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default()
    }
}
