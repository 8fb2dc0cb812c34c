//! The branches of a transaction: who is called, where, with what, and after whom.

use super::cursor::{Cursor, Fields};
use super::headers::{self, Use};
use super::likely::suggestion;
use super::names::{service, unique_name};
use super::order::{self, Waits};
use super::saga::{self, SagaStep};
use super::scalars::milliseconds;
use super::services::Services;
use super::template::{Place, Scope};
use std::cell::RefCell;
use std::collections::BTreeMap;
use unanimo_contract::{BranchPlan, Mode, Operation, Step, Verdict};
use unanimo_protocol::BranchSet;

const KEYS: [&str; 13] = [
    "name",
    "service",
    "path",
    "paths",
    "headers",
    "body",
    "after",
    "call_timeout",
    "act",
    "compensate",
    "step",
    "attempts",
    "pass_credentials",
];

/// A transaction's branches.
pub struct Branches {
    /// The names that could be read.
    pub names: Vec<String>,
    /// The names of those that act after the verdict.
    pub late: Vec<String>,
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
    let (mut plans, mut steps, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for branch in &read {
        let named = RefCell::default();
        let scope = Scope { answers: &names, named: Some(&named), ..*scope };
        let after = branch.after(&names).unwrap_or_default();
        let (plan, step) = branch.plan(mode, &scope, services);
        plans.push(plan);
        steps.push(step);
        waits.push(Waits { after, after_span: branch.fields.span_of("after"), named: named.into_inner() });
    }
    let is_ordered = order::check(cursor.notes(), &names, &waits)
        && (mode != Some(Mode::Saga) || saga::order(cursor.notes(), &names, &steps, &mut waits));
    let late = names.iter().zip(&steps).filter(|(_, step)| step.step == Step::Retriable);
    let late = late.map(|(name, _)| name.clone()).collect();
    let waiting =
        |(plan, waits): (Option<BranchPlan>, Waits)| plan.map(|it| BranchPlan { after: waits.after, ..it });
    let plans: Option<Vec<BranchPlan>> = plans.into_iter().zip(waits).map(waiting).collect();
    Some(Branches { names, late, plans: plans.filter(|_| is_ordered) })
}

/// A branch that is being read.
struct Branch<'a> {
    name: Option<&'a str>,
    fields: Fields<'a>,
}

impl Branch<'_> {
    /// Everything but `after`, and what it is to a saga.
    fn plan(&self, mode: Option<Mode>, scope: &Scope, services: &Services) -> (Option<BranchPlan>, SagaStep) {
        let fields = &self.fields;
        let service = fields.need("service").and_then(|cursor| service(cursor, services));
        let step = SagaStep::read(fields, mode, service.is_some_and(|(_, known)| !known.fenced));
        let Some(mode) = mode else { return (None, step) };
        let calls = match mode {
            Mode::Saga => saga::calls(fields, self.name.unwrap_or_default(), &step, scope),
            Mode::TwoPhase | Mode::Tcc => {
                saga::refuse_its_keys(fields, mode);
                by_rule(fields, mode, scope)
            }
        };
        let call_timeout = fields.get("call_timeout").map(Cursor::milliseconds);
        let plan = || {
            let (service, known) = service?;
            known.is_participant.set(true);
            if !known.fenced && mode != Mode::Saga {
                let message = format!("the service `{service}` is not fenced: only a saga can do with it");
                let help =
                    "say `mode: saga`; or leave its `fenced: false` out, if it keeps a participant's duties";
                fields.notes().wrong_but(fields.span_of("service"), message, help);
                return None;
            }
            Some(BranchPlan {
                name: self.name?.to_owned(),
                service: service.to_owned(),
                call_timeout_ms: milliseconds(call_timeout.unwrap_or(Some(known.call_timeout))?),
                asks: known.asks,
                step: step.step,
                unfenced: !known.fenced,
                attempts: step.attempts,
                needs_client: mode == Mode::Saga && step.passes && !scope.credentials.is_empty(),
                ..calls?
            })
        };
        (plan().filter(|plan| saga::has_credentials(fields, plan)), step)
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

/// Calls that follow the rule: one path to which the operations are added, one body for all of them.
pub fn by_rule(fields: &Fields, mode: Mode, scope: &Scope) -> Option<BranchPlan> {
    let path = fields.need("path").and_then(|cursor| path(cursor, mode, scope));
    let paths = fields.get("paths").map(|cursor| paths(cursor, mode, scope));
    let headers = fields.get("headers").map(|cursor| headers::read(cursor, Use::Call, scope));
    let body = fields.get("body").map(|cursor| cursor.body(scope));
    Some(BranchPlan {
        path: path?,
        paths: paths.unwrap_or(Some(Vec::new()))?,
        headers: headers.unwrap_or(Some(Vec::new()))?,
        body: body.map_or(Some(None), |body| body.map(Some))?,
        ..BranchPlan::default()
    })
}

/// The path to which each operation is added.
fn path(cursor: Cursor, mode: Mode, scope: &Scope) -> Option<String> {
    let path = cursor.template(Place::Path, scope)?;
    if path.ends_with('/') {
        let help = format!("`/{}` and the other operations are added to it", mode.first());
        cursor.wrong_but("a branch's `path` does not end with `/`", help);
    }
    Some(path.to_owned())
}

/// Paths of operations that do not follow that rule.
fn paths(cursor: Cursor, mode: Mode, scope: &Scope) -> Option<Vec<(String, String)>> {
    let known: Vec<_> = operations(mode).into_iter().map(Operation::as_str).collect();
    let mut paths = Some(Vec::new());
    for named in cursor.named("`paths`")? {
        if !known.contains(&named.key) {
            let message = format!("`{}` is not an operation of the mode `{mode}`", named.key);
            cursor.notes().wrong_but(named.key_span, message, suggestion(named.key, known.iter().copied()));
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

fn operations(mode: Mode) -> Vec<Operation> {
    let mut operations = vec![mode.first(), mode.telling(Verdict::Commit), mode.telling(Verdict::Rollback)];
    operations.dedup();
    operations
}
