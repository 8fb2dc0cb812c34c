//! Text with `${…}` in it, rendered for the place where it will stand.

use crate::cel::Program;
use crate::place::{self, PathChecker, Place};
use crate::{ParseError, Reference, Scope, Unrenderable, bounds, path};

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
    Computed(Box<Program>),
}

/// A value that a template needs from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// Which one.
    pub reference: &'a Reference,
    /// Whether the expression that takes it also asks whether it is there, with `has`.
    pub is_optional: bool,
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
            let end = bounds::end(text, inside)?;
            parts.push(match path::parse(text, inside, end)? {
                Some(reference) => Part::Value(reference),
                None => Part::Computed(Program::compile(text, inside, end)?.into()),
            });
            (at, literal_at) = (end + 1, end + 1);
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
        self.dependencies().map(|dependency| dependency.reference)
    }

    /// The same, with what is needed only if it is there.
    pub fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        self.parts.iter().flat_map(|part| {
            let (bare, program) = match part {
                Part::Literal(..) => (None, None),
                Part::Value(reference) => (Some(reference), None),
                Part::Computed(program) => (None, Some(program)),
            };
            dependencies(bare, program.map(|program| &**program))
        })
    }

    /// Renders plain text.
    pub fn render_text(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Text, |_| true)
    }

    /// Renders a header's value: nothing but visible ASCII and spaces, whatever the values contain. In the
    /// template's own text, what [`check_header`](Self::check_header) refuses becomes a space.
    pub fn render_header(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Header, |_| true)
    }

    /// Renders a path: each expression becomes a percent-encoded part of one segment. In the template's own
    /// text, characters that [`check_path`](Self::check_path) refuses are percent-encoded.
    pub fn render_path(&self, scope: &dyn Scope) -> Result<String, Unrenderable> {
        self.render(scope, Place::Path, |_| true)
    }

    /// Renders those parts of a header's value that name nothing but what is known, and says how long they are.
    pub fn probe_header(
        &self,
        scope: &dyn Scope,
        is_known: impl Fn(&Reference) -> bool,
    ) -> Result<usize, Unrenderable> {
        self.render(scope, Place::Header, is_known).map(|text| text.len())
    }

    /// The same with the parts of a path.
    pub fn probe_path(
        &self,
        scope: &dyn Scope,
        is_known: impl Fn(&Reference) -> bool,
    ) -> Result<usize, Unrenderable> {
        self.render(scope, Place::Path, is_known).map(|text| text.len())
    }

    /// Checks that the template's own text may stand in a header's value.
    pub fn check_header(&self) -> Result<(), ParseError> {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(offset, text) => place::check_header(*offset, text),
            Part::Value(_) | Part::Computed(_) => Ok(()),
        })
    }

    /// Checks that the template's own text makes a valid absolute path: without a query, and without segments
    /// that are empty, `.` or `..`.
    pub fn check_path(&self) -> Result<(), ParseError> {
        let mut checker = PathChecker::default();
        for part in &self.parts {
            match part {
                Part::Literal(offset, text) => checker.literal(*offset, text)?,
                Part::Value(_) | Part::Computed(_) => checker.value()?,
            }
        }
        checker.end()
    }

    pub(crate) fn into_parts(self) -> Box<[Part]> {
        self.parts
    }

    fn render(
        &self,
        scope: &dyn Scope,
        place: Place,
        is_known: impl Fn(&Reference) -> bool,
    ) -> Result<String, Unrenderable> {
        let mut out = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(_, text) => place.push_literal(text, &mut out),
                Part::Value(reference) if !is_known(reference) => {}
                Part::Computed(program) if !program.needs().all(|need| is_known(&need.reference)) => {}
                Part::Value(reference) => scope
                    .value(reference)
                    .and_then(|value| place.push_value(&value.text()?, &mut out))
                    .map_err(|reason| Unrenderable::new(reference, reason))?,
                Part::Computed(program) => {
                    program.with_text(scope, |text| place.push_value(text, &mut out))?;
                }
            }
        }
        Ok(out)
    }
}

/// What a bare path or a program needs.
pub(crate) fn dependencies<'a>(
    bare: Option<&'a Reference>,
    program: Option<&'a Program>,
) -> impl Iterator<Item = Dependency<'a>> {
    let bare = bare.map(|reference| Dependency { reference, is_optional: false });
    let needs = program.into_iter().flat_map(Program::needs);
    bare.into_iter()
        .chain(needs.map(|need| Dependency { reference: &need.reference, is_optional: need.is_optional }))
}

fn push_literal(parts: &mut Vec<Part>, offset: usize, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(offset, std::mem::take(literal).into()));
    }
}
