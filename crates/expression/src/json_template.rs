//! A JSON body with expressions in its strings.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;
use serde_json::Value as Json;

use crate::cel::Program;
use crate::mask::{self, MASK_JSON};
use crate::template::{Part, dependencies};
use crate::{
    Dependency, Document, ParseError, Reason, Reference, Scope, Template, Unrenderable, Value, text,
};

/// How deep a template may nest.
const MAX_DEPTH: usize = 32;

/// A JSON body with expressions in its strings.
///
/// A string that is one expression and nothing else becomes the value itself, byte for byte: a number keeps
/// every digit, a string its escapes. In other strings, the values' text is inserted.
#[derive(Clone, Debug)]
pub struct JsonTemplate {
    pieces: Box<[Piece]>,
}

/// The body, from left to right.
#[derive(Clone, Debug)]
enum Piece {
    /// JSON text as it is to be written.
    Literal(Box<[u8]>),
    /// A whole value.
    Whole(Reference),
    /// A whole value that is computed.
    WholeComputed(Box<Program>),
    /// A string begins: what follows, up to `Close`, stands inside it.
    Open,
    /// Part of a string.
    Inside(Reference),
    /// Part of a string that is computed.
    InsideComputed(Box<Program>),
    /// A string ends.
    Close,
}

impl JsonTemplate {
    /// Compiles `value`: expressions may stand in all its strings, but not in its members' names.
    pub fn compile(value: &Json) -> Result<JsonTemplate, InvalidTemplate> {
        let mut compiler = Compiler::default();
        compiler
            .value(value)
            .map_err(|error| InvalidTemplate { pointer: compiler.pointer.concat(), error })?;
        compiler.end_literal();
        Ok(JsonTemplate { pieces: compiler.pieces.into() })
    }

    /// What the expressions name, in the order in which they stand; what is named twice comes twice.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.dependencies().map(|dependency| dependency.reference)
    }

    /// The same, with what is needed only if it is there.
    pub fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        self.pieces.iter().flat_map(Piece::dependencies)
    }

    /// Appends the rendered body to `out`, or leaves `out` as it was.
    pub fn render(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
        let start = out.len();
        let rendered = self.pieces.iter().try_for_each(|piece| piece.render(scope, out));
        rendered.inspect_err(|_| out.truncate(start))
    }

    /// Renders those parts that name nothing but what is known, and says how long they are: what comes of it is no body.
    pub fn probe(
        &self,
        scope: &dyn Scope,
        is_known: impl Fn(&Reference) -> bool,
    ) -> Result<usize, Unrenderable> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            if piece.dependencies().all(|dependency| is_known(dependency.reference)) {
                piece.render(scope, &mut out)?;
            }
        }
        Ok(out.len())
    }

    /// Appends the rendered body to `out`, with `null` for each value and each string that cannot be rendered;
    /// returns why they could not.
    pub fn render_or_null(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Vec<Unrenderable> {
        let mut failures = Vec::new();
        let mut pieces = self.pieces.iter();
        let mut value_at = out.len();
        while let Some(piece) = pieces.next() {
            if matches!(piece, Piece::Open | Piece::Whole(_) | Piece::WholeComputed(_)) {
                value_at = out.len();
            }
            if let Err(failure) = piece.render(scope, out) {
                failures.push(failure);
                out.truncate(value_at);
                out.extend_from_slice(b"null");
                if matches!(piece, Piece::Inside(_) | Piece::InsideComputed(_)) {
                    pieces.by_ref().find(|piece| matches!(piece, Piece::Close));
                }
            }
        }
        failures
    }
}

impl JsonTemplate {
    /// What was rendered, with [`MASK`](crate::MASK) for each value and each string that names a secret. What this
    /// template cannot have rendered is hidden as a whole.
    pub fn mask(&self, rendered: &Bytes, is_secret: impl Fn(&Reference) -> bool) -> Bytes {
        let masked = Document::parse(rendered.clone()).ok().and_then(|_| self.masked(rendered, is_secret));
        masked.map_or(Bytes::from_static(MASK_JSON), Bytes::from)
    }

    fn masked(&self, rendered: &[u8], is_secret: impl Fn(&Reference) -> bool) -> Option<Vec<u8>> {
        let (mut out, mut rest) = (Vec::with_capacity(rendered.len()), rendered);
        let mut pieces = self.pieces.iter();
        while let Some(piece) = pieces.next() {
            if let Piece::Literal(json) = piece {
                rest = rest.strip_prefix(&**json)?;
                out.extend_from_slice(json);
                continue;
            }
            let mut hides = piece.dependencies().any(|it| is_secret(it.reference));
            if matches!(piece, Piece::Open) {
                let string = pieces.by_ref().take_while(|piece| !matches!(piece, Piece::Close));
                hides = string.fold(hides, |hides, piece| {
                    hides || piece.dependencies().any(|it| is_secret(it.reference))
                });
            }
            let (value, after) = rest.split_at_checked(mask::value_length(rest)?)?;
            out.extend_from_slice(if hides { MASK_JSON } else { value });
            rest = after;
        }
        rest.is_empty().then_some(out)
    }
}

impl Piece {
    fn dependencies(&self) -> impl Iterator<Item = Dependency<'_>> {
        let (bare, program) = match self {
            Piece::Whole(reference) | Piece::Inside(reference) => (Some(reference), None),
            Piece::WholeComputed(program) | Piece::InsideComputed(program) => (None, Some(&**program)),
            Piece::Literal(_) | Piece::Open | Piece::Close => (None, None),
        };
        dependencies(bare, program)
    }

    fn render(&self, scope: &dyn Scope, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
        match self {
            Piece::Literal(json) => out.extend_from_slice(json),
            Piece::Open | Piece::Close => out.push(b'"'),
            Piece::Whole(reference) => scope
                .value(reference)
                .map(|value| push_whole(&value, out))
                .map_err(|reason| Unrenderable::new(reference, reason))?,
            Piece::WholeComputed(program) => program.push_json(scope, out)?,
            Piece::InsideComputed(program) => program.with_text(scope, |text| {
                text::escape(text, out);
                Ok(())
            })?,
            Piece::Inside(reference) => scope
                .value(reference)
                .and_then(|value| push_inside(&value, out))
                .map_err(|reason| Unrenderable::new(reference, reason))?,
        }
        Ok(())
    }
}

fn push_whole(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Json(token) => out.extend_from_slice(token),
        Value::Text(text) => {
            out.push(b'"');
            text::escape(text, out);
            out.push(b'"');
        }
    }
}

fn push_inside(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    text::escape(&value.text()?, out);
    Ok(())
}

#[derive(Default)]
struct Compiler {
    pieces: Vec<Piece>,
    literal: Vec<u8>,
    /// The way to the value under way: the parts of a JSON pointer.
    pointer: Vec<String>,
}

impl Compiler {
    fn value(&mut self, value: &Json) -> Result<(), ParseError> {
        if self.pointer.len() > MAX_DEPTH {
            return Err(ParseError::new(0, format!("a body nests at most {MAX_DEPTH} deep")));
        }
        match value {
            Json::Null => self.literal.extend_from_slice(b"null"),
            Json::Bool(value) => self.literal.extend_from_slice(value.to_string().as_bytes()),
            Json::Number(number) => self.literal.extend_from_slice(number.to_string().as_bytes()),
            Json::String(text) => self.string(text)?,
            Json::Array(elements) => self.array(elements)?,
            Json::Object(members) => self.object(members)?,
        }
        Ok(())
    }

    fn array(&mut self, elements: &[Json]) -> Result<(), ParseError> {
        self.literal.push(b'[');
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.literal.push(b',');
            }
            self.pointer.push(format!("/{index}"));
            self.value(element)?;
            self.pointer.pop();
        }
        self.literal.push(b']');
        Ok(())
    }

    fn object(&mut self, members: &serde_json::Map<String, Json>) -> Result<(), ParseError> {
        self.literal.push(b'{');
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                self.literal.push(b',');
            }
            self.pointer.push(format!("/{}", name.replace('~', "~0").replace('/', "~1")));
            self.name(name)?;
            self.literal.push(b':');
            self.value(value)?;
            self.pointer.pop();
        }
        self.literal.push(b'}');
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<(), ParseError> {
        let template = Template::parse(name)?;
        if template.references().next().is_some() {
            return Err(ParseError::new(0, "an expression may stand in a member's value, not in its name"));
        }
        self.string(name)
    }

    fn string(&mut self, source: &str) -> Result<(), ParseError> {
        let parts = Template::parse(source)?.into_parts().into_vec();
        match <[Part; 1]>::try_from(parts) {
            Ok([Part::Value(reference)]) => self.push(Piece::Whole(reference)),
            Ok([Part::Computed(program)]) => self.push(Piece::WholeComputed(program)),
            Ok(parts) => self.mixed(parts.into()),
            Err(parts) => self.mixed(parts),
        }
        Ok(())
    }

    fn mixed(&mut self, parts: Vec<Part>) {
        let plain = parts.iter().all(|part| matches!(part, Part::Literal(..)));
        if plain {
            self.literal.push(b'"')
        } else {
            self.push(Piece::Open)
        }
        for part in parts {
            match part {
                Part::Literal(_, text) => text::escape(&text, &mut self.literal),
                Part::Value(reference) => self.push(Piece::Inside(reference)),
                Part::Computed(program) => self.push(Piece::InsideComputed(program)),
            }
        }
        if plain { self.literal.push(b'"') } else { self.push(Piece::Close) }
    }

    fn push(&mut self, piece: Piece) {
        self.end_literal();
        self.pieces.push(piece);
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal).into()));
        }
    }
}

/// What is wrong in a body, and in which of its strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidTemplate {
    /// A JSON pointer (RFC 6901) to the string, or to the value that nests too deep.
    pub pointer: String,
    /// What is wrong with it; the offset counts inside it.
    pub error: ParseError,
}

impl Display for InvalidTemplate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(f, "{}", self.error),
            pointer => write!(f, "{pointer}: {}", self.error),
        }
    }
}

impl Error for InvalidTemplate {}
