//! Orders: pending, then confirmed or cancelled. The row is visible from the start, and says how far it is.

use rusqlite::Connection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{AMOUNT_CENTS_MAX, Business, QUANTITY_MAX, change_one, parse, short, within};
use crate::barrier::{Branch, Stop};

pub(super) struct Order;

#[derive(Deserialize)]
struct Wanted {
    customer: String,
    sku: String,
    quantity: i64,
    amount: i64,
}

impl Business for Order {
    fn schema(&self) -> &'static str {
        "CREATE TABLE IF NOT EXISTS orders (
            transaction_id TEXT NOT NULL,
            branch TEXT NOT NULL,
            customer TEXT NOT NULL,
            sku TEXT NOT NULL,
            quantity INTEGER NOT NULL,
            amount_cents INTEGER NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'confirmed', 'cancelled')),
            PRIMARY KEY (transaction_id, branch)
        ) STRICT"
    }

    fn hold(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let wanted: Wanted = parse(body)?;
        short("customer", &wanted.customer)?;
        short("sku", &wanted.sku)?;
        within("quantity", wanted.quantity, QUANTITY_MAX)?;
        within("amount", wanted.amount, AMOUNT_CENTS_MAX)?;
        change_one(
            local,
            "INSERT INTO orders (transaction_id, branch, customer, sku, quantity, amount_cents)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                &branch.transaction,
                &branch.name,
                &wanted.customer,
                &wanted.sku,
                wanted.quantity,
                wanted.amount,
            ),
        )?;
        Ok(json!({ "order": branch.transaction }))
    }

    fn confirm(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        settle(local, branch, "pending", "confirmed")
    }

    fn cancel(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        settle(local, branch, "pending", "cancelled")
    }

    fn compensate(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        settle(local, branch, "confirmed", "cancelled")
    }
}

fn settle(local: &Connection, branch: &Branch, from: &str, to: &str) -> rusqlite::Result<()> {
    change_one(
        local,
        "UPDATE orders SET state = ?4 WHERE transaction_id = ?1 AND branch = ?2 AND state = ?3",
        (&branch.transaction, &branch.name, from, to),
    )
}
