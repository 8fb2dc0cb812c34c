//! Bounds of what comes in, and how calls are repeated.

use super::cursor::{Cursor, Fields};
use super::scalars::PATIENCE;
use std::time::Duration;
use unanimo_coordinator::Retry;
use unanimo_gateway::Limits;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;

const LIMITS: [&str; 9] = [
    "header_size",
    "header_timeout",
    "transaction_body_size",
    "body_size",
    "body_idle_timeout",
    "tunnel_idle_timeout",
    "idle_timeout",
    "connections",
    "open_transactions",
];

/// How many transactions may be open at a time, where nothing is said.
const OPEN_TRANSACTIONS: usize = 20_000;

/// Reads `limits`: the gateway's, and how many transactions may be open at a time.
pub fn limits(fields: &Fields) -> (Limits, usize) {
    let mut limits = Limits::default();
    let mut open_transactions = OPEN_TRANSACTIONS;
    let Some(fields) = fields.get("limits").and_then(|cursor| cursor.fields("`limits`", &LIMITS)) else {
        return (limits, open_transactions);
    };
    let bytes = |range| move |cursor: Cursor| usize::try_from(cursor.size(range)?).ok();
    let patience = |cursor: Cursor| cursor.duration(PATIENCE);
    // Below 8 KiB common requests do not fit, and the HTTP library refuses to try.
    fields.set("header_size", &mut limits.header_bytes, bytes(8 * KIB..=MIB));
    fields.set("header_timeout", &mut limits.header_timeout, patience);
    fields.set("transaction_body_size", &mut limits.transaction_body_bytes, bytes(KIB..=16 * MIB));
    fields.set("body_size", &mut limits.body_bytes, |cursor| cursor.size(0..=TIB));
    fields.set("body_idle_timeout", &mut limits.body_idle_timeout, patience);
    fields.set("tunnel_idle_timeout", &mut limits.tunnel_idle_timeout, patience);
    fields.set("idle_timeout", &mut limits.idle_timeout, patience);
    fields.set("connections", &mut limits.connections, |cursor| cursor.count(1..=1_000_000));
    fields.set("open_transactions", &mut open_transactions, |cursor| cursor.count(1..=1_000_000));
    (limits, open_transactions)
}

/// Reads `retry`.
pub fn retry(fields: &Fields) -> Retry {
    let mut retry = Retry::default();
    let known = ["initial", "cap", "stuck_after", "budget"];
    let Some(fields) = fields.get("retry").and_then(|cursor| cursor.fields("`retry`", &known)) else {
        return retry;
    };
    let pause = |cursor: Cursor| cursor.duration(Duration::from_millis(1)..=Duration::from_secs(60 * 60));
    fields.set("initial", &mut retry.initial, pause);
    fields.set("cap", &mut retry.cap, pause);
    fields.set("stuck_after", &mut retry.stuck_after, |cursor| cursor.duration(PATIENCE));
    if retry.cap < retry.initial {
        let key = if fields.has("cap") { "cap" } else { "initial" };
        fields.notes().wrong(fields.span_of(key), "`cap` must be no shorter than `initial`");
    }
    if let Some(budget) = fields.get("budget").and_then(|it| it.fields("`budget`", &["ratio", "per_second"]))
    {
        budget.set("ratio", &mut retry.budget_ratio, |cursor| cursor.number(0.0..=1.0));
        // With nothing at all, a call that failed while nobody else calls would never be repeated.
        budget.set("per_second", &mut retry.budget_per_second, |cursor| cursor.number(0.1..=100_000.0));
    }
    retry
}
