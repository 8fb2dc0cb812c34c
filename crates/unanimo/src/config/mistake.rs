//! What is wrong with a configuration, and where.

use super::source::{Source, Span};
use std::cell::RefCell;
use std::path::PathBuf;

/// Something that is wrong, or only unwise, in a configuration.
#[derive(Clone, Debug)]
pub struct Mistake {
    /// Whether it stops the start.
    pub severity: Severity,
    /// Where it stands; `None` where the file itself is the matter.
    pub place: Option<Box<Place>>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Whether a configuration may be served all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It may not.
    Error,
    /// It may, but somebody should know.
    Warning,
}

/// Where something stands in a file, and what stands there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// The whole line.
    pub text: String,
}

impl Mistake {
    /// Whether it stops the start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Collects what is found wrong, so that all of it can be told at once.
#[derive(Debug)]
pub struct Notes<'s> {
    source: &'s Source,
    found: RefCell<Vec<Mistake>>,
}

impl<'s> Notes<'s> {
    /// Nothing is wrong yet.
    pub fn new(source: &'s Source) -> Notes<'s> {
        Notes { source, found: RefCell::default() }
    }

    /// The text that is being read.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// Notes a mistake.
    pub fn wrong(&self, span: Span, message: impl Into<String>) {
        self.note(Severity::Error, span, message.into(), None);
    }

    /// Notes a mistake, and what to do about it.
    pub fn wrong_but(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Error, span, message.into(), Some(help.into()));
    }

    /// Notes something unwise, and what to do about it.
    pub fn unwise(&self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        self.note(Severity::Warning, span, message.into(), Some(help.into()));
    }

    /// Whether anything stops the start.
    pub fn has_errors(&self) -> bool {
        self.found.borrow().iter().any(Mistake::is_error)
    }

    /// Everything that was found, in the order of the text.
    pub fn into_found(self) -> Vec<Mistake> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|mistake| mistake.place.as_ref().map(|place| (place.line, place.column)));
        found
    }

    fn note(&self, severity: Severity, span: Span, message: String, help: Option<String>) {
        let (line, line_start) = self.source.line(span.start);
        let text = self.source.line_text(line_start);
        let characters = |from: usize, to: usize| {
            self.source.text.get(from..to.min(line_start + text.len())).map_or(0, |text| text.chars().count())
        };
        let place = Place {
            file: self.source.file.clone(),
            line,
            column: characters(line_start, span.start) + 1,
            width: characters(span.start, span.end).max(1),
            text: text.to_owned(),
        };
        self.found.borrow_mut().push(Mistake { severity, place: Some(Box::new(place)), message, help });
    }
}
