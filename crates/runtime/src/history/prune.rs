//! Keeps the file within its bounds, in small steps: from the oldest end on, until every bound holds.
//!
//! Rows are numbered in the order in which they came, so that the oldest are the lowest: what goes is a run of them. Pages
//! that become free are written again by what comes next, and given back only where there are far too many.

use super::Retention;
use super::error::{Error, refused};
use super::store::{Store, clamped};
use rusqlite::{Connection, params};

/// So many rows go in one step at most: a few milliseconds.
const STEP: i64 = 500;

/// Free pages beyond a quarter of the file, and beyond this many, are given back to the file system.
const SPARE_PAGES: i64 = 16 * 256;

/// So many pages are given back in one step.
const GIVEN_BACK: i64 = 1024;

/// The numbers of a table's rows: from the first to before the next, without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) first: i64,
    pub(crate) next: i64,
}

impl Numbers {
    pub(crate) fn read(connection: &Connection, table: &str) -> rusqlite::Result<Numbers> {
        // Two questions: SQLite answers each from one end of the table, and both at once by walking all of it.
        let end = |which: &str| -> rusqlite::Result<Option<i64>> {
            connection.query_row(&format!("SELECT {which}(number) FROM {table}"), [], |row| row.get(0))
        };
        let last = end("max")?;
        Ok(Numbers { first: end("min")?.unwrap_or(1), next: last.map_or(1, |last| last + 1) })
    }

    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.next - self.first).unwrap_or(0)
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pruned {
    /// Transactions that went.
    pub(crate) transactions: u64,
    /// Whether another step would find more.
    pub(crate) more: bool,
}

impl Store {
    /// One step towards the bounds.
    pub(crate) fn prune(&mut self, unix_ms: u64, retention: &Retention) -> Result<Pruned, Error> {
        let pruned = self.step(unix_ms, retention);
        pruned.map_err(|error| refused("prune", &self.path, &error))
    }

    fn step(&mut self, unix_ms: u64, retention: &Retention) -> rusqlite::Result<Pruned> {
        let last = self.last_to_go(unix_ms, retention)?;
        let last_key = self.last_key_to_go(unix_ms, retention)?;
        let (first, first_key) = (self.rows.first, self.keys.first);
        if last < first && last_key < first_key {
            let more = self.give_back()?;
            return Ok(Pruned { transactions: 0, more });
        }
        let transaction = self.connection.transaction()?;
        if last >= first {
            // A key that still stands for one of them keeps what it needs: the answer.
            transaction
                .prepare_cached(
                    "UPDATE keys SET answer = (SELECT answer FROM transactions WHERE transactions.id = keys.id) \
                     WHERE answer IS NULL AND until_ms > ?3 AND id IN \
                     (SELECT id FROM transactions WHERE number BETWEEN ?1 AND ?2 AND key IS NOT NULL)",
                )?
                .execute(params![first, last, clamped(unix_ms)])?;
            transaction
                .prepare_cached("DELETE FROM transactions WHERE number BETWEEN ?1 AND ?2")?
                .execute([first, last])?;
        }
        if last_key >= first_key {
            transaction
                .prepare_cached("DELETE FROM keys WHERE number BETWEEN ?1 AND ?2")?
                .execute([first_key, last_key])?;
        }
        transaction.commit()?;
        self.rows.first = self.rows.first.max(last + 1);
        self.keys.first = self.keys.first.max(last_key + 1);
        Ok(Pruned { transactions: (self.rows.first - first) as u64, more: true })
    }

    /// The last row of the run that goes now; one before the first where all may stay.
    fn last_to_go(&self, unix_ms: u64, retention: &Retention) -> rusqlite::Result<i64> {
        let (first, len) = (self.rows.first, self.rows.len());
        if len == 0 {
            return Ok(first - 1);
        }
        let beyond = clamped(len.saturating_sub(retention.transactions)).min(STEP);
        let most = first + STEP.min(clamped(len)) - 1;
        let oldest = unix_ms.saturating_sub(u64::try_from(retention.time.as_millis()).unwrap_or(u64::MAX));
        // The first that is young enough ends the run: those before it go.
        let young: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(number) FROM transactions WHERE number BETWEEN ?1 AND ?2 AND ended_ms >= ?3",
            )?
            .query_row(params![first, most, clamped(oldest)], |row| row.get(0))?;
        let by_time = young.map_or(most, |young| young - 1);
        let by_size = if self.used_bytes()? > retention.size { most } else { first - 1 };
        Ok((first + beyond - 1).max(by_time).max(by_size))
    }

    /// The same for keys: those that no longer stand for anything, and those beyond the count.
    fn last_key_to_go(&self, unix_ms: u64, retention: &Retention) -> rusqlite::Result<i64> {
        let (first, len) = (self.keys.first, self.keys.len());
        if len == 0 {
            return Ok(first - 1);
        }
        let count = u64::try_from(retention.keys).unwrap_or(u64::MAX);
        let beyond = clamped(len.saturating_sub(count)).min(STEP);
        let most = first + STEP.min(clamped(len)) - 1;
        let standing: Option<i64> = self
            .connection
            .prepare_cached("SELECT min(number) FROM keys WHERE number BETWEEN ?1 AND ?2 AND until_ms > ?3")?
            .query_row(params![first, most, clamped(unix_ms)], |row| row.get(0))?;
        Ok((first + beyond - 1).max(standing.map_or(most, |standing| standing - 1)))
    }

    /// Bytes of the pages that hold something.
    pub(crate) fn used_bytes(&self) -> rusqlite::Result<u64> {
        let read = |pragma: &str| self.connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let pages = read("PRAGMA page_count")? - read("PRAGMA freelist_count")?;
        Ok(u64::try_from(pages * read("PRAGMA page_size")?).unwrap_or(0))
    }

    /// Gives some free pages back, where there are far too many; `true` where there still are.
    fn give_back(&mut self) -> rusqlite::Result<bool> {
        let read = |pragma: &str| self.connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
        let (free, all) = (read("PRAGMA freelist_count")?, read("PRAGMA page_count")?);
        if free <= SPARE_PAGES || free * 4 <= all {
            return Ok(false);
        }
        self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({GIVEN_BACK})"))?;
        Ok(true)
    }

    /// Takes out the plans of which no transaction is left.
    pub(crate) fn prune_plans(&mut self) -> Result<(), Error> {
        let gone = (|| {
            let mut statement = self.connection.prepare_cached(
                "DELETE FROM plans WHERE NOT EXISTS (SELECT 1 FROM transactions WHERE transactions.plan = plans.number) \
                 RETURNING number",
            )?;
            let gone = statement.query_map([], |row| row.get(0))?;
            gone.collect::<rusqlite::Result<Vec<i64>>>()
        })();
        let gone = gone.map_err(|error| refused("prune", &self.path, &error))?;
        self.forget_plans(&gone);
        Ok(())
    }
}
