//! The configuration's text, of one file or of several, and places in it.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// What is read: one file, or the files of a folder one behind the other.
#[derive(Debug)]
pub struct Source {
    /// What was named: the file or the folder.
    pub named: PathBuf,
    /// Invariant: at least one, and each begins one byte behind the end of the one before.
    files: Vec<SourceFile>,
}

/// A file's text.
#[derive(Debug)]
pub struct SourceFile {
    /// The file.
    pub file: PathBuf,
    /// What it says.
    pub text: String,
    /// Its first byte, counted over all files.
    pub start: usize,
}

/// A piece of the text, in bytes from the beginning of the first file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte behind the last.
    pub end: usize,
}

impl Source {
    /// One file.
    pub fn of(file: impl Into<PathBuf>, text: impl Into<String>) -> Source {
        let file = file.into();
        Source { named: file.clone(), files: vec![SourceFile { file, text: text.into(), start: 0 }] }
    }

    /// The files of a folder, in their order, with their texts; at least one.
    pub fn all(folder: &Path, first: (PathBuf, String), rest: Vec<(PathBuf, String)>) -> Source {
        let mut source = Source { named: folder.to_owned(), ..Source::of(first.0, first.1) };
        for (file, text) in rest {
            let start = source.files.last().map_or(0, |last| last.start + last.text.len() + 1);
            source.files.push(SourceFile { file, text, start });
        }
        source
    }

    /// The files, in the order in which they are read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The SHA-256 of the text of all files, one behind the other, in hexadecimal digits: as `sha256sum` has it.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        self.files.iter().for_each(|file| hasher.update(file.text.as_bytes()));
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The folder from which relative paths are reckoned: that of every file.
    pub fn folder(&self) -> &Path {
        self.files.first().and_then(|first| first.file.parent()).unwrap_or(Path::new(""))
    }

    /// The file in which a byte stands.
    pub fn file_at(&self, at: usize) -> &SourceFile {
        let behind = self.files.partition_point(|file| file.start <= at);
        &self.files[behind.saturating_sub(1)]
    }

    /// The text of a piece.
    pub fn slice(&self, span: Span) -> &str {
        let file = self.file_at(span.start);
        file.text.get(span.start - file.start..span.end - file.start).unwrap_or_default()
    }

    /// Where a byte stands, for a reader who looks at another: the line, and the file where that is another one.
    pub fn mention(&self, at: usize, beside: usize) -> String {
        let file = self.file_at(at);
        let (line, _) = file.line(at - file.start);
        if file.start == self.file_at(beside).start {
            format!("line {line}")
        } else {
            format!("line {line} of `{}`", file.file.display())
        }
    }
}

impl SourceFile {
    /// The line (from 1) in which a byte of this file stands, and the line's own first byte in it.
    pub fn line(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, start)
    }

    /// The text of the line that begins at this byte of the file.
    pub fn line_text(&self, start: usize) -> &str {
        self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_knows_its_file() {
        let pair = |file: &str, text: &str| (PathBuf::from(file), text.to_owned());
        let rest = vec![pair("c/b", "three\nfour"), pair("c/c", "")];
        let source = Source::all(Path::new("c"), pair("c/a", "one\ntwo\n"), rest);
        let starts: Vec<_> = source.files().iter().map(|file| file.start).collect();
        assert_eq!(starts, [0, 9, 20]);
        for (at, file) in [(0, "c/a"), (8, "c/a"), (9, "c/b"), (19, "c/b"), (20, "c/c")] {
            assert_eq!(source.file_at(at).file, Path::new(file), "{at}");
        }
        assert_eq!(source.slice(Span { start: 15, end: 19 }), "four");
        assert_eq!(source.mention(4, 0), "line 2");
        assert_eq!(source.mention(15, 0), "line 2 of `c/b`");
        assert_eq!(source.folder(), Path::new("c"));
    }
}
