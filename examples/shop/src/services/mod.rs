//! What each service does under the barrier, one file each.

use rusqlite::Connection;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::barrier::{Branch, Refusal, Stop};
use crate::{Seed, Service};

mod notification;
mod order;
mod payment;
pub(crate) mod shipping;

/// The most that one order may hold of anything: a bound against sums that overflow.
const AMOUNT_CENTS_MAX: i64 = 100_000_000;
const QUANTITY_MAX: i64 = 1000;
const TEXT_BYTES_MAX: usize = 1024;

/// The effects of one service. Each runs inside the local transaction of its mark, and at most once for a branch.
///
/// `hold` and `act` may refuse. `confirm` and `cancel` may not: they follow a `hold` that has reserved all they need. Nor
/// may `compensate`, which takes back what `act` did, whatever others have done since.
pub(crate) trait Business: Sync {
    fn schema(&self) -> &'static str;
    fn seed(&self, _local: &Connection, _seed: &Seed) -> rusqlite::Result<()> {
        Ok(())
    }
    fn hold(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop>;
    fn confirm(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()>;
    fn cancel(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()>;
    fn act(&self, local: &Connection, branch: &Branch, body: &[u8]) -> Result<Value, Stop> {
        let answer = self.hold(local, branch, body)?;
        self.confirm(local, branch)?;
        Ok(answer)
    }
    fn compensate(&self, local: &Connection, branch: &Branch) -> rusqlite::Result<()>;
}

pub(crate) fn business(service: Service) -> &'static dyn Business {
    match service {
        Service::Order => &order::Order,
        Service::Payment => &payment::Payment,
        Service::Shipping => &shipping::Shipping,
        Service::Notification => &notification::Notification,
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("the body does not fit: {error}")))
}

fn within(what: &str, value: i64, max: i64) -> Result<(), Refusal> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{what} must be from 1 to {max}, not {value}")))
}

fn short(what: &str, text: &str) -> Result<(), Refusal> {
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("{what} must have from 1 to {TEXT_BYTES_MAX} bytes")))
}

/// Runs a statement that must change exactly one row. Anything else means that mark and business disagree; the error
/// undoes the local transaction and reaches the gateway as "unknown", which calls for a person.
fn change_one(local: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<()> {
    match local.prepare_cached(sql)?.execute(parameters)? {
        1 => Ok(()),
        changed => Err(rusqlite::Error::StatementChangedRows(changed)),
    }
}
