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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Of the configuration as a whole: it stands at no place.
    pub fn of_whole(message: String) -> Mistake {
        Mistake { severity: Severity::Error, place: None, message, help: None }
    }

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
    /// What stands in messages in place of what the environment has brought.
    secrets: RefCell<Vec<Secret>>,
    /// Where all has been said that can be said.
    settled: RefCell<Vec<Span>>,
}

/// A text that no message repeats.
#[derive(Debug)]
struct Secret {
    text: String,
    shown: String,
    /// Whether it is hidden wherever it stands, and not only where it is quoted alone.
    everywhere: bool,
}

/// A shorter text is no secret, and would be hidden in words that have nothing to do with it.
const SECRET_BYTES: usize = 4;

impl<'s> Notes<'s> {
    /// Nothing is wrong yet.
    pub fn new(source: &'s Source) -> Notes<'s> {
        Notes { source, found: RefCell::default(), secrets: RefCell::default(), settled: RefCell::default() }
    }

    /// The text that is being read.
    pub fn source(&self) -> &'s Source {
        self.source
    }

    /// From now on messages show what the file says, and not the text that came of it by these variables.
    pub fn keep_secret(&self, written: &str, text: &str, variables: Vec<(String, String)>) {
        let mut secrets = self.secrets.borrow_mut();
        let quoted = |text: &str| format!("`{text}`");
        secrets.push(Secret { text: quoted(text), shown: quoted(written), everywhere: false });
        for (name, text) in variables {
            let everywhere = text.len() >= SECRET_BYTES;
            secrets.push(Secret { text, shown: format!("$env{{{name}}}"), everywhere });
        }
        secrets.retain(|secret| secret.everywhere || secret.text.starts_with('`'));
        // What holds another one is hidden as a whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.text.len()));
    }

    /// What stands here could not be made out: whatever else would be said of it makes no sense.
    pub fn settle(&self, span: Span) {
        self.settled.borrow_mut().push(span);
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
        found.sort_by(|a, b| order(a).cmp(&order(b)));
        found
    }

    fn note(&self, severity: Severity, span: Span, message: String, help: Option<String>) {
        if self.settled.borrow().iter().any(|it| (it.start..it.end).contains(&span.start)) {
            return;
        }
        let file = self.source.file_at(span.start);
        let (start, end) = (span.start - file.start, span.end.saturating_sub(file.start));
        let (line, line_start) = file.line(start);
        let text = file.line_text(line_start);
        let characters = |from: usize, to: usize| {
            file.text.get(from..to.min(line_start + text.len())).map_or(0, |text| text.chars().count())
        };
        let place = Place {
            file: file.file.clone(),
            line,
            column: characters(line_start, start) + 1,
            width: characters(start, end).max(1),
            text: text.to_owned(),
        };
        let (message, help) = (self.masked(message), help.map(|help| self.masked(help)));
        // A value that aliases repeat is wrong once.
        let is_known = |other: &Mistake| other.place.as_deref() == Some(&place) && other.message == message;
        let mut found = self.found.borrow_mut();
        if !found.iter().any(is_known) {
            found.push(Mistake { severity, place: Some(Box::new(place)), message, help });
        }
    }

    fn masked(&self, text: String) -> String {
        self.secrets.borrow().iter().fold(text, |text, secret| text.replace(&secret.text, &secret.shown))
    }
}

/// Files were read in the order of their names' bytes.
fn order(mistake: &Mistake) -> Option<(&[u8], usize, usize)> {
    use std::os::unix::ffi::OsStrExt;
    let place = mistake.place.as_ref()?;
    Some((place.file.as_os_str().as_bytes(), place.line, place.column))
}
