//! One tree out of the files of a folder: mappings unite key by key, lists follow each other, and what is said twice is
//! a mistake.

use super::mistake::Notes;
use super::yaml::{Entry, Node, Value};

/// Unites the files' trees, in their order; `None` where one of them is no mapping, which is then noted.
pub fn merge(trees: Vec<Node>, notes: &Notes) -> Option<Node> {
    if trees.len() == 1 {
        return trees.into_iter().next();
    }
    let span = trees.first()?.span;
    let mut merged: Vec<Entry> = Vec::new();
    let mut complete = true;
    for tree in trees {
        let kind = tree.kind();
        let Value::Mapping(entries) = tree.value else {
            notes.wrong(tree.span, format!("the configuration is a mapping of keys to values, not {kind}"));
            complete = false;
            continue;
        };
        for entry in entries {
            match merged.iter_mut().find(|known| known.key == entry.key) {
                Some(known) => unite(known, entry, notes),
                None => merged.push(entry),
            }
        }
    }
    complete.then_some(Node { span, value: Value::Mapping(merged) })
}

/// Adds what another file says of the same key.
fn unite(known: &mut Entry, entry: Entry, notes: &Notes) {
    let span = entry.key_span;
    match (&mut known.value.value, entry.value.value) {
        (Value::Mapping(entries), Value::Mapping(more)) => {
            for entry in more {
                match entries.iter().find(|known| known.key == entry.key) {
                    Some(first) => twice(&entry, first, notes),
                    None => entries.push(entry),
                }
            }
        }
        (Value::Sequence(elements), Value::Sequence(more)) => elements.extend(more),
        (_, value) => {
            let entry =
                Entry { key: entry.key, key_span: span, value: Node { span: entry.value.span, value } };
            twice(&entry, known, notes);
        }
    }
}

fn twice(entry: &Entry, first: &Entry, notes: &Notes) {
    let at = notes.source().mention(first.key_span.start, entry.key_span.start);
    notes.wrong(entry.key_span, format!("`{}` is already said on {at}", entry.key));
}
