//! A copy of the file, taken while a gateway may write it, and read back.

use super::error::{Error, refused};
use super::schema;
use super::store::id_bytes;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension, ffi};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use unanimo_contract::Id;

/// What a history's file is called where nothing else is said, and in each backup.
pub const FILE: &str = "history.sqlite";

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Finished transactions.
    pub transactions: u64,
    /// Idempotency keys.
    pub keys: u64,
}

/// Copies a history into a new file, durably; `None` where there is none. Its gateway may run, and waits for nothing.
///
/// `open` are those that have not ended in the journal's copy beside it, which was made before: what has ended since, of
/// them and after them, is left out, so that both copies speak of one moment.
pub fn copy(from: &Path, to: &Path, open: &BTreeSet<Id>) -> Result<Option<Copied>, Error> {
    if !from.exists() {
        return Ok(None);
    }
    let source = schema::open_to_read(from).map_err(|error| refused("open", from, &error))?;
    if !schema::check(&source, from)? {
        return Ok(None);
    }
    // Its name is given to it when it is whole.
    let unfinished = named(to, ".new");
    schema::make(&unfinished).map_err(|error| failed("make", &unfinished, &error))?;
    let copied = whole(&source, &unfinished, open).map_err(|error| refused("copy", from, &error));
    let kept = copied.and_then(|copied| {
        keep(&unfinished, to).map_err(|error| failed("keep", to, &error))?;
        Ok(copied)
    });
    if kept.is_err() {
        // What is left of it is in nobody's way, but it takes room.
        let _ = fs::remove_file(&unfinished);
    }
    kept.map(Some)
}

fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn whole(source: &Connection, to: &Path, open: &BTreeSet<Id>) -> rusqlite::Result<Copied> {
    let mut copy = Connection::open(to)?;
    // All pages as they stand at one moment: in steps, each commit of the gateway would make it begin again. It goes on
    // writing meanwhile, beside the pages that are read.
    match Backup::new(source, &mut copy)?.step(-1)? {
        StepResult::Done => {}
        _ => return Err(with_word(ffi::SQLITE_BUSY, "another program holds it")),
    }
    // One file, which is read from a medium that cannot be written too.
    copy.execute_batch("PRAGMA synchronous = FULL; PRAGMA journal_mode = DELETE;")?;
    leave_out(&mut copy, open)?;
    let copied = verify(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(copied)
}

fn with_word(code: std::ffi::c_int, word: &str) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(word.to_owned()))
}

/// Takes out the ends that the journal's copy does not know. Rows stand in the order of ends: those are the last ones.
fn leave_out(copy: &mut Connection, open: &BTreeSet<Id>) -> rusqlite::Result<()> {
    let transaction = copy.transaction()?;
    let first = first_of(&transaction, "transactions", open)?;
    let key_of_row: Option<i64> = transaction.query_row(
        "SELECT min(number) FROM keys WHERE id IN (SELECT id FROM transactions WHERE number >= ?1)",
        [first],
        |row| row.get(0),
    )?;
    let first_key = first_of(&transaction, "keys", open)?.min(key_of_row.unwrap_or(i64::MAX));
    transaction.execute("DELETE FROM transactions WHERE number >= ?1", [first])?;
    transaction.execute("DELETE FROM keys WHERE number >= ?1", [first_key])?;
    transaction.commit()
}

fn first_of(connection: &Connection, table: &str, open: &BTreeSet<Id>) -> rusqlite::Result<i64> {
    let mut number = connection.prepare(&format!("SELECT number FROM {table} WHERE id = ?1"))?;
    let mut first = i64::MAX;
    for id in open {
        let found: Option<i64> = number.query_row([id_bytes(*id)], |row| row.get(0)).optional()?;
        first = found.map_or(first, |found| found.min(first));
    }
    Ok(first)
}

/// Reads every page of the copy.
fn verify(copy: &Connection) -> rusqlite::Result<Copied> {
    let said: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if said != "ok" {
        return Err(with_word(ffi::SQLITE_CORRUPT, &said));
    }
    let count = |table: &str| {
        copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))
    };
    let as_count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Copied { transactions: as_count(count("transactions")?), keys: as_count(count("keys")?) })
}

fn keep(unfinished: &Path, to: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(doing: &'static str, path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::Refused { doing, path: path.to_owned(), why: why.to_string() }
}
