//! Notification: mail cannot be taken back, so a try only records the wish, confirm puts it into the outbox, and the
//! outbox is sent afterwards. Cancel forgets the wish. In a saga it acts when all others have, and may not refuse.

use lettre::Address;
use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Business, change_one, parse, short};
use crate::barrier::{Branch, Refusal, Stop};

pub(super) struct Notification;

#[derive(Deserialize)]
struct Wanted {
    address: String,
    text: String,
}

impl Business for Notification {
    /// A row is a wish until it is confirmed, then it waits in the outbox. `parked` is for a person to look at. Its key
    /// is the transaction alone, because the Message-ID is made of that.
    fn schema(&self) -> &'static str {
        "CREATE TABLE IF NOT EXISTS messages (
            transaction_id TEXT PRIMARY KEY,
            branch TEXT NOT NULL,
            address TEXT NOT NULL,
            text TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'wish' CHECK (state IN ('wish', 'waiting', 'sent', 'parked')),
            attempts INTEGER NOT NULL DEFAULT 0,
            due_at REAL NOT NULL DEFAULT 0
        ) STRICT;
        CREATE INDEX IF NOT EXISTS outbox ON messages (due_at) WHERE state = 'waiting'"
    }

    fn hold(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let wanted: Wanted = parse(body)?;
        check(&wanted)?;
        record(local, branch, &wanted, "wish")
    }

    fn confirm(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        change_one(
            local,
            "UPDATE messages SET state = 'waiting'
             WHERE transaction_id = ?1 AND branch = ?2 AND state = 'wish'",
            (&branch.transaction, &branch.name),
        )
    }

    fn cancel(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        change_one(
            local,
            "DELETE FROM messages WHERE transaction_id = ?1 AND branch = ?2 AND state = 'wish'",
            (&branch.transaction, &branch.name),
        )
    }

    /// What cannot be sent is parked: a refusal would come too late for everybody else.
    fn act(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let wanted: Wanted = parse(body)?;
        let state = if check(&wanted).is_ok() { "waiting" } else { "parked" };
        record(local, branch, &wanted, state)
    }

    /// Mail that has left cannot be taken back. So nobody asks for this: a saga has this step as its last.
    fn compensate(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        change_one(
            local,
            "DELETE FROM messages WHERE transaction_id = ?1 AND branch = ?2 AND state IN ('waiting', 'parked')",
            (&branch.transaction, &branch.name),
        )
    }
}

fn check(wanted: &Wanted) -> Result<(), Refusal> {
    short("address", &wanted.address)?;
    short("text", &wanted.text)?;
    if !wanted.address.is_ascii() || wanted.address.parse::<Address>().is_err() {
        return Err(Refusal::invalid(format!("{} is no mail address", wanted.address)));
    }
    Ok(())
}

fn record(local: &Connection, branch: &Branch, wanted: &Wanted, state: &str) -> Result<Value, Stop> {
    let recorded = local
        .prepare_cached(
            "INSERT INTO messages (transaction_id, branch, address, text, state) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
        )?
        .execute((&branch.transaction, &branch.name, &wanted.address, &wanted.text, state))?;
    if recorded == 0 {
        return Err(Refusal::invalid("a transaction can have one message only").into());
    }
    Ok(json!({ "message": branch.transaction }))
}
