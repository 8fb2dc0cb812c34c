//! The barrier: the duties of a participant, kept by one table in its own database.
//!
//! Calls may come twice, late, or in the wrong order, since networks lose answers and gateways crash. Each branch
//! therefore has a **mark**, and what a call does follows from the mark that it finds:
//!
//! | mark | hold (try, prepare) | confirm (commit) | cancel (rollback) |
//! | --- | --- | --- | --- |
//! | none | effect; `held` or `refused` | no such branch | no effect; `cancelled`, done |
//! | `held` | the same answer | effect; `confirmed` | effect; `cancelled` |
//! | `confirmed` | the same answer | the same answer | refused |
//! | `cancelled` | refused | refused | done |
//! | `refused` | the same refusal | refused | done |
//!
//! A saga holds nothing: `act` makes a branch final at once, and `compensate` makes it good again.
//!
//! | mark | act | compensate |
//! | --- | --- | --- |
//! | none | effect; `confirmed` or `refused` | no effect; `cancelled`, done |
//! | `confirmed` | the same answer | the opposite effect; `cancelled` |
//! | `cancelled` | refused | done |
//! | `refused` | the same refusal | done |
//!
//! Mark and effect stand in one local transaction, so that a crash keeps both or neither, and they are on disk before
//! the answer leaves. The mark is written first and its key is unique, so that of two equal calls one must wait.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The table of marks. A mark ends when nothing more can happen to its branch; one that is `held` never ends by itself.
pub const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS marks (
        transaction_id TEXT NOT NULL,
        branch TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('held', 'confirmed', 'cancelled', 'refused')),
        answer TEXT NOT NULL DEFAULT '{}',
        ended_at INTEGER CHECK ((ended_at IS NULL) = (state = 'held')),
        PRIMARY KEY (transaction_id, branch)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS marks_by_end ON marks (ended_at);";

const CLEANED_AT_ONCE_MAX: u32 = 1000;

/// Whose share of which transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The transaction's id.
    pub transaction: String,
    /// The branch's name; one participant may carry several branches of a transaction.
    pub name: String,
}

/// A final no, as a client can read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The HTTP status: 409 when the state of the world forbids it, 422 when the request makes no sense.
    pub status: u16,
    /// The kind of refusal, in a few words that never change.
    pub title: String,
    /// What stands in the way this time.
    pub detail: String,
}

impl Refusal {
    /// A refusal because of how things stand.
    pub fn conflict(title: &str, detail: impl Into<String>) -> Self {
        Self { status: 409, title: title.to_owned(), detail: detail.into() }
    }

    /// A refusal because of what was asked.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self { status: 422, title: "Invalid request".to_owned(), detail: detail.into() }
    }
}

/// Why an effect did not happen. A refusal is an answer; a failure of the database is not, and must leave as "unknown".
#[derive(Debug)]
pub enum Stop {
    /// The business says no.
    Refused(Refusal),
    /// The database failed.
    Failed(rusqlite::Error),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// What the participant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so, and stays so after a crash. Holds what the first call of the branch answered.
    Done(Value),
    /// It is not so, and never will be.
    Refused(Refusal),
    /// A confirm for a branch that was never held here, or was forgotten. A person must look: perhaps this database is
    /// an old copy.
    NoSuchBranch,
}

/// Runs the first effect of a branch: reserve all that confirming will need, so that confirming cannot fail.
pub fn hold(
    connection: &mut Connection,
    branch: &Branch,
    effect: impl FnOnce(&Connection) -> Result<Value, Stop>,
) -> rusqlite::Result<Answer> {
    first(connection, branch, "held", effect)
}

/// Runs the whole effect of a saga's branch, which is final at once.
pub fn act(
    connection: &mut Connection,
    branch: &Branch,
    effect: impl FnOnce(&Connection) -> Result<Value, Stop>,
) -> rusqlite::Result<Answer> {
    first(connection, branch, "confirmed", effect)
}

fn first(
    connection: &mut Connection,
    branch: &Branch,
    state: &str,
    effect: impl FnOnce(&Connection) -> Result<Value, Stop>,
) -> rusqlite::Result<Answer> {
    let mut local = begin(connection)?;
    if !insert(&local, branch, state)? {
        return Ok(match mark(&local, branch)?.as_ref().map(|(state, answer)| (state.as_str(), answer)) {
            Some(("held" | "confirmed", answer)) => Answer::Done(parse(answer)?),
            Some(("refused", answer)) => Answer::Refused(parse(answer)?),
            _ => Answer::Refused(already("cancelled", branch)),
        });
    }
    let savepoint = local.savepoint()?;
    let answer = match effect(&savepoint) {
        Ok(body) => {
            savepoint.commit()?;
            update(&local, branch, state, &body.to_string())?;
            Answer::Done(body)
        }
        Err(Stop::Refused(refusal)) => {
            drop(savepoint); // Undoes the effect and keeps the mark: a refusal must stay one when it is asked again.
            update(&local, branch, "refused", &json!(refusal).to_string())?;
            Answer::Refused(refusal)
        }
        Err(Stop::Failed(error)) => return Err(error),
    };
    local.commit()?;
    Ok(answer)
}

/// Runs the effect that makes a held branch final.
pub fn confirm(
    connection: &mut Connection,
    branch: &Branch,
    effect: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Answer> {
    let local = begin(connection)?;
    let Some((state, answer)) = mark(&local, branch)? else { return Ok(Answer::NoSuchBranch) };
    match state.as_str() {
        "held" => {
            update(&local, branch, "confirmed", &answer)?;
            effect(&local)?;
            local.commit()?;
        }
        "confirmed" => {}
        ended => return Ok(Answer::Refused(already(ended, branch))),
    }
    Ok(Answer::Done(parse(&answer)?))
}

/// Runs the effect that takes a held branch back. A branch that is unknown is marked all the same, because its first
/// call may still be on the way, and must find that it comes too late.
pub fn cancel(
    connection: &mut Connection,
    branch: &Branch,
    effect: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Answer> {
    undo(connection, branch, "held", effect)
}

/// Runs the opposite of what a saga's branch did. What is unknown is marked all the same, as [`cancel`] does it.
pub fn compensate(
    connection: &mut Connection,
    branch: &Branch,
    effect: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Answer> {
    undo(connection, branch, "confirmed", effect)
}

fn undo(
    connection: &mut Connection,
    branch: &Branch,
    undone: &str,
    effect: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> rusqlite::Result<Answer> {
    let local = begin(connection)?;
    if !insert(&local, branch, "cancelled")? {
        match mark(&local, branch)?.as_ref().map(|(state, _)| state.as_str()) {
            Some(state) if state == undone => {
                update(&local, branch, "cancelled", "{}")?;
                effect(&local)?;
            }
            Some(state @ ("held" | "confirmed")) => return Ok(Answer::Refused(already(state, branch))),
            _ => {}
        }
    }
    local.commit()?;
    Ok(Answer::Done(json!({})))
}

/// Forgets marks that ended longer ago than `kept`, at most a thousand at a time; says how many. What is held is never
/// forgotten: only the gateway knows its verdict.
pub fn clean(connection: &mut Connection, kept: Duration) -> rusqlite::Result<usize> {
    connection.execute(
        "DELETE FROM marks WHERE rowid IN
             (SELECT rowid FROM marks WHERE ended_at < unixepoch() - ?1 ORDER BY ended_at LIMIT ?2)",
        params![i64::try_from(kept.as_secs()).unwrap_or(i64::MAX), CLEANED_AT_ONCE_MAX],
    )
}

/// `IMMEDIATE` takes the lock before the first read, so that no call decides on a mark that another is changing.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Says whether the mark is new.
fn insert(local: &Connection, branch: &Branch, state: &str) -> rusqlite::Result<bool> {
    let inserted = local
        .prepare_cached(
            "INSERT INTO marks (transaction_id, branch, state, ended_at)
             VALUES (?1, ?2, ?3, iif(?3 = 'held', NULL, unixepoch())) ON CONFLICT DO NOTHING",
        )?
        .execute((&branch.transaction, &branch.name, state))?;
    Ok(inserted == 1)
}

fn update(local: &Connection, branch: &Branch, state: &str, answer: &str) -> rusqlite::Result<()> {
    local
        .prepare_cached(
            "UPDATE marks SET state = ?3, answer = ?4, ended_at = iif(?3 = 'held', NULL, unixepoch())
             WHERE transaction_id = ?1 AND branch = ?2",
        )?
        .execute((&branch.transaction, &branch.name, state, answer))
        .map(|_| ())
}

fn mark(local: &Connection, branch: &Branch) -> rusqlite::Result<Option<(String, String)>> {
    local
        .prepare_cached("SELECT state, answer FROM marks WHERE transaction_id = ?1 AND branch = ?2")?
        .query_row((&branch.transaction, &branch.name), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn parse<T: serde::de::DeserializeOwned>(answer: &str) -> rusqlite::Result<T> {
    serde_json::from_str(answer).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, error.into())
    })
}

fn already(state: &str, branch: &Branch) -> Refusal {
    Refusal::conflict(
        "Branch has ended",
        format!("branch {} of this transaction is already {state}", branch.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(transactions: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        for transaction in transactions {
            hold(&mut connection, &branch(transaction), |_| Ok(json!({}))).unwrap();
        }
        connection
    }

    fn branch(transaction: &str) -> Branch {
        Branch { transaction: transaction.to_owned(), name: "b".to_owned() }
    }

    fn states(connection: &Connection) -> Vec<String> {
        let mut query =
            connection.prepare("SELECT transaction_id || ' ' || state FROM marks ORDER BY 1").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn old_marks_are_forgotten_but_never_one_that_is_held() {
        let mut connection = marked(&["new", "old", "held"]);
        confirm(&mut connection, &branch("new"), |_| Ok(())).unwrap();
        confirm(&mut connection, &branch("old"), |_| Ok(())).unwrap();
        cancel(&mut connection, &branch("unknown and old"), |_| Ok(())).unwrap();
        let age = "UPDATE marks SET ended_at = ended_at - 61 WHERE transaction_id LIKE '%old'";
        connection.execute(age, []).unwrap();
        assert_eq!(clean(&mut connection, Duration::from_secs(60)).unwrap(), 2);
        assert_eq!(states(&connection), ["held held", "new confirmed"]);
    }

    #[test]
    fn a_failing_database_leaves_neither_mark_nor_effect() {
        let mut connection = marked(&["t"]);
        connection.execute_batch("CREATE TABLE effects (x)").unwrap();
        let fail = |local: &Connection| {
            local.execute("INSERT INTO effects VALUES (1)", [])?;
            local.execute("INSERT INTO nowhere VALUES (1)", []).map(|_| ())
        };
        let failing_hold = |local: &Connection| Ok(fail(local).map(|()| json!({}))?);
        assert!(hold(&mut connection, &branch("u"), failing_hold).is_err());
        assert!(confirm(&mut connection, &branch("t"), fail).is_err());
        assert!(cancel(&mut connection, &branch("t"), fail).is_err());
        assert_eq!(states(&connection), ["t held"]);
        let effects: i64 =
            connection.query_row("SELECT count(*) FROM effects", [], |row| row.get(0)).unwrap();
        assert_eq!(effects, 0);
    }

    #[test]
    fn a_refused_effect_is_undone_and_its_mark_is_kept() {
        let mut connection = marked(&[]);
        connection.execute_batch("CREATE TABLE effects (x)").unwrap();
        let refused = Refusal::conflict("No", "not today");
        let answer = hold(&mut connection, &branch("t"), |local| {
            local.execute("INSERT INTO effects VALUES (1)", [])?;
            Err(refused.clone().into())
        });
        assert_eq!(answer.unwrap(), Answer::Refused(refused.clone()));
        let again = hold(&mut connection, &branch("t"), |_| Ok(json!({})));
        assert_eq!(again.unwrap(), Answer::Refused(refused));
        let effects: i64 =
            connection.query_row("SELECT count(*) FROM effects", [], |row| row.get(0)).unwrap();
        assert_eq!((effects, states(&connection)), (0, vec!["t refused".to_owned()]));
    }
}
