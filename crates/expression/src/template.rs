//! Text with `${…}` in it, rendered for the place where it will stand.

use crate::place::{self, PathChecker, Place};
use crate::{ParseError, Reference, Scope, Unrenderable, path};

/// Text with `${…}` in it. `$${` stands for a literal `${`.
#[derive(Clone, Debug)]
pub struct Template {
    source: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Text, and where it begins in the source.
    Literal(usize, Box<str>),
    Value(Reference),
}

impl Template {
    /// Parses `text`; the error says where it is wrong.
    pub fn parse(text: &str) -> Result<Template, ParseError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let (mut at, mut literal_at) = (0, 0);
        while let Some(found) = text[at..].find("${") {
            let before = &text[at..at + found];
            let inside = at + found + "${".len();
            literal.push_str(before);
            if before.ends_with('$') {
                literal.push('{');
                at = inside;
                continue;
            }
            push_literal(&mut parts, literal_at, &mut literal);
            let (reference, behind) = path::parse(text, inside)?;
            parts.push(Part::Value(reference));
            (at, literal_at) = (behind, behind);
        }
        literal.push_str(&text[at..]);
        push_literal(&mut parts, literal_at, &mut literal);
        Ok(Template { source: text.into(), parts: parts.into() })
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the expressions name, in the order in which they stand; what is named twice comes twice.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value(reference) => Some(reference),
            Part::Literal(..) => None,
        })
    }

    /// Renders plain text.
    pub fn render_text(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Text)
    }

    /// Renders a header's value: nothing but visible ASCII and spaces, whatever the values contain. In the
    /// template's own text, what [`check_header`](Self::check_header) refuses becomes a space.
    pub fn render_header(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Header)
    }

    /// Renders a path: each expression becomes a percent-encoded part of one segment. In the template's own
    /// text, characters that [`check_path`](Self::check_path) refuses are percent-encoded.
    pub fn render_path(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Path)
    }

    /// Checks that the template's own text may stand in a header's value.
    pub fn check_header(&self) -> Result<(), ParseError> {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(offset, text) => place::check_header(*offset, text),
            Part::Value(_) => Ok(()),
        })
    }

    /// Checks that the template's own text makes a valid absolute path: without a query, and without segments
    /// that are empty, `.` or `..`.
    pub fn check_path(&self) -> Result<(), ParseError> {
        let mut checker = PathChecker::default();
        for part in &self.parts {
            match part {
                Part::Literal(offset, text) => checker.literal(*offset, text)?,
                Part::Value(_) => checker.value()?,
            }
        }
        checker.end()
    }

    pub(crate) fn into_parts(self) -> Box<[Part]> {
        self.parts
    }

    fn render(&self, scope: &dyn Scope, place: Place) -> Result<String, Unrenderable> {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(_, text) => place.push_literal(text, &mut out),
                Part::Value(reference) => scope
                    .value(reference)
                    .and_then(|value| place.push_value(&value.text()?, &mut out))
                    .map_err(|reason| Unrenderable::new(reference, reason))?,
            }
        }
        Ok(out)
    }
}

fn push_literal(parts: &mut Vec<Part>, offset: usize, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(offset, std::mem::take(literal).into()));
    }
}
