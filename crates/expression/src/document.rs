//! A JSON document, checked once, of which members are copied out byte for byte.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

use crate::scan::{self, Tokens};
use crate::{Reason, Step, text};

/// A JSON document, checked once. It keeps the bytes it was made of: nothing is parsed into numbers or strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// One JSON value, without the whitespace around it.
    token: Bytes,
}

impl Document {
    /// Checks that `bytes` are one JSON value in UTF-8, nested at most 128 deep.
    pub fn parse(bytes: Bytes) -> Result<Document, InvalidJson> {
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| InvalidJson::at(&bytes, error.valid_up_to(), "the text is not UTF-8"))?;
        scan::check(text).map_err(|fault| InvalidJson::at(&bytes, fault.offset, fault.message))?;
        let token = Tokens::of_text(&bytes).next().unwrap_or_default();
        Ok(Document { token: bytes.slice_ref(token) })
    }

    /// The value at the end of `path`, as it stands in the document.
    ///
    /// A name that stands twice in an object on the way is [`Reason::Ambiguous`]: another reader of the same
    /// document may see the other one. What stands inside the value is not looked at.
    pub fn get(&self, path: &[Step]) -> Result<&[u8], Reason> {
        let mut token: &[u8] = &self.token;
        for step in path {
            token = match (step, token.first()) {
                (Step::Member(name), Some(b'{')) => member(token, name)?,
                (Step::Index(index), Some(b'[')) => {
                    Tokens::inside(token).nth(*index).ok_or(Reason::Missing)?
                }
                _ => return Err(Reason::Missing),
            };
        }
        Ok(token)
    }
}

/// The value of a member of a checked object.
pub(crate) fn member<'a>(object: &'a [u8], name: &str) -> Result<&'a [u8], Reason> {
    let mut found = None;
    let mut tokens = Tokens::inside(object);
    while let (Some(key), Some(value)) = (tokens.next(), tokens.next()) {
        let inside = key.get(1..key.len() - 1).unwrap_or_default();
        if text::stands_for(inside, name) && found.replace(value).is_some() {
            return Err(Reason::Ambiguous);
        }
    }
    found.ok_or(Reason::Missing)
}

/// Where and why a text is not JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidJson {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl InvalidJson {
    fn at(bytes: &[u8], offset: usize, message: &str) -> Self {
        let before = &bytes[..offset.min(bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        Self { line, column, message: message.to_owned() }
    }
}

impl Display for InvalidJson {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON: {} at line {} column {}", self.message, self.line, self.column)
    }
}

impl Error for InvalidJson {}
