//! What an expression names: the address of one value.

use crate::{ParseError, path};
use std::fmt::{self, Display, Formatter, Write as _};

/// A value's address, e.g. `request.body.items[0].sku`. Its `Display` is the canonical spelling, which parses
/// back to the same reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `request.body…`: the request's JSON body, or what the steps lead to.
    RequestBody(Vec<Step>),
    /// `request.headers["x-tenant"]`, in lower case.
    RequestHeader(String),
    /// `request.query.page`: a parameter of the query.
    RequestQuery(String),
    /// `request.parameters.id`: what the route's path captured.
    RequestParameter(String),
    /// `request.method`.
    RequestMethod,
    /// `request.path`.
    RequestPath,
    /// `transaction.id`.
    TransactionId,
    /// `branches.debit.response…`: the JSON body of a branch's answer, or what the steps lead to.
    BranchResponse {
        /// The branch's name.
        branch: String,
        /// The way from the body's root.
        path: Vec<Step>,
    },
}

/// One step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `.name` or `["name"]`: a member of an object.
    Member(String),
    /// `[0]`: an element of an array, counted from 0.
    Index(usize),
}

impl Reference {
    /// Reads a bare path, such as `request.body.items[0].sku`.
    pub fn parse(text: &str) -> Result<Reference, ParseError> {
        let path = path::parse(text, 0, text.len())?;
        path.ok_or_else(|| {
            ParseError::new(0, format!("`{text}` is no path, such as `request.body.card.number`"))
        })
    }

    /// Whether one of the two is the other, or a part of it.
    pub fn touches(&self, other: &Reference) -> bool {
        self.is_within(other) || other.is_within(self)
    }

    /// Whether this is `whole`, or a part of it.
    pub(crate) fn is_within(&self, whole: &Reference) -> bool {
        match (self, whole) {
            (Reference::RequestBody(path), Reference::RequestBody(way)) => path.starts_with(way),
            (
                Reference::BranchResponse { branch, path },
                Reference::BranchResponse { branch: other, path: way },
            ) => branch == other && path.starts_with(way),
            _ => self == whole,
        }
    }
}

impl Display for Reference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Reference::RequestBody(path) => {
                f.write_str("request.body")?;
                write_steps(f, path)
            }
            Reference::RequestHeader(name) => write_named(f, "request.headers", name),
            Reference::RequestQuery(name) => write_named(f, "request.query", name),
            Reference::RequestParameter(name) => write_named(f, "request.parameters", name),
            Reference::RequestMethod => f.write_str("request.method"),
            Reference::RequestPath => f.write_str("request.path"),
            Reference::TransactionId => f.write_str("transaction.id"),
            Reference::BranchResponse { branch, path } => {
                write_named(f, "branches", branch)?;
                f.write_str(".response")?;
                write_steps(f, path)
            }
        }
    }
}

/// The characters with which an identifier may begin.
pub(crate) fn begins_identifier(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// The characters with which an identifier may go on.
pub(crate) fn continues_identifier(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// CEL's keywords: none of them may follow a dot.
pub(crate) fn is_keyword(name: &str) -> bool {
    matches!(name, "false" | "in" | "null" | "true")
}

fn write_steps(f: &mut Formatter<'_>, path: &[Step]) -> fmt::Result {
    path.iter().try_for_each(|step| match step {
        Step::Member(name) => write_member(f, name),
        Step::Index(index) => write!(f, "[{index}]"),
    })
}

fn write_named(f: &mut Formatter<'_>, root: &str, name: &str) -> fmt::Result {
    f.write_str(root)?;
    write_member(f, name)
}

fn write_member(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    let mut bytes = name.bytes();
    let plain = bytes.next().is_some_and(begins_identifier) && bytes.all(continues_identifier);
    if plain && !is_keyword(name) {
        return write!(f, ".{name}");
    }
    f.write_str("[\"")?;
    for character in name.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            _ if character.is_control() => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_str("\"]")
}
