//! Shipping: a try reserves stock, confirm makes a shipment of it, cancel puts it back. For every sku,
//! `free + reserved + shipped = seeded` at any moment.

use rusqlite::{Connection, OptionalExtension};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Business, QUANTITY_MAX, change_one, parse, within};
use crate::Seed;
use crate::barrier::{Branch, Refusal, Stop};

pub(super) struct Shipping;

#[derive(Deserialize)]
struct Wanted {
    sku: String,
    quantity: i64,
}

impl Business for Shipping {
    fn schema(&self) -> &'static str {
        "CREATE TABLE IF NOT EXISTS stock (
            sku TEXT PRIMARY KEY,
            seeded INTEGER NOT NULL,
            free INTEGER NOT NULL CHECK (free >= 0),
            reserved INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0)
        ) STRICT;
        CREATE TABLE IF NOT EXISTS reservations (
            transaction_id TEXT NOT NULL,
            branch TEXT NOT NULL,
            sku TEXT NOT NULL REFERENCES stock,
            quantity INTEGER NOT NULL,
            PRIMARY KEY (transaction_id, branch)
        ) STRICT;
        CREATE TABLE IF NOT EXISTS shipments (
            transaction_id TEXT NOT NULL,
            branch TEXT NOT NULL,
            sku TEXT NOT NULL REFERENCES stock,
            quantity INTEGER NOT NULL,
            PRIMARY KEY (transaction_id, branch)
        ) STRICT"
    }

    fn seed(&self, local: &Connection, seed: &Seed) -> rusqlite::Result<()> {
        let mut store = local
            .prepare("INSERT INTO stock (sku, seeded, free) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING")?;
        for (sku, quantity) in &seed.stock {
            store.execute((sku, quantity))?;
        }
        Ok(())
    }

    fn hold(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let wanted: Wanted = parse(body)?;
        within("quantity", wanted.quantity, QUANTITY_MAX)?;
        let reserved = local
            .prepare_cached(
                "UPDATE stock SET free = free - ?2, reserved = reserved + ?2 WHERE sku = ?1 AND free >= ?2",
            )?
            .execute((&wanted.sku, wanted.quantity))?;
        if reserved == 0 {
            let detail = format!("there are not {} of {} left", wanted.quantity, wanted.sku);
            return Err(Refusal::conflict("Out of stock", detail).into());
        }
        change_one(
            local,
            "INSERT INTO reservations VALUES (?1, ?2, ?3, ?4)",
            (&branch.transaction, &branch.name, &wanted.sku, wanted.quantity),
        )?;
        Ok(json!({ "reserved": wanted.quantity, "sku": wanted.sku }))
    }

    fn confirm(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        let (sku, quantity) = unreserve(local, branch)?;
        change_one(
            local,
            "INSERT INTO shipments VALUES (?1, ?2, ?3, ?4)",
            (&branch.transaction, &branch.name, sku, quantity),
        )
    }

    fn cancel(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        change_one(local, PUT_BACK, unreserve(local, branch)?)
    }

    fn compensate(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()> {
        let shipped: (String, i64) = local
            .prepare_cached(
                "DELETE FROM shipments WHERE transaction_id = ?1 AND branch = ?2 RETURNING sku, quantity",
            )?
            .query_row((&branch.transaction, &branch.name), |row| Ok((row.get(0)?, row.get(1)?)))?;
        change_one(local, PUT_BACK, shipped)
    }
}

const PUT_BACK: &str = "UPDATE stock SET free = free + ?2 WHERE sku = ?1";

/// How many of a sku are free, for anybody who asks.
pub(crate) fn free(connection: &Connection, sku: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT free FROM stock WHERE sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()
}

/// Ends the reservation of a branch; the goods are for the caller to place.
fn unreserve(local: &Connection, branch: &Branch) -> rusqlite::Result<(String, i64)> {
    let (sku, quantity) = local
        .prepare_cached(
            "DELETE FROM reservations WHERE transaction_id = ?1 AND branch = ?2 RETURNING sku, quantity",
        )?
        .query_row((&branch.transaction, &branch.name), |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let unreserve = "UPDATE stock SET reserved = reserved - ?2 WHERE sku = ?1";
    change_one(local, unreserve, (&sku, quantity))?;
    Ok((sku, quantity))
}
