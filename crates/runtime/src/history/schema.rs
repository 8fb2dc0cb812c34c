//! The file: its tables, how it is opened, and what happens to one that cannot be read.
//!
//! `docs/history.md` has every column. A number in each file says which version wrote it.

use super::error::{Error, refused};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `UNAN`: tells our files from others, also for `file`.
const APPLICATION: i32 = 0x554e_414e;

/// The version of the tables.
pub(crate) const SCHEMA: i64 = 1;

/// The version of what stands in `detail`.
const FORMAT: i64 = 1;

/// How long a connection waits for another one. Readers never hold up the writer, nor the writer them; only the moment
/// in which a file is opened or closed asks for more.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE about (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    format INTEGER NOT NULL,
    node INTEGER NOT NULL,
    batch INTEGER NOT NULL
);
CREATE TABLE plans (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    route TEXT NOT NULL,
    mode TEXT NOT NULL,
    plan BLOB NOT NULL
);
CREATE TABLE transactions (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    token BLOB NOT NULL,
    plan INTEGER NOT NULL,
    verdict INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    cause INTEGER,
    fault INTEGER,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    key BLOB,
    answer BLOB NOT NULL,
    detail BLOB NOT NULL
);
CREATE INDEX lists ON transactions (plan, verdict, began_ms, id);
CREATE INDEX keyed ON transactions (key) WHERE key IS NOT NULL;
CREATE INDEX flagged ON transactions (began_ms, id) WHERE flags <> 0;
CREATE TABLE keys (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    scope BLOB NOT NULL,
    fingerprint BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    answer BLOB
);
";

/// Opens the file to write, and makes it where it is not there.
pub(crate) fn open(path: &Path, node: u32) -> Result<Connection, Error> {
    let made = make(path).map_err(|error| Error::Refused {
        doing: "make",
        path: path.to_owned(),
        why: error.to_string(),
    })?;
    let failed = |error: rusqlite::Error| refused("open", path, &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    if !made {
        check_owner(&connection, path)?;
    }
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    // What another version wrote is left as it is.
    if version != 0 {
        check_version(&connection, path)?;
    }
    if version == 0 {
        // Has to be said before there is a table.
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL").map_err(failed)?;
    }
    tune(&connection).map_err(failed)?;
    if version == 0 {
        create(&mut connection, node).map_err(failed)?;
    }
    Ok(connection)
}

/// Whether anything is in a file that is there; it must be ours, and of a version that this program reads.
pub(crate) fn check(connection: &Connection, path: &Path) -> Result<bool, Error> {
    check_owner(connection, path)?;
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    // Whoever made it was killed before there was a table.
    if version.map_err(|error| refused("open", path, &error))? == 0 {
        return Ok(false);
    }
    check_version(connection, path).map(|()| true)
}

/// Makes an empty file that nobody but its owner reads, as the files beside it will be; `false` where one is there.
pub(crate) fn make(path: &Path) -> io::Result<bool> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(fs::metadata(path)?.len() == 0),
        Err(error) => Err(error),
    }
}

/// Another program's file is not touched.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), Error> {
    let application: i32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(|error| refused("open", path, &error))?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| refused("open", path, &error))?;
    match application {
        APPLICATION => Ok(()),
        0 if tables == 0 => Ok(()),
        application => Err(Error::Foreign { path: path.to_owned(), application }),
    }
}

/// A commit is durable when it returns: segments of the journal are dropped on its word. Nothing is written to a file that
/// is as it should be: a start needs no room.
fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY;",
    )
}

fn create(connection: &mut Connection, node: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute(
        "INSERT INTO about (only, format, node, batch) VALUES (1, ?1, ?2, 0)",
        (FORMAT, i64::from(node)),
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    transaction.commit()
}

fn check_version(connection: &Connection, path: &Path) -> Result<(), Error> {
    let failed = |error: rusqlite::Error| refused("open", path, &error);
    let newer = |what, found, known| Error::Newer { path: path.to_owned(), what, found, known };
    let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if schema != SCHEMA {
        return Err(newer("schema", schema, SCHEMA));
    }
    let format: Option<i64> =
        connection.query_row("SELECT format FROM about", [], |row| row.get(0)).optional().map_err(failed)?;
    match format {
        Some(FORMAT) => Ok(()),
        Some(format) => Err(newer("format", format, FORMAT)),
        None => {
            Err(Error::Damaged { path: path.to_owned(), why: "it does not say which format it has".into() })
        }
    }
}

/// Opens the file to read alone. The writer has made it.
pub(crate) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    Ok(connection)
}

/// Gives a damaged file, and the files that belong to it, a name that says what it is; says which.
pub(crate) fn set_aside(path: &Path, unix_seconds: u64) -> Result<PathBuf, Error> {
    let failed = |error: io::Error| Error::Refused {
        doing: "set aside",
        path: path.to_owned(),
        why: error.to_string(),
    };
    let named = |base: &Path, ending: &str| {
        let mut name = base.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let free = |number: u32| match number {
        0 => named(path, &format!(".damaged-{unix_seconds}")),
        number => named(path, &format!(".damaged-{unix_seconds}-{number}")),
    };
    let aside = (0..1000).map(free).find(|name| !name.exists()).unwrap_or_else(|| free(0));
    for ending in ["-wal", "-shm", ""] {
        match fs::rename(named(path, ending), named(&aside, ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(aside)
}
