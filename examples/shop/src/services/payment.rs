//! Payments: a try freezes money, so that confirming it cannot fail; confirm takes it into the ledger, cancel gives it
//! back. In a saga it is taken at once, and a compensation pays it back. For every account, `free + frozen + taken = seeded` at any moment.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AMOUNT_CENTS_MAX, Business, change_one, parse, within};
use crate::Seed;
use crate::barrier::{Branch, Refusal, Stop};

pub(super) struct Payment;

#[derive(Deserialize)]
struct Wanted {
    customer: String,
    amount: i64,
}

impl Business for Payment {
    fn schema(&self) -> &'static str {
        "CREATE TABLE IF NOT EXISTS accounts (
            account TEXT PRIMARY KEY,
            seeded_cents INTEGER NOT NULL,
            free_cents INTEGER NOT NULL CHECK (free_cents >= 0),
            frozen_cents INTEGER NOT NULL DEFAULT 0 CHECK (frozen_cents >= 0)
        ) STRICT;
        CREATE TABLE IF NOT EXISTS holds (
            transaction_id TEXT NOT NULL,
            branch TEXT NOT NULL,
            account TEXT NOT NULL REFERENCES accounts,
            amount_cents INTEGER NOT NULL,
            PRIMARY KEY (transaction_id, branch)
        ) STRICT;
        CREATE TABLE IF NOT EXISTS ledger (
            transaction_id TEXT NOT NULL,
            branch TEXT NOT NULL,
            account TEXT NOT NULL REFERENCES accounts,
            amount_cents INTEGER NOT NULL,
            PRIMARY KEY (transaction_id, branch)
        ) STRICT"
    }

    fn seed(&self, local: &Connection, seed: &Seed) -> rusqlite::Result<()> {
        let mut open = local.prepare(
            "INSERT INTO accounts (account, seeded_cents, free_cents) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING",
        )?;
        for customer in 0..seed.customers {
            open.execute((format!("customer-{customer}"), seed.balance_cents))?;
        }
        Ok(())
    }

    fn hold(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let wanted: Wanted = parse(body)?;
        within("amount", wanted.amount, AMOUNT_CENTS_MAX)?;
        let frozen = local
            .prepare_cached(
                "UPDATE accounts SET free_cents = free_cents - ?2, frozen_cents = frozen_cents + ?2
                 WHERE account = ?1 AND free_cents >= ?2",
            )?
            .execute((&wanted.customer, wanted.amount))?;
        if frozen == 0 {
            let detail = format!("{} has less than {} cents, or no account", wanted.customer, wanted.amount);
            return Err(Refusal::conflict("Insufficient funds", detail).into());
        }
        change_one(
            local,
            "INSERT INTO holds VALUES (?1, ?2, ?3, ?4)",
            (&branch.transaction, &branch.name, &wanted.customer, wanted.amount),
        )?;
        Ok(json!({ "receipt": format!("{}/{}", branch.transaction, branch.name) }))
    }

    fn confirm(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        let (account, amount) = thaw(local, branch)?;
        change_one(
            local,
            "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4)",
            (&branch.transaction, &branch.name, account, amount),
        )
    }

    fn cancel(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        change_one(local, GIVE_BACK, thaw(local, branch)?)
    }

    fn compensate(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        let paid: (String, i64) = local
            .prepare_cached(
                "DELETE FROM ledger WHERE transaction_id = ?1 AND branch = ?2 RETURNING account, amount_cents",
            )?
            .query_row((&branch.transaction, &branch.name), |row| Ok((row.get(0)?, row.get(1)?)))?;
        change_one(local, GIVE_BACK, paid)
    }
}

/// The amount is added to what there is now: others may have paid since.
const GIVE_BACK: &str = "UPDATE accounts SET free_cents = free_cents + ?2 WHERE account = ?1";

/// Ends the hold of a branch; the money is for the caller to place.
fn thaw(local: &Connection, branch: &Branch) -> rusqlite::Result<(String, i64)> {
    let (account, amount) = local
        .prepare_cached(
            "DELETE FROM holds WHERE transaction_id = ?1 AND branch = ?2 RETURNING account, amount_cents",
        )?
        .query_row((&branch.transaction, &branch.name), |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let thaw = "UPDATE accounts SET frozen_cents = frozen_cents - ?2 WHERE account = ?1";
    change_one(local, thaw, (&account, amount))?;
    Ok((account, amount))
}
