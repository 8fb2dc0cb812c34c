//! A scope over plain maps, as the tests need it.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use unanimo_expression::{Document, Reason, Reference, Scope, Step, Value};

/// A request with a body, and everything else by the canonical spelling of its reference.
#[derive(Default)]
pub struct World {
    pub body: Option<Document>,
    pub texts: BTreeMap<String, String>,
}

impl World {
    pub fn with_body(json: impl Into<Bytes>) -> Self {
        Self { body: Some(Document::parse(json.into()).unwrap()), ..Self::default() }
    }

    pub fn and(mut self, reference: &str, text: &str) -> Self {
        self.texts.insert(reference.to_owned(), text.to_owned());
        self
    }
}

impl Scope for World {
    fn value(&self, reference: &Reference) -> Result<Value<'_>, Reason> {
        match reference {
            Reference::RequestBody(path) => {
                let body = self.body.as_ref().ok_or(Reason::NotJson)?;
                Ok(Value::Json(Cow::Borrowed(body.get(path)?)))
            }
            other => {
                let text = self.texts.get(&other.to_string()).ok_or(Reason::Missing)?;
                Ok(Value::Text(Cow::Borrowed(text)))
            }
        }
    }
}

pub fn member(name: &str) -> Step {
    Step::Member(name.to_owned())
}
