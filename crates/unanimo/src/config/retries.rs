//! When requests of a plain route are sent again.

use super::cursor::Cursor;
use super::scalars::PATIENCE;
use super::standing::statuses;
use http::Method;
use unanimo_gateway::RetryConfig;

/// What has the same effect however often it arrives.
const METHODS: [(&str, Method); 5] = [
    ("GET", Method::GET),
    ("HEAD", Method::HEAD),
    ("OPTIONS", Method::OPTIONS),
    ("PUT", Method::PUT),
    ("DELETE", Method::DELETE),
];

/// The longest body that can be held, in bytes.
const BODY_BYTES: u64 = 16 << 20;

/// Reads `retry` of a plain route.
pub fn read(cursor: Cursor) -> Option<RetryConfig> {
    let mut retry = RetryConfig::default();
    let known = ["attempts", "methods", "status", "per_try_timeout", "body_size"];
    let fields = cursor.fields("`retry` of a route", &known)?;
    fields.set("attempts", &mut retry.attempts, |cursor| u32::try_from(cursor.count(1..=5)?).ok());
    fields.set("methods", &mut retry.methods, |cursor| {
        let methods = cursor.one_or_more("`methods`")?;
        if methods.is_empty() {
            cursor.wrong("at least one method is needed");
        }
        let what = "a method whose requests may be sent twice";
        Some(methods.into_iter().filter_map(|cursor| cursor.word(what, &METHODS)).collect())
    });
    fields.set("status", &mut retry.statuses, |cursor| statuses(cursor, 400, "`502-504`"));
    fields.set("per_try_timeout", &mut retry.per_try_timeout, |cursor| cursor.duration(PATIENCE).map(Some));
    fields.set("body_size", &mut retry.body_bytes, |cursor| cursor.size(0..=BODY_BYTES));
    Some(retry)
}
