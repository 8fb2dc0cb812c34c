//! What is kept of finished transactions, and how long; and how long idempotency keys are promised.

use super::cursor::{Cursor, Fields};
use std::path::Path;
use std::time::Duration;
use unanimo_coordinator::KeyPromise;
use unanimo_runtime::history::{Config, FILE, Retention};

/// Longer than anybody keeps what has ended.
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

const SECOND: Duration = Duration::from_secs(1);
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

/// Reads `history`. Its file is reckoned from the configuration's folder; where none is named, it stands in the
/// journal's directory, so that one lock guards both.
pub fn history(fields: &Fields, journal: Option<&Path>) -> (Config, KeyPromise) {
    let file = journal.map(|directory| directory.join(FILE)).unwrap_or_default();
    let mut config = Config { file, retention: Retention::default() };
    let mut promise = KeyPromise::default();
    let known = ["file", "retention", "keys"];
    if let Some(fields) = fields.get("history").and_then(|cursor| cursor.fields("`history`", &known)) {
        let folder = fields.notes().source().folder();
        fields.set("file", &mut config.file, |cursor| cursor.text().map(|file| folder.join(file)));
        retention(&fields, &mut config.retention);
        keys(&fields, &mut promise);
    }
    config.retention.keys = promise.count;
    (config, promise)
}

fn retention(fields: &Fields, retention: &mut Retention) {
    let known = ["time", "transactions", "size"];
    let fields = fields.get("retention").and_then(|cursor| cursor.fields("`retention`", &known));
    let Some(fields) = fields else { return };
    fields.set("time", &mut retention.time, |cursor| cursor.duration(SECOND..=YEARS));
    let transactions = |cursor: Cursor| cursor.count(1..=1_000_000_000).map(|count| count as u64);
    fields.set("transactions", &mut retention.transactions, transactions);
    fields.set("size", &mut retention.size, |cursor| cursor.size(MIB..=TIB));
}

fn keys(fields: &Fields, promise: &mut KeyPromise) {
    let fields = fields.get("keys").and_then(|cursor| cursor.fields("`keys`", &["time", "count"]));
    let Some(fields) = fields else { return };
    fields.set("time", &mut promise.time, |cursor| cursor.duration(SECOND..=YEARS));
    fields.set("count", &mut promise.count, |cursor| cursor.count(1..=100_000_000));
}
