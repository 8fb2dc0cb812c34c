//! A way through the tree: what is there, what is missing, and what nobody knows.

use super::likely::suggestion;
use super::mistake::Notes;
use super::source::Span;
use super::yaml::{Entry, Node, Scalar, Value};

/// A value that is being read.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    pub(super) node: &'a Node,
    pub(super) notes: &'a Notes<'a>,
}

/// A mapping whose keys are known.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    what: &'static str,
    span: Span,
    entries: &'a [Entry],
    notes: &'a Notes<'a>,
}

/// A name that the operator has chosen, as the key of a mapping.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// The key.
    pub key: &'a str,
    /// Where the key stands.
    pub key_span: Span,
    /// What it stands for.
    pub value: Cursor<'a>,
}

impl<'a> Cursor<'a> {
    /// The value at this node.
    pub fn new(node: &'a Node, notes: &'a Notes<'a>) -> Cursor<'a> {
        Cursor { node, notes }
    }

    /// The value as it was read.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Where the value stands.
    pub fn span(&self) -> Span {
        self.node.span
    }

    /// Where mistakes are noted.
    pub fn notes(&self) -> &'a Notes<'a> {
        self.notes
    }

    /// Whether it is one value, and neither a mapping nor a list.
    pub fn is_single(&self) -> bool {
        matches!(self.node.value, Value::Scalar(_))
    }

    /// Notes that this value is wrong.
    pub fn wrong(&self, message: impl Into<String>) {
        self.notes.wrong(self.node.span, message);
    }

    /// Notes that this value is wrong, and what to do about it.
    pub fn wrong_but(&self, message: impl Into<String>, help: impl Into<String>) {
        self.notes.wrong_but(self.node.span, message, help);
    }

    /// The value as a mapping with these keys; `what` it is, with its article. Other keys are noted.
    pub fn fields(self, what: &'static str, known: &[&'static str]) -> Option<Fields<'a>> {
        #[cfg(test)]
        known::note(what, known);
        let entries = self.mapping(what)?;
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("{what} has no key `{}`", entry.key);
                self.notes.wrong_but(entry.key_span, message, suggestion(&entry.key, known.iter().copied()));
            } else if entry.value.is_nothing() {
                self.notes.wrong(entry.key_span, format!("`{}` has no value", entry.key));
            }
        }
        Some(Fields { what, span: self.node.span, entries, notes: self.notes })
    }

    /// The value as a mapping whose keys are names of the operator's choice.
    pub fn named(self, what: &'static str) -> Option<Vec<Named<'a>>> {
        let notes = self.notes;
        let name = |entry: &'a Entry| {
            let value = Cursor { node: &entry.value, notes };
            Named { key: &entry.key, key_span: entry.key_span, value }
        };
        Some(self.mapping(what)?.iter().map(name).collect())
    }

    /// The value as a list.
    pub fn elements(self, what: &'static str) -> Option<Vec<Cursor<'a>>> {
        match &self.node.value {
            Value::Sequence(elements) => {
                Some(elements.iter().map(|node| Cursor { node, notes: self.notes }).collect())
            }
            _ => {
                self.wrong(format!("{what} is a list, not {}", self.node.kind()));
                None
            }
        }
    }

    /// The value as a list, or as the one element of a list.
    pub fn one_or_more(self, what: &'static str) -> Option<Vec<Cursor<'a>>> {
        match &self.node.value {
            Value::Scalar(_) => Some(vec![self]),
            _ => self.elements(what),
        }
    }

    fn mapping(self, what: &'static str) -> Option<&'a [Entry]> {
        match &self.node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.wrong(format!("{what} is a mapping of keys to values, not {}", self.node.kind()));
                None
            }
        }
    }
}

impl<'a> Fields<'a> {
    /// The value of a key, if there is one.
    pub fn get(&self, key: &str) -> Option<Cursor<'a>> {
        let entry = self.entry(key).filter(|entry| !entry.value.is_nothing())?;
        Some(Cursor { node: &entry.value, notes: self.notes })
    }

    /// The value of a key that must be there.
    pub fn need(&self, key: &str) -> Option<Cursor<'a>> {
        if self.entry(key).is_none() {
            self.wrong(format!("{} needs `{key}`", self.what));
        }
        self.get(key)
    }

    /// Reads the value of a key, where there is one, in place of the default.
    pub fn set<T>(&self, key: &str, setting: &mut T, read: impl FnOnce(Cursor<'a>) -> Option<T>) {
        if let Some(value) = self.get(key).and_then(read) {
            *setting = value;
        }
    }

    /// Whether a key is there, with or without a value.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where a key stands; the mapping's beginning where it does not.
    pub fn span_of(&self, key: &str) -> Span {
        self.entry(key).map_or(self.span, |entry| entry.key_span)
    }

    /// Where the mapping begins.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Notes that the mapping as a whole is wrong.
    pub fn wrong(&self, message: impl Into<String>) {
        self.notes.wrong(self.span, message);
    }

    /// Where mistakes are noted.
    pub fn notes(&self) -> &'a Notes<'a> {
        self.notes
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Named<'_> {
    /// Notes that the name is wrong.
    pub fn wrong(&self, message: impl Into<String>) {
        self.value.notes.wrong(self.key_span, message);
    }
}

impl Node {
    /// Whether it is YAML's null.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, plain: true, .. }) if is_null(text))
    }

    /// What kind of value it is, for people.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(_) if self.is_nothing() => "nothing",
            Value::Scalar(_) => "a single value",
        }
    }
}

/// How YAML 1.2 spells null.
pub fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

/// What the reader has asked for, for the test that holds the schema against it.
#[cfg(test)]
pub mod known {
    use std::cell::RefCell;

    type Asked = Vec<(&'static str, Vec<&'static str>)>;

    thread_local! {
        static ASKED: RefCell<Asked> = RefCell::default();
    }

    pub fn note(what: &'static str, keys: &[&'static str]) {
        ASKED.with_borrow_mut(|asked| asked.push((what, keys.to_vec())));
    }

    /// Everything on this thread since it was taken last.
    pub fn take() -> Asked {
        ASKED.take()
    }
}
