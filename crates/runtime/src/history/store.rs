//! The writing side: takes what has ended, in one commit with how far that is. It knows no thread and no clock.

use super::error::{Error, refused};
use super::{prune, schema};
use bytes::Bytes;
use rusqlite::{Connection, Transaction, params};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unanimo_contract::plan::digest;
use unanimo_contract::{Digest, Id, Key, Node, Plan, Token, Verdict};

/// A finished transaction, as a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Past {
    pub(crate) id: Id,
    pub(crate) token: Token,
    pub(crate) plan: Arc<Named>,
    pub(crate) verdict: Verdict,
    /// As bits.
    pub(crate) flags: u8,
    pub(crate) cause: Option<(u8, Option<u8>)>,
    pub(crate) began_unix_ms: u64,
    pub(crate) ended_unix_ms: u64,
    /// The idempotency key, and until when it stands for this transaction.
    pub(crate) key: Option<(Key, u64)>,
    /// What the client was told, as it is stored.
    pub(crate) answer: Bytes,
    /// Everything that is only shown.
    pub(crate) detail: Vec<u8>,
}

/// A plan, as the journal holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) digest: Digest,
    pub(crate) stored: Bytes,
    pub(crate) plan: Plan,
}

/// The file, open to write. There is one of these.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    /// Everything that ended in this batch of the journal or before is here, or was pruned.
    covered: u64,
    plans: BTreeMap<Digest, i64>,
    /// The numbers of the rows: each follows the one before it, so that they say how many there are.
    pub(crate) rows: prune::Numbers,
    pub(crate) keys: prune::Numbers,
}

impl Store {
    /// Opens the file, and makes it where it is not there. Positions of another node's journal mean nothing here.
    pub(crate) fn open(path: &Path, node: Node) -> Result<Store, Error> {
        let connection = schema::open(path, node.0)?;
        let empty = prune::Numbers::default();
        let mut store = Store {
            connection,
            path: path.to_owned(),
            covered: 0,
            plans: BTreeMap::new(),
            rows: empty,
            keys: empty,
        };
        store.adopt(node).and_then(|()| store.reload()).map_err(|error| refused("read", path, &error))?;
        Ok(store)
    }

    fn adopt(&mut self, node: Node) -> rusqlite::Result<()> {
        let node = i64::from(node.0);
        let known: i64 = self.connection.query_row("SELECT node FROM about", [], |row| row.get(0))?;
        if known != node {
            self.connection.execute("UPDATE about SET node = ?1, batch = 0", [node])?;
        }
        Ok(())
    }

    /// Reads again what is kept in memory of the file.
    fn reload(&mut self) -> rusqlite::Result<()> {
        let batch: i64 = self.connection.query_row("SELECT batch FROM about", [], |row| row.get(0))?;
        self.covered = batch as u64;
        self.rows = prune::Numbers::read(&self.connection, "transactions")?;
        self.keys = prune::Numbers::read(&self.connection, "keys")?;
        let mut plans = self.connection.prepare_cached("SELECT digest, number FROM plans")?;
        let plans = plans.query_map([], |row| Ok((Digest(row.get(0)?), row.get(1)?)))?;
        self.plans = plans.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    /// The batch of the journal up to which everything that has ended is here.
    pub(crate) fn covered(&self) -> u64 {
        self.covered
    }

    /// Takes what has ended up to this batch, durably, or nothing of it. What is here already is left as it is.
    pub(crate) fn take(&mut self, ended: &[Past], covered: u64) -> Result<(), Error> {
        let taken = self.insert(ended, covered);
        if taken.is_err() {
            // Numbers that were given out stand nowhere. Where this fails as well, the next attempt says so.
            let _ = self.reload();
        }
        taken.map_err(|error| refused("write", &self.path, &error))
    }

    fn insert(&mut self, ended: &[Past], covered: u64) -> rusqlite::Result<()> {
        let Store { connection, plans, rows, keys, .. } = self;
        let transaction = connection.transaction()?;
        for past in ended {
            let plan = match plans.get(&past.plan.digest) {
                Some(number) => *number,
                None => {
                    let number = insert_plan(&transaction, &past.plan)?;
                    plans.insert(past.plan.digest, number);
                    number
                }
            };
            if insert_row(&transaction, rows.next, plan, past)? {
                rows.next += 1;
                if let Some((key, until)) = &past.key {
                    insert_key(&transaction, keys.next, past.id, key, *until)?;
                    keys.next += 1;
                }
            }
        }
        let batch = i64::try_from(covered).unwrap_or(i64::MAX);
        transaction.prepare_cached("UPDATE about SET batch = ?1")?.execute([batch])?;
        transaction.commit()?;
        self.covered = covered;
        Ok(())
    }

    /// Gives out the keys that still stand for something: scope and fingerprint, the transaction, and until when.
    pub(crate) fn each_key(&self, unix_ms: u64, mut each: impl FnMut(Key, Id, u64)) -> Result<(), Error> {
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(
                "SELECT scope, fingerprint, id, until_ms FROM keys WHERE until_ms > ?1 ORDER BY number",
            )?;
            let mut rows = statement.query([clamped(unix_ms)])?;
            while let Some(row) = rows.next()? {
                let key = Key { scope: Digest(row.get(0)?), fingerprint: Digest(row.get(1)?) };
                each(key, id_of(row.get(2)?), row.get::<_, i64>(3)? as u64);
            }
            Ok(())
        };
        read().map_err(|error| refused("read", &self.path, &error))
    }

    /// Forgets the numbers of plans that pruning has taken out.
    pub(crate) fn forget_plans(&mut self, gone: &[i64]) {
        self.plans.retain(|_, number| !gone.contains(number));
    }
}

fn insert_plan(transaction: &Transaction<'_>, plan: &Named) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("INSERT INTO plans (digest, route, mode, plan) VALUES (?1, ?2, ?3, ?4)")?
        .insert(params![plan.digest.0, plan.plan.route, plan.plan.mode, &plan.stored[..]])
}

/// `false` where this transaction is here already. A number that is taken is an error: a process that this one replaces
/// may still write, and what it has written is read before the next attempt.
fn insert_row(transaction: &Transaction<'_>, number: i64, plan: i64, past: &Past) -> rusqlite::Result<bool> {
    let (cause, fault) = past.cause.map_or((None, None), |(cause, fault)| (Some(cause), fault));
    let mut statement = transaction.prepare_cached(
        "INSERT INTO transactions (number, id, token, plan, verdict, flags, cause, fault, began_ms, ended_ms, \
         key, answer, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (id) DO NOTHING",
    )?;
    let inserted = statement.execute(params![
        number,
        id_bytes(past.id),
        token_hash(past.id, past.token).0,
        plan,
        past.verdict == Verdict::Commit,
        past.flags,
        cause,
        fault,
        clamped(past.began_unix_ms),
        clamped(past.ended_unix_ms),
        past.key.map(|(key, _)| key.scope.0),
        &past.answer[..],
        &past.detail[..],
    ])?;
    Ok(inserted == 1)
}

fn insert_key(
    transaction: &Transaction<'_>,
    number: i64,
    id: Id,
    key: &Key,
    until: u64,
) -> rusqlite::Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO keys (number, id, scope, fingerprint, until_ms) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (id) DO NOTHING",
    )?;
    statement.execute(params![number, id_bytes(id), key.scope.0, key.fingerprint.0, clamped(until)])?;
    Ok(())
}

/// An id as a column: highest byte first, so that ids sort as numbers do.
pub(crate) fn id_bytes(id: Id) -> [u8; 16] {
    id.bits().to_be_bytes()
}

pub(crate) fn id_of(bytes: [u8; 16]) -> Id {
    Id::from_bits(u128::from_be_bytes(bytes))
}

/// What is kept of a token: enough to know it again, and not enough to use it.
pub(crate) fn token_hash(id: Id, token: Token) -> Digest {
    digest(&[b"status token", &id_bytes(id), &token.0.to_le_bytes()])
}

/// A time or a count as a column: SQLite's numbers have a sign.
pub(crate) fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
