//! YAML to JSON, without a change of meaning: what JSON cannot say is refused.

use super::cursor::{Cursor, is_null};
use super::number::{self, Number};
use super::template::{Place, Scope};
use super::yaml::{Entry, Scalar, Value};
use serde_json::Value as Json;
use unanimo_expression::{JsonTemplate, Template};

impl Cursor<'_> {
    /// The value as a JSON body, with expressions in its strings. Everything wrong in it is noted.
    pub fn body(self, scope: &Scope) -> Option<Json> {
        let body = self.json(scope)?;
        match JsonTemplate::compile(&body) {
            Ok(_) => Some(body),
            // The strings have been checked one by one: only the whole can still be wrong.
            Err(error) => {
                self.wrong(error.error.message);
                None
            }
        }
    }

    fn json(self, scope: &Scope) -> Option<Json> {
        match &self.node.value {
            Value::Scalar(Scalar { text, plain: true, .. }) => self.plain(text, scope),
            Value::Scalar(_) => self.template(Place::Body, scope).map(Json::from),
            Value::Sequence(elements) => {
                let elements = elements.iter().map(|node| Cursor { node, ..self }.json(scope));
                // Every element is read before the first failure counts.
                elements.collect::<Vec<_>>().into_iter().collect::<Option<Vec<_>>>().map(Json::from)
            }
            Value::Mapping(entries) => {
                let members = entries.iter().map(|entry| self.member(entry, scope));
                members.collect::<Vec<_>>().into_iter().collect::<Option<_>>().map(Json::Object)
            }
        }
    }

    fn member(self, entry: &Entry, scope: &Scope) -> Option<(String, Json)> {
        let value = Cursor { node: &entry.value, ..self }.json(scope);
        let fault = match Template::parse(&entry.key) {
            Ok(name) if name.references().next().is_none() => None,
            Ok(_) => Some("an expression may stand in a member's value, not in its name".to_owned()),
            Err(error) => Some(error.message),
        };
        if let Some(fault) = fault {
            self.notes.wrong(entry.key_span, fault);
            return None;
        }
        Some((entry.key.clone(), value?))
    }

    fn plain(self, text: &str, scope: &Scope) -> Option<Json> {
        match text {
            _ if is_null(text) => return Some(Json::Null),
            "true" | "True" | "TRUE" => return Some(Json::Bool(true)),
            "false" | "False" | "FALSE" => return Some(Json::Bool(false)),
            _ => {}
        }
        match number::parse(text) {
            Number::None => self.template(Place::Body, scope).map(Json::from),
            Number::Exact(number) => Some(Json::Number(number)),
            Number::Refused(why) => {
                self.wrong_but(format!("`{text}` {why}"), format!("as text it is written `\"{text}\"`"));
                None
            }
        }
    }
}
