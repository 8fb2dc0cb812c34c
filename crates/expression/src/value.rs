//! What a reference stands for, and why it may stand for nothing.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::{Reference, text};

/// Where a template's values come from: the request, the transaction, the branches' answers.
pub trait Scope {
    /// The value at `reference`, or why there is none.
    fn value(&self, reference: &Reference) -> Result<Value<'_>, Reason>;
}

/// A value as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// One JSON token, byte for byte, without whitespace around it, such as [`Document::get`] returns.
    ///
    /// [`Document::get`]: crate::Document::get
    Json(Cow<'a, [u8]>),
    /// Plain text: a header, a captured part of the path, an id.
    Text(Cow<'a, str>),
}

impl Value<'_> {
    /// The text that the value stands for inside other text: strings unescaped, numbers as they were written.
    pub fn text(&self) -> Result<Cow<'_, str>, Reason> {
        match self {
            Value::Text(text) => Ok(Cow::Borrowed(text)),
            Value::Json(token) => text::of_token(token),
        }
    }
}

/// A value that cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrenderable {
    /// Which one: a reference, or a whole expression.
    pub what: Box<str>,
    /// Why not.
    pub reason: Reason,
}

impl Unrenderable {
    pub(crate) fn new(what: impl ToString, reason: Reason) -> Self {
        Self { what: what.to_string().into(), reason }
    }
}

/// Why a value cannot be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no such value.
    Missing,
    /// A member on the way to it stands twice in its object.
    Ambiguous,
    /// It is an object or an array, and text is needed.
    NotText,
    /// The body it should be taken from is not JSON.
    NotJson,
    /// It contains a character that cannot stand there: in a header all but visible ASCII and spaces, in any
    /// text one half of a surrogate pair.
    ForbiddenCharacter,
    /// It is empty, and would make a path lose a segment.
    EmptySegment,
    /// It is `.` or `..`, and would make a path lead elsewhere.
    DotSegment,
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Missing => "is missing",
            Reason::Ambiguous => "is ambiguous: a member on the way to it stands there more than once",
            Reason::NotText => "is an object or an array where text is needed",
            Reason::NotJson => "cannot be read, because the body is not JSON",
            Reason::ForbiddenCharacter => "contains a character that cannot stand there",
            Reason::EmptySegment => "is empty, and cannot be part of a path",
            Reason::DotSegment => "is `.` or `..`, and cannot be part of a path",
        })
    }
}

impl Display for Unrenderable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.what, self.reason)
    }
}

impl Error for Unrenderable {}
