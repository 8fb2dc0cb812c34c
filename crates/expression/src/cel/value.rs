//! What an expression computes with.

use super::budget::{Budget, MAX_RESULT};
use crate::scan::Tokens;
use crate::value::{Fault, Kind};
use crate::{Reason, document, text};
use std::borrow::Cow;
use std::rc::Rc;

/// A value on its way through an expression.
#[derive(Clone, Debug)]
pub(crate) enum Computed<'a> {
    /// JSON from outside, as it was written. What is only passed on is never looked into, and keeps its bytes.
    Json(&'a [u8]),
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Text<'a>),
    List(Rc<[Computed<'a>]>),
    Map(Rc<[(Text<'a>, Computed<'a>)]>),
}

/// Text that was given, or made.
#[derive(Clone, Debug)]
pub(crate) enum Text<'a> {
    Given(&'a str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Text::Given(text) => text,
            Text::Made(text) => text,
        }
    }
}

impl<'a> Text<'a> {
    fn read(inside: &'a [u8]) -> Result<Text<'a>, Reason> {
        Ok(match text::unescape(inside)? {
            Cow::Borrowed(text) => Text::Given(text),
            Cow::Owned(text) => Text::Made(text.into()),
        })
    }
}

impl<'a> Computed<'a> {
    pub(super) fn made(text: impl Into<Rc<str>>) -> Self {
        Computed::Text(Text::Made(text.into()))
    }

    /// The value with its own kind, where it is not an array or an object: these stay as they were written.
    pub(super) fn open(self, budget: &Budget) -> Result<Computed<'a>, Reason> {
        let Computed::Json(token) = self else { return Ok(self) };
        Ok(match token {
            [b'{' | b'[', ..] => self,
            b"null" => Computed::Null,
            b"true" => Computed::Bool(true),
            b"false" => Computed::Bool(false),
            [b'"', inside @ .., b'"'] => {
                budget.write(inside.len())?;
                Computed::Text(Text::read(inside)?)
            }
            number => {
                budget.read(number.len())?;
                read_number(number)?
            }
        })
    }

    /// Of an opened value.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Computed::Json([b'[', ..]) | Computed::List(_) => Kind::List,
            Computed::Json(_) | Computed::Map(_) => Kind::Map,
            Computed::Null => Kind::Null,
            Computed::Bool(_) => Kind::Bool,
            Computed::Int(_) => Kind::Int,
            Computed::Double(_) => Kind::Double,
            Computed::Text(_) => Kind::Text,
        }
    }

    /// The elements of a list, or the names in a map; `None` for all else. The value is an opened one.
    pub(super) fn elements(&self, budget: &Budget) -> Result<Option<Rc<[Computed<'a>]>>, Reason> {
        Ok(Some(match self {
            Computed::List(elements) => elements.clone(),
            Computed::Map(members) => {
                budget.spend(members.len())?;
                members.iter().map(|(name, _)| Computed::Text(name.clone())).collect()
            }
            Computed::Json(token) => {
                budget.read(token.len())?;
                let step = if token[0] == b'{' { 2 } else { 1 };
                let tokens = Tokens::inside(token).step_by(step);
                let elements = tokens.map(|token| budget.spend(2).map(|()| Computed::Json(token)));
                elements.collect::<Result<_, Reason>>()?
            }
            _ => return Ok(None),
        }))
    }

    /// How many elements or members; `None` for what has none. The value is an opened one.
    pub(super) fn count(&self, budget: &Budget) -> Result<Option<usize>, Reason> {
        Ok(match self {
            Computed::List(elements) => Some(elements.len()),
            Computed::Map(members) => Some(members.len()),
            Computed::Json(token) => {
                budget.read(token.len())?;
                let tokens = Tokens::inside(token).count();
                Some(if token[0] == b'{' { tokens / 2 } else { tokens })
            }
            _ => None,
        })
    }

    /// A member of a map; `None` where there is none. The value is an opened one.
    pub(super) fn member(&self, name: &str, budget: &Budget) -> Result<Option<Computed<'a>>, Reason> {
        match self {
            Computed::Map(members) => {
                budget.spend(members.len())?;
                Ok(members.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.clone()))
            }
            Computed::Json(token @ [b'{', ..]) => {
                budget.read(token.len())?;
                match document::member(token, name) {
                    Ok(token) => Ok(Some(Computed::Json(token))),
                    Err(Reason::Missing) => Ok(None),
                    Err(reason) => Err(reason),
                }
            }
            other => Err(Reason::Uncomputable(Fault::NoMembers(other.kind()))),
        }
    }

    /// An element of a list. The value is an opened one.
    pub(super) fn element(&self, index: usize, budget: &Budget) -> Result<Computed<'a>, Reason> {
        let found = match self {
            Computed::List(elements) => elements.get(index).cloned(),
            Computed::Json(token @ [b'[', ..]) => {
                budget.read(token.len())?;
                Tokens::inside(token).nth(index).map(Computed::Json)
            }
            other => return Err(Reason::Uncomputable(Fault::NoElements(other.kind()))),
        };
        found.ok_or(Reason::Uncomputable(Fault::OutOfRange))
    }

    /// Appends the value as JSON.
    pub(crate) fn push_json(&self, budget: &Budget, out: &mut Vec<u8>) -> Result<(), Reason> {
        let room = out.len() + MAX_RESULT;
        self.push(budget, room, out)
    }

    fn push(&self, budget: &Budget, room: usize, out: &mut Vec<u8>) -> Result<(), Reason> {
        let before = out.len();
        match self {
            Computed::Json(token) => out.extend_from_slice(token),
            Computed::Text(text) => push_text(text.as_str(), out),
            Computed::List(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    element.push(budget, room, out)?;
                }
                out.push(b']');
            }
            Computed::Map(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    push_text(name.as_str(), out);
                    out.push(b':');
                    value.push(budget, room, out)?;
                }
                out.push(b'}');
            }
            scalar => out.extend_from_slice(scalar.text(budget)?.as_str().as_bytes()),
        }
        if out.len() > room {
            return Err(Reason::Uncomputable(Fault::TooLarge));
        }
        budget.write(out.len() - before)
    }

    /// The text that the value stands for inside other text.
    pub(crate) fn text(&self, budget: &Budget) -> Result<Text<'a>, Reason> {
        let made = |text: String| Ok(Text::Made(text.into()));
        match self {
            Computed::Json(token) => {
                budget.write(token.len())?;
                Ok(match text::of_token(token)? {
                    Cow::Borrowed(text) => Text::Given(text),
                    Cow::Owned(text) => Text::Made(text.into()),
                })
            }
            Computed::Null => Ok(Text::Given("null")),
            Computed::Bool(value) => Ok(Text::Given(if *value { "true" } else { "false" })),
            Computed::Int(value) => made(value.to_string()),
            Computed::Double(value) if value.is_finite() => made(value.to_string()),
            Computed::Double(_) => Err(Reason::Uncomputable(Fault::NotFinite)),
            Computed::Text(text) => Ok(text.clone()),
            Computed::List(_) | Computed::Map(_) => Err(Reason::NotText),
        }
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    text::escape(text, out);
    out.push(b'"');
}

/// Whole numbers that fit are integers, all others doubles.
fn read_number(token: &[u8]) -> Result<Computed<'static>, Reason> {
    let text = std::str::from_utf8(token).map_err(|_| Reason::NotJson)?;
    if let Ok(whole) = text.parse() {
        return Ok(Computed::Int(whole));
    }
    match text.parse() {
        Ok(double) if f64::is_finite(double) => Ok(Computed::Double(double)),
        Ok(_) => Err(Reason::Uncomputable(Fault::Overflow)),
        Err(_) => Err(Reason::NotJson),
    }
}
