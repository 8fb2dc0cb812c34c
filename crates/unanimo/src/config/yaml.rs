//! YAML as a tree in which every value knows where it stands.
//!
//! The text of a plain scalar is kept as it was written: whoever reads it knows what it should be, and a number keeps
//! its digits. YAML 1.2 without tags, merge keys and keys that are no scalars, since a reader of the file could take
//! them for something else than the program does.

use super::mistake::Notes;
use super::source::{SourceFile, Span};
use granit_parser::{Event, Parser, ScalarStyle, StructureStyle};
use std::collections::BTreeMap;

/// How deep values may nest.
const MAX_DEPTH: usize = 64;

/// How many values all aliases together may repeat.
const MAX_REPEATED: usize = 10_000;

const QUOTE_EXPRESSIONS: &str =
    "between `{ }` and `[ ]` what begins with `$` stands in quotation marks: `\"${…}\"`, `\"$env{…}\"`";

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Of a mapping or list, its first key or element.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text, a number, `true`, or nothing at all.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping; its keys differ from each other.
    Mapping(Vec<Entry>),
}

/// A value without parts.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text, with quotation marks and escapes undone.
    pub text: String,
    /// Whether it stood without quotation marks, so that it may mean a number, `true`, or nothing.
    pub plain: bool,
    /// Whether all of it came from one variable of the environment.
    pub is_variable: bool,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// Reads the one document of a file. `None` where it is no YAML, which is then noted.
pub fn read(file: &SourceFile, notes: &Notes) -> Option<Node> {
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let parser = Parser::new_from_str_with_options(&file.text, options);
    let mut reader = Reader { parser, file, notes, anchors: BTreeMap::new(), repeated: 0 };
    let root = reader.document()?;
    Some(root)
}

struct Reader<'a, 's, P> {
    parser: P,
    file: &'a SourceFile,
    notes: &'a Notes<'s>,
    /// What aliases stand for.
    anchors: BTreeMap<usize, Node>,
    repeated: usize,
}

type Parsed<'s> = Result<(Event<'s>, granit_parser::Span), granit_parser::ScanError>;

impl<'s, P: Iterator<Item = Parsed<'s>>> Reader<'_, 's, P> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_none() => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?);
                }
                Event::DocumentStart(..) => {
                    self.notes.wrong(span, "a second document begins here: a configuration is one document");
                    return None;
                }
                _ => break,
            }
        }
        if root.is_none() {
            let start = self.file.start;
            self.notes.wrong(Span { start, end: start }, "the file says nothing");
        }
        root
    }

    fn next(&mut self) -> Option<(Event<'s>, Span)> {
        match self.parser.next() {
            Some(Ok((event, span))) => {
                let start = self.file.start;
                let at = |marker: granit_parser::Marker| start + marker.byte_offset().unwrap_or(0);
                Some((event, Span { start: at(span.start), end: at(span.end) }))
            }
            None => {
                let end = self.file.start + self.file.text.trim_end().len();
                self.notes.wrong(Span { start: end, end }, "the file ends too early");
                None
            }
            Some(Err(error)) => {
                let length = self.file.text.trim_end().len();
                let start = error.marker().byte_offset().unwrap_or(0).min(length.saturating_sub(1));
                let message = format!("this is not YAML: {}", error.info());
                let (_, line) = self.file.line(start);
                let line = self.file.line_text(line);
                let start = self.file.start + start;
                match line.contains("${") || line.contains("$env{") {
                    true => self.notes.wrong_but(Span { start, end: start }, message, QUOTE_EXPRESSIONS),
                    false => self.notes.wrong(Span { start, end: start }, message),
                }
                None
            }
        }
    }

    fn node(&mut self, event: Event<'s>, span: Span, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            self.notes.wrong(span, format!("values nest at most {MAX_DEPTH} deep"));
            return None;
        }
        let (anchor, tag, node) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                    is_variable: false,
                };
                (anchor, tag, Node { span, value: Value::Scalar(value) })
            }
            Event::SequenceStart(style, anchor, tag) => (anchor, tag, self.sequence(style, span, depth)?),
            Event::MappingStart(style, anchor, tag) => (anchor, tag, self.mapping(style, span, depth)?),
            Event::Alias(anchor) => return self.alias(anchor, span, depth),
            _ => {
                self.notes.wrong(span, "a value is missing here");
                return None;
            }
        };
        if tag.is_some() {
            self.notes.wrong_but(
                span,
                "tags are not used here",
                "write text in quotation marks, and numbers without",
            );
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn sequence(&mut self, style: StructureStyle, span: Span, depth: usize) -> Option<Node> {
        let mut elements = Vec::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            elements.push(self.node(event, at, depth + 1)?);
        }
        let first = elements.first().map(|node: &Node| node.span);
        Some(Node { span: opening(style, span, first), value: Value::Sequence(elements) })
    }

    fn mapping(&mut self, style: StructureStyle, span: Span, depth: usize) -> Option<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = BTreeMap::new();
        loop {
            let (event, at) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, at, depth + 1)?;
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            let Value::Scalar(Scalar { text, plain, .. }) = key.value else {
                self.notes.wrong(key.span, "a key is text");
                continue;
            };
            if plain && text == "<<" {
                let help = "repeat a whole value with an alias, such as `limits: *limits`";
                self.notes.wrong_but(key.span, "merge keys are no part of YAML 1.2, and not read", help);
            } else if let Some(first) = seen.insert(text.clone(), key.span.start) {
                let at = self.notes.source().mention(first, key.span.start);
                self.notes.wrong(key.span, format!("`{text}` stands here twice: it is already on {at}"));
            } else {
                entries.push(Entry { key: text, key_span: key.span, value });
            }
        }
        let first = entries.first().map(|entry| entry.key_span);
        Some(Node { span: opening(style, span, first), value: Value::Mapping(entries) })
    }

    fn alias(&mut self, anchor: usize, span: Span, depth: usize) -> Option<Node> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.notes.wrong(span, "an alias cannot stand inside what it repeats");
            return None;
        };
        let (values, height) = size(node);
        self.repeated += values;
        if depth + height > MAX_DEPTH || self.repeated > MAX_REPEATED {
            let message = format!(
                "aliases repeat at most {MAX_REPEATED} values, and values nest at most {MAX_DEPTH} deep"
            );
            self.notes.wrong(span, message);
            return None;
        }
        Some(node.clone())
    }
}

/// Where a list or mapping begins for a reader: at its bracket, or at its first part.
fn opening(style: StructureStyle, span: Span, first: Option<Span>) -> Span {
    match (style, first) {
        (StructureStyle::Block, Some(first)) => first,
        _ => Span { start: span.start, end: span.start + 1 },
    }
}

/// How many values a value has, itself included, and how deep they nest.
fn size(node: &Node) -> (usize, usize) {
    let parts: Box<dyn Iterator<Item = &Node>> = match &node.value {
        Value::Scalar(_) => Box::new(std::iter::empty()),
        Value::Sequence(elements) => Box::new(elements.iter()),
        Value::Mapping(entries) => Box::new(entries.iter().map(|entry| &entry.value)),
    };
    let (values, height) =
        parts.map(size).fold((0, 0), |(values, height), part| (values + part.0, height.max(part.1)));
    (values + 1, height + 1)
}
