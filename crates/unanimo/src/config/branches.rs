//! The branches of a transaction: who is called, where, with what, and after whom.

use super::cursor::{Cursor, Fields};
use super::headers::{self, Use};
use super::likely::suggestion;
use super::names::{service, unique_name};
use super::order::{self, Waits};
use super::scalars::milliseconds;
use super::services::Services;
use super::template::{Place, Scope};
use std::cell::RefCell;
use std::collections::BTreeMap;
use unanimo_contract::{BranchPlan, Mode, Operation, Verdict};
use unanimo_protocol::BranchSet;

const KEYS: [&str; 8] = ["name", "service", "path", "paths", "headers", "body", "after", "call_timeout"];

/// A transaction's branches.
pub struct Branches {
    /// The names that could be read.
    pub names: Vec<String>,
    /// The branches; `None` where one of them is wrong.
    pub plans: Option<Vec<BranchPlan>>,
}

/// Reads `branches`.
pub fn read(cursor: Cursor, mode: Option<Mode>, scope: &Scope, services: &Services) -> Option<Branches> {
    let elements = cursor.elements("`branches`")?;
    if elements.is_empty() {
        cursor.wrong("a transaction needs at least one branch");
        return None;
    }
    if elements.len() > BranchSet::CAPACITY {
        let message =
            format!("a transaction has at most {} branches, not {}", BranchSet::CAPACITY, elements.len());
        cursor.wrong(message);
        return None;
    }
    let mut seen = BTreeMap::new();
    let mut read: Vec<Branch> = Vec::new();
    for element in elements {
        let Some(fields) = element.fields("a branch", &KEYS) else { continue };
        let name = fields.need("name").and_then(|cursor| unique_name(cursor, "a branch", &mut seen));
        read.push(Branch { name, fields });
    }
    let names: Vec<_> = read.iter().map(|branch| branch.name.unwrap_or_default().to_owned()).collect();
    let (mut plans, mut waits) = (Vec::new(), Vec::new());
    for branch in &read {
        let named = RefCell::default();
        let scope = Scope { answers: &names, named: Some(&named), ..*scope };
        let after = branch.after(&names).unwrap_or_default();
        let plan = branch.plan(mode, &scope, services);
        plans.push(plan.map(|plan| BranchPlan { after: after.clone(), ..plan }));
        waits.push(Waits { after, after_span: branch.fields.span_of("after"), named: named.into_inner() });
    }
    let is_ordered = order::check(cursor.notes(), &names, &waits);
    let plans: Option<Vec<BranchPlan>> = plans.into_iter().collect();
    Some(Branches { names, plans: plans.filter(|_| is_ordered) })
}

/// A branch that is being read.
struct Branch<'a> {
    name: Option<&'a str>,
    fields: Fields<'a>,
}

impl Branch<'_> {
    /// Everything but `after`.
    fn plan(&self, mode: Option<Mode>, scope: &Scope, services: &Services) -> Option<BranchPlan> {
        let fields = &self.fields;
        let service = fields.need("service").and_then(|cursor| service(cursor, services));
        let path = fields.need("path").and_then(|cursor| path(cursor, mode, scope));
        let paths = fields.get("paths").map(|cursor| paths(cursor, mode, scope));
        let headers = fields.get("headers").map(|cursor| headers::read(cursor, Use::Call, scope));
        let body = fields.get("body").map(|cursor| cursor.body(scope));
        let call_timeout = fields.get("call_timeout").map(Cursor::milliseconds);
        let (service, known) = service?;
        known.is_participant.set(true);
        Some(BranchPlan {
            name: self.name?.to_owned(),
            service: service.to_owned(),
            after: Vec::new(),
            path: path?,
            paths: paths.unwrap_or(Some(Vec::new()))?,
            headers: headers.unwrap_or(Some(Vec::new()))?,
            body: body.map_or(Some(None), |body| body.map(Some))?,
            call_timeout_ms: milliseconds(call_timeout.unwrap_or(Some(known.call_timeout))?),
            asks: known.asks,
        })
    }

    /// The places of the branches that this one waits for.
    fn after(&self, names: &[String]) -> Option<Vec<u8>> {
        let mut places = Vec::new();
        let Some(cursor) = self.fields.get("after") else { return Some(places) };
        for cursor in cursor.elements("`after`")? {
            let name = cursor.text()?;
            let Some(place) = names.iter().position(|known| known == name) else {
                let others = names.iter().map(String::as_str).filter(|known| Some(*known) != self.name);
                let help = suggestion(name, others);
                cursor.wrong_but(format!("`{name}` is not a branch of this transaction"), help);
                return None;
            };
            let place = u8::try_from(place).ok()?;
            if places.contains(&place) {
                cursor.wrong(format!("`{name}` stands there twice"));
            }
            places.push(place);
        }
        Some(places)
    }
}

/// The path to which each operation is added.
fn path(cursor: Cursor, mode: Option<Mode>, scope: &Scope) -> Option<String> {
    let path = cursor.template(Place::Path, scope)?;
    if path.ends_with('/') {
        let operation = mode.map_or("prepare", |mode| mode.first().as_str());
        let help = format!("`/{operation}` and the other operations are added to it");
        cursor.wrong_but("a branch's `path` does not end with `/`", help);
    }
    Some(path.to_owned())
}

/// Paths of operations that do not follow that rule.
fn paths(cursor: Cursor, mode: Option<Mode>, scope: &Scope) -> Option<Vec<(String, String)>> {
    let mut paths = Some(Vec::new());
    for named in cursor.named("`paths`")? {
        if let Some(mode) = mode
            && !operations(mode).iter().any(|operation| operation.as_str() == named.key)
        {
            let known = operations(mode).map(Operation::as_str);
            let message = format!("`{}` is not an operation of the mode `{mode}`", named.key);
            cursor.notes().wrong_but(named.key_span, message, suggestion(named.key, known));
            paths = None;
        }
        match named.value.template(Place::Path, scope) {
            Some(path) => {
                paths.iter_mut().for_each(|paths| paths.push((named.key.to_owned(), path.to_owned())))
            }
            None => paths = None,
        }
    }
    paths
}

fn operations(mode: Mode) -> [Operation; 3] {
    [mode.first(), mode.telling(Verdict::Commit), mode.telling(Verdict::Rollback)]
}
