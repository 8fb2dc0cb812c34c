//! The configuration's JSON Schema: what an editor needs to complete keys, to explain them, and to mark mistakes.
//!
//! `schema.json` is written by hand, and a test holds it against what the reader knows: every key in either is in both.
//! It says less than the reader: what one part of the file means to another only `unanimo check` knows.

use serde_json::Value;

/// The schema, by the draft of 2020-12.
const TEXT: &str = include_str!("schema.json");

/// The schema of a whole configuration, or of one file in a folder of them, which need not say everything.
pub fn schema(is_part: bool) -> Value {
    // The text is a constant of ours, and a test reads it.
    let mut schema: Value = serde_json::from_str(TEXT).unwrap_or_default();
    if let Some(root) = schema.as_object_mut().filter(|_| is_part) {
        root.remove("required");
    }
    schema
}

#[cfg(test)]
mod tests;
