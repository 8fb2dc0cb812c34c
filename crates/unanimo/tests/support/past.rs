//! The history's file, held against the databases and against every answer that a client got.

use super::banks::rows;
use super::clients::Story;
use super::world::Facts;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::Path;
use unanimo_contract::Id;

/// What a history says.
pub struct Past {
    /// Whether each finished transaction was committed, by its id.
    pub committed: BTreeMap<String, bool>,
    /// What does not fit together within the file.
    pub flaws: Vec<String>,
}

/// Reads the file of a gateway that has ended.
pub fn read(file: &Path) -> Past {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let (mut committed, mut flaws) = (BTreeMap::new(), Vec::new());
    let found = rows(&connection, "SELECT id, verdict FROM transactions ORDER BY number", |row| {
        Ok((Id::from_bits(u128::from_be_bytes(row.get(0)?)).to_string(), row.get(1)?))
    });
    for (id, verdict) in found {
        if committed.insert(id.clone(), verdict).is_some() {
            flaws.push(format!("twice in history: {id}"));
        }
    }
    let whole = rows(&connection, "PRAGMA integrity_check", |row| row.get::<_, String>(0));
    flaws.extend(whole.into_iter().filter(|said| said != "ok"));
    let gaps = "SELECT max(number) - min(number) + 1 - count(*) FROM transactions";
    let gaps = rows(&connection, gaps, |row| row.get::<_, Option<i64>>(0));
    flaws.extend(
        gaps.iter().flatten().filter(|gaps| **gaps != 0).map(|gaps| format!("{gaps} numbers are missing")),
    );
    Past { committed, flaws }
}

/// Everything that history says otherwise, or does not say: each finished transaction stands there once, with its verdict.
///
/// Of what was rolled back without a key nothing need ever have been written. Where history forgets, what it has must be
/// right.
pub fn judge(past: &Past, facts: &Facts, stories: &[Story], forgets: bool) -> Vec<String> {
    let mut flaws = past.flaws.clone();
    for (id, committed) in &past.committed {
        if *committed != facts.effects.contains_key(id) {
            flaws.push(format!("{id}: in history committed is {committed}, in the databases it is not"));
        }
    }
    if !forgets {
        let missing = facts.effects.keys().filter(|id| !past.committed.contains_key(*id));
        flaws.extend(missing.map(|id| format!("{id} has effects, and is not in history")));
    }
    for story in stories {
        for told in &story.told {
            match past.committed.get(&told.transaction) {
                Some(committed) if *committed == told.is_committed() => {}
                None if forgets || (!told.is_committed() && story.key.is_none()) => {}
                found => flaws.push(format!("a client was told {told:?}, history says {found:?}")),
            }
        }
    }
    flaws
}
