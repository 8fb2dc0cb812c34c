//! What a client is told: `respond` and `refused`.

use super::cursor::Cursor;
use super::headers::{self, Use};
use super::template::Scope;
use super::yaml::Value;
use std::ops::RangeInclusive;
use unanimo_contract::{RefusedPlan, ResponsePlan};

const KEYS: [&str; 3] = ["status", "headers", "body"];

/// Statuses whose answers have no body.
const BODILESS: [u16; 3] = [204, 205, 304];

/// Reads `respond`: what a client is told of a commit.
pub fn respond(cursor: Cursor, scope: &Scope) -> Option<ResponsePlan> {
    response(cursor, "`respond`", 200, 200..=399, scope)
}

/// Reads `refused`: what a client is told when a branch refused.
pub fn refused(cursor: Cursor, scope: &Scope) -> Option<RefusedPlan> {
    match &cursor.node().value {
        Value::Scalar(_) => cursor
            .word("`pass-on`, or a mapping of `status`, `headers` and `body`", &[("pass-on", ())])
            .map(|()| RefusedPlan::PassOn),
        _ => response(cursor, "`refused`", 409, 400..=599, scope).map(RefusedPlan::Respond),
    }
}

fn response(
    cursor: Cursor,
    what: &'static str,
    status: u16,
    statuses: RangeInclusive<usize>,
    scope: &Scope,
) -> Option<ResponsePlan> {
    let fields = cursor.fields(what, &KEYS)?;
    let mut response = ResponsePlan { status, headers: Vec::new(), body: None };
    fields.set("status", &mut response.status, |cursor| u16::try_from(cursor.count(statuses)?).ok());
    fields.set("headers", &mut response.headers, |cursor| headers::read(cursor, Use::Answer, scope));
    fields.set("body", &mut response.body, |cursor| cursor.body(scope).map(Some));
    if fields.has("body") && BODILESS.contains(&response.status) {
        let message = format!("an answer with the status {} has no body", response.status);
        fields.notes().wrong(fields.span_of("body"), message);
    }
    Some(response)
}
