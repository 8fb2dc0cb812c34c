//! Finished transactions as operators see them: one with all that is kept of it, or a page of many, newest first.
//!
//! Route, mode and services belong to plans, of which there are few. So a page is merged from the newest rows of each plan
//! and verdict that are wanted: every filter walks an index from its end, and stops when the page is full.

use super::detail;
use super::numbers;
use super::reader::{ended, verdict};
use super::store::{clamped, id_bytes, id_of};
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::cmp::Reverse;
use unanimo_contract::operations::{BranchView, Cursor, Flag, Flags};
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{Detail, Digest, Filter, Id, Mode, Page, Plan, Verdict, View};
use unanimo_protocol::Cause;

const COLUMNS: &str = "id, verdict, flags, cause, fault, began_ms, ended_ms, key, answer";

/// The newest rows of one plan and verdict, in a range of places.
pub(crate) const GROUP: &str = "SELECT began_ms, id, number FROM transactions INDEXED BY lists \
     WHERE plan = ?1 AND verdict = ?2 AND (began_ms, id) < (?3, ?4) AND began_ms >= ?5 \
     AND id BETWEEN ?6 AND ?7 ORDER BY began_ms DESC, id DESC LIMIT ?8";

/// Those that began under a key.
pub(crate) const OF_KEY: &str =
    "SELECT began_ms, id, number FROM transactions INDEXED BY keyed WHERE key = ?1";

/// The newest of those with flags: there are few.
pub(crate) const FLAGGED: &str = "SELECT began_ms, id, number FROM transactions INDEXED BY flagged \
     WHERE flags <> 0 AND flags & ?1 <> 0 AND (began_ms, id) < (?2, ?3) AND began_ms >= ?4 \
     ORDER BY began_ms DESC, id DESC";

/// One transaction; `None` where it is not here.
pub(crate) fn get(
    connection: &Connection,
    id: Id,
    keyring: Option<&Keyring>,
) -> rusqlite::Result<Option<Detail>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, detail, plans.plan FROM transactions JOIN plans ON plans.number = transactions.plan \
         WHERE id = ?1"
    ))?;
    let row = |row: &Row<'_>| {
        let view = view(row, &plan_of(row, 10)?, keyring)?;
        let stored: Vec<u8> = row.get(9)?;
        let (timeline, exchanges) = detail::decode(stored.into()).map_err(|error| broken(9, error))?;
        Ok(Detail { view, timeline, exchanges })
    };
    statement.query_row([id_bytes(id)], row).optional()
}

/// The newest transactions that a filter takes and a page reaches: at most one more than it holds.
pub(crate) fn list(
    connection: &Connection,
    filter: &Filter,
    page: Page,
    keyring: Option<&Keyring>,
) -> rusqlite::Result<Vec<View>> {
    let limit = page.limit.clamp(1, Page::LIMIT) + 1;
    let mut found = match filter.key {
        Some(key) => of_key(connection, key)?,
        None if filter.flags.is_empty() => of_groups(connection, filter, page, limit)?,
        None => of_flags(connection, filter, page)?,
    };
    found.retain(|(place, _)| page.reaches(*place));
    found.sort_unstable_by_key(|(place, _)| Reverse(*place));
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, plans.plan FROM transactions JOIN plans ON plans.number = transactions.plan \
         WHERE transactions.number = ?1"
    ))?;
    let mut views = Vec::new();
    for (_, number) in found {
        let row = |row: &Row<'_>| view(row, &plan_of(row, 9)?, keyring);
        views.extend(statement.query_row([number], row).optional()?.filter(|view| view.is_taken_by(filter)));
        if views.len() == limit {
            break;
        }
    }
    Ok(views)
}

/// A row that a list may show.
type Found = (Cursor, i64);

fn of_groups(
    connection: &Connection,
    filter: &Filter,
    page: Page,
    limit: usize,
) -> rusqlite::Result<Vec<Found>> {
    let (before, id) = upper_bound(filter, page);
    let from = clamped(filter.began_from_unix_ms.unwrap_or(0));
    let mut statement = connection.prepare_cached(GROUP)?;
    let mut found = Vec::new();
    for (plan, (low, high)) in wanted_plans(connection, filter)? {
        for verdict in wanted_verdicts(filter) {
            let commit = verdict == Verdict::Commit;
            let range = (id_bytes(low), id_bytes(high));
            let rows = statement
                .query_map(params![plan, commit, before, id, from, range.0, range.1, limit as i64], place)?;
            for row in rows {
                found.push(row?);
            }
        }
    }
    Ok(found)
}

fn of_flags(connection: &Connection, filter: &Filter, page: Page) -> rusqlite::Result<Vec<Found>> {
    let (before, id) = upper_bound(filter, page);
    let from = clamped(filter.began_from_unix_ms.unwrap_or(0));
    let mut statement = connection.prepare_cached(FLAGGED)?;
    statement.query_map(params![filter.flags.bits(), before, id, from], place)?.collect()
}

fn of_key(connection: &Connection, key: Digest) -> rusqlite::Result<Vec<Found>> {
    connection.prepare_cached(OF_KEY)?.query_map([key.0], place)?.collect()
}

fn place(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok((Cursor { began_unix_ms: row.get::<_, i64>(0)? as u64, id: id_of(row.get(1)?) }, row.get(2)?))
}

/// Places at or above this one are not wanted.
fn upper_bound(filter: &Filter, page: Page) -> (i64, [u8; 16]) {
    let end = (i64::MAX, [0xff; 16]);
    let before = filter.began_before_unix_ms.map_or(end, |before| (clamped(before), [0; 16]));
    let after = page.after.map_or(end, |after| (clamped(after.began_unix_ms), id_bytes(after.id)));
    before.min(after)
}

/// A plan's number, and the first and the last id.
type Wanted = (i64, (Id, Id));

/// The plans that a filter may take, and the range of ids of which it takes any of them.
fn wanted_plans(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Wanted>> {
    let mut statement = connection.prepare_cached("SELECT plan, number FROM plans")?;
    let mut rows = statement.query([])?;
    let mut wanted = Vec::new();
    let every = (Id::from_bits(0), Id::from_bits(u128::MAX));
    while let Some(row) = rows.next()? {
        let plan = plan_of(row, 0)?;
        let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
        let mode = filter.mode.is_none_or(|mode| mode.as_str() == plan.mode);
        let service = plan.branches.iter().any(|branch| is(&filter.service, &branch.service));
        if !(mode && service && is(&filter.route, &plan.route)) {
            continue;
        }
        let ids = match &filter.text {
            None => Some(every),
            Some(text) if names(&plan, text) => Some(every),
            Some(text) => ids_that_begin(text),
        };
        if let Some(ids) = ids {
            wanted.push((row.get(1)?, ids));
        }
    }
    Ok(wanted)
}

fn names(plan: &Plan, text: &str) -> bool {
    let holds = |name: &str| name.to_ascii_lowercase().contains(&text.to_ascii_lowercase());
    holds(&plan.route) || plan.branches.iter().any(|branch| holds(&branch.name) || holds(&branch.service))
}

/// The first and the last id whose text begins so.
fn ids_that_begin(text: &str) -> Option<(Id, Id)> {
    let filled = |with: char| {
        let rest = std::iter::repeat_n(with, Id::TEXT_LEN.checked_sub(text.len())?);
        text.to_ascii_lowercase().chars().chain(rest).collect::<String>().parse::<Id>().ok()
    };
    // The first character has room for more than an id has bits.
    Some((filled('0')?, filled('z').unwrap_or(Id::from_bits(u128::MAX))))
}

fn wanted_verdicts(filter: &Filter) -> Vec<Verdict> {
    let takes = |verdict: &Verdict| {
        let state = filter.states.is_empty() || filter.states.contains(&ended(*verdict));
        state && filter.verdict.is_none_or(|wanted| wanted == Some(*verdict))
    };
    [Verdict::Commit, Verdict::Rollback].into_iter().filter(takes).collect()
}

fn plan_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Plan> {
    let stored = row.get_ref(column)?.as_blob()?;
    Plan::decode(stored).map_err(|error| broken(column, error))
}

fn broken(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}

fn view(row: &Row<'_>, plan: &Plan, keyring: Option<&Keyring>) -> rusqlite::Result<View> {
    let verdict = verdict(row, 1)?;
    let cause = match (row.get::<_, Option<u8>>(3)?, row.get(4)?) {
        (Some(cause), fault) => numbers::cause(cause, fault),
        (None, _) => None,
    };
    let fault = match cause {
        Some(Cause::Refused(branch) | Cause::Unusable(branch) | Cause::Unanswered(branch)) => {
            plan.branch(branch)
        }
        _ => None,
    };
    let branches = plan.branches.iter().map(|branch| BranchView {
        name: branch.name.clone(),
        service: branch.service.clone(),
        progress: "ended",
        attempts: None,
        last_answer: None,
    });
    let mode = Mode::parse(&plan.mode);
    let (id, flags) = (id_of(row.get(0)?), Flags::from_bits(row.get(2)?));
    // A heuristic end is told in words of our own.
    let told = Some(verdict).filter(|_| !flags.has(Flag::Heuristic));
    let stored = Bytes::from(row.get::<_, Vec<u8>>(8)?);
    Ok(View {
        id,
        route: plan.route.clone(),
        mode: mode.ok_or_else(|| broken(0, std::fmt::Error))?,
        state: ended(verdict),
        verdict: Some(verdict),
        cause: cause.map(|cause| cause.as_str().to_owned()),
        branch: fault.map(|branch| branch.name.clone()),
        flags,
        key: row.get::<_, Option<[u8; 16]>>(7)?.map(Digest),
        began_unix_ms: row.get::<_, i64>(5)? as u64,
        ended_unix_ms: Some(row.get::<_, i64>(6)? as u64),
        branches: branches.collect(),
        answer: unanimo_coordinator::stored_answer(keyring, id, &stored).map_or_else(Some, |answer| {
            answer.map(|answer| unanimo_coordinator::shown_answer(plan, told, cause, answer))
        }),
    })
}
