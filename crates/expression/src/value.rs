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
    #[cold]
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
    /// It should be taken from an answer that was longer than any that is kept.
    TooLong,
    /// It contains a character that cannot stand there: in a header all but visible ASCII and spaces, in any
    /// text one half of a surrogate pair.
    ForbiddenCharacter,
    /// It is empty, and would make a path lose a segment.
    EmptySegment,
    /// It is `.` or `..`, and would make a path lead elsewhere.
    DotSegment,
    /// It is an expression that has no result for these values.
    Uncomputable(Fault),
}

/// Why an expression has no result for the values that it met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It would cost more time or memory than an expression may.
    TooCostly,
    /// Its result is larger than a call or an answer may be.
    TooLarge,
    /// An integer beyond 64 bits, or a number beyond a double.
    Overflow,
    /// An integer divided by zero.
    DivisionByZero,
    /// Infinite, or not a number: JSON cannot say that.
    NotFinite,
    /// A list has no element there.
    OutOfRange,
    /// A map has no member of that name.
    NoSuchMember,
    /// A member is asked of what has none.
    NoMembers(Kind),
    /// Elements are asked of what has none.
    NoElements(Kind),
    /// Neither a name nor a place in a list.
    NoIndex(Kind),
    /// An operator or a function that cannot be applied to this kind of value.
    Operand(&'static str, Kind),
    /// An operator or a function that cannot be applied to these two kinds together.
    Operands(&'static str, Kind, Kind),
    /// An operator that needs true or false.
    NotTrueOrFalse(&'static str, Kind),
    /// A text that does not spell what the function makes.
    Conversion(&'static str),
    /// A member's name that is no text.
    NameNotText(Kind),
    /// A map with the same name twice.
    NameTwice,
}

/// The kinds of values that an expression computes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// Any other number.
    Double,
    /// Text.
    Text,
    /// A list: an array in JSON.
    List,
    /// A map: an object in JSON.
    Map,
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Null => "null",
            Kind::Bool => "a bool",
            Kind::Int => "an int",
            Kind::Double => "a double",
            Kind::Text => "a string",
            Kind::List => "a list",
            Kind::Map => "a map",
        })
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooCostly => f.write_str("it costs more than an expression may"),
            Fault::TooLarge => f.write_str("its result is too large"),
            Fault::Overflow => f.write_str("a number is too large"),
            Fault::DivisionByZero => f.write_str("a division by zero"),
            Fault::NotFinite => f.write_str("the result is infinite or not a number"),
            Fault::OutOfRange => f.write_str("a list has no element there"),
            Fault::NoSuchMember => f.write_str("a map has no member of that name"),
            Fault::NoMembers(kind) => write!(f, "{kind} has no members"),
            Fault::NoElements(kind) => write!(f, "{kind} has no elements"),
            Fault::NoIndex(kind) => write!(f, "{kind} is neither a name nor a place in a list"),
            Fault::Operand(name, kind) => write!(f, "`{name}` cannot take {kind}"),
            Fault::Operands(name, left, right) => write!(f, "`{name}` cannot take {left} and {right}"),
            Fault::NotTrueOrFalse(name, kind) => write!(f, "`{name}` needs true or false, not {kind}"),
            Fault::Conversion(name) => write!(f, "`{name}` cannot read this text"),
            Fault::NameNotText(kind) => write!(f, "a member's name is a string, not {kind}"),
            Fault::NameTwice => f.write_str("a map has the same name twice"),
        }
    }
}

impl Display for Reason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Reason::Uncomputable(fault) = self {
            return write!(f, "cannot be computed: {fault}");
        }
        f.write_str(match self {
            Reason::Uncomputable(_) => "cannot be computed",
            Reason::Missing => "is missing",
            Reason::Ambiguous => "is ambiguous: a member on the way to it stands there more than once",
            Reason::NotText => "is an object or an array where text is needed",
            Reason::NotJson => "cannot be read, because the body is not JSON",
            Reason::TooLong => "cannot be read, because the answer is too long",
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
