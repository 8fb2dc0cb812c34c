//! What only sagas have: actions and compensations as calls of their own, steps, and the way there is no way back from.

use super::branches;
use super::cursor::{Cursor, Fields};
use super::headers::{self, Use};
use super::mistake::Notes;
use super::order::Waits;
use super::source::Span;
use super::template::{Place, Scope};
use std::num::NonZeroU32;
use unanimo_contract::plan::{CallPlan, METHODS};
use unanimo_contract::{BranchPlan, Mode, Step};

/// The keys that branches of no other mode have.
const KEYS: [&str; 5] = ["act", "compensate", "step", "attempts", "pass_credentials"];

/// The keys that a branch has in place of `act`.
const BY_RULE: [&str; 4] = ["path", "paths", "headers", "body"];

const STEPS: [(&str, Step); 3] =
    [("compensatable", Step::Compensatable), ("pivot", Step::Pivot), ("retriable", Step::Retriable)];

/// What a branch is to its saga.
pub struct SagaStep {
    /// Whether it can be made good again.
    pub step: Step,
    /// How often its action is asked for at most.
    pub attempts: Option<NonZeroU32>,
    /// Whether the client's credentials go along.
    pub passes: bool,
    unfenced: bool,
    /// Whether what it says of its step makes sense: else nothing can be said of its order.
    is_known: bool,
    /// Where that stands; where the branch begins, if nothing is said.
    span: Span,
    /// Whether it says itself whom it comes after.
    has_after: bool,
}

impl SagaStep {
    /// Reads what a branch says of itself.
    pub fn read(fields: &Fields, mode: Option<Mode>, unfenced: bool) -> SagaStep {
        let mut step = SagaStep {
            step: Step::default(),
            attempts: None,
            passes: true,
            unfenced,
            is_known: true,
            span: fields.span_of("step"),
            has_after: fields.has("after"),
        };
        if mode == Some(Mode::Saga) {
            if let Some(cursor) = fields.get("step") {
                let said = cursor.word("a step of a saga", &STEPS);
                (step.step, step.is_known) = (said.unwrap_or_default(), said.is_some());
            }
            fields.set("pass_credentials", &mut step.passes, Cursor::boolean);
            let attempts = fields.get("attempts").and_then(|cursor| cursor.count(1..=1_000));
            step.attempts = attempts.and_then(|most| u32::try_from(most).ok()).and_then(NonZeroU32::new);
            step.check_attempts(fields);
        }
        step
    }

    fn check_attempts(&self, fields: &Fields) {
        let (who, why) = match self.step {
            _ if self.attempts.is_none() => return,
            Step::Compensatable if self.unfenced => (
                "a step whose service is not fenced",
                "it is asked once: a second call could do the work twice",
            ),
            Step::Compensatable => return,
            Step::Pivot => (
                "the pivot",
                "it is asked until it has acted or refused: there is no way back before that is known",
            ),
            Step::Retriable => ("a retriable step", "it is asked until it has acted"),
        };
        fields.notes().wrong_but(fields.span_of("attempts"), format!("{who} has no `attempts`"), why);
    }
}

/// Notes the keys that only a saga's branches have.
pub fn refuse_its_keys(fields: &Fields, mode: Mode) {
    for key in KEYS.into_iter().filter(|key| fields.has(key)) {
        let message = format!("a branch of the mode `{mode}` has no key `{key}`");
        fields.notes().wrong_but(fields.span_of(key), message, "it belongs to the mode `saga`");
    }
}

/// The action and the compensation of a branch.
pub fn calls(fields: &Fields, name: &str, step: &SagaStep, scope: &Scope) -> Option<BranchPlan> {
    let action = match fields.get("act") {
        None => branches::by_rule(fields, Mode::Saga, scope),
        Some(act) => {
            for key in BY_RULE.into_iter().filter(|key| fields.has(key)) {
                let message = format!("a branch with `act` has no `{key}` of its own");
                fields.notes().wrong_but(fields.span_of(key), message, "move it into `act`");
            }
            call(act, "`act`", scope).map(|CallPlan { method, path, headers, body }| BranchPlan {
                path,
                headers,
                body,
                method,
                exact: true,
                ..BranchPlan::default()
            })
        }
    };
    // What it names may never have come, and nobody waits for it.
    let scope = Scope { named: None, is_compensation: true, ..*scope };
    let compensate = fields.get("compensate").map(|cursor| call(cursor, "`compensate`", &scope));
    check_compensation(fields, name, step);
    Some(BranchPlan { compensate: compensate.map_or(Some(None), |it| it.map(Some))?, ..action? })
}

/// Whether there is a compensation exactly where there must be one.
fn check_compensation(fields: &Fields, name: &str, step: &SagaStep) {
    if step.step != Step::Compensatable && fields.has("compensate") {
        let message = format!("`{name}` is {}, and is never compensated", in_words(step.step));
        let help = "leave `compensate` out; or leave `step` out, if what it does can be made good again";
        fields.notes().wrong_but(fields.span_of("compensate"), message, help);
    } else if step.is_known
        && step.step == Step::Compensatable
        && fields.has("act")
        && !fields.has("compensate")
    {
        let help = "describe it: `compensate: { method: DELETE, path: … }`; \
                    or say `step: pivot` or `step: retriable`, where nothing leads back";
        fields.notes().wrong_but(fields.span_of("act"), format!("`{name}` has no `compensate`"), help);
    }
}

fn call(cursor: Cursor, what: &'static str, scope: &Scope) -> Option<CallPlan> {
    let fields = cursor.fields(what, &["method", "path", "headers", "body"])?;
    let method = fields.get("method").map(method);
    let path = fields.need("path").and_then(|cursor| cursor.template(Place::Path, scope));
    let headers = fields.get("headers").map(|cursor| headers::read(cursor, Use::Call, scope));
    let body = fields.get("body").map(|cursor| cursor.body(scope));
    Some(CallPlan {
        method: method.map_or(Some(None), |method| method.map(Some))?,
        path: path?.to_owned(),
        headers: headers.unwrap_or(Some(Vec::new()))?,
        body: body.map_or(Some(None), |body| body.map(Some))?,
    })
}

fn method(cursor: Cursor) -> Option<String> {
    let word = cursor.text()?;
    if METHODS.contains(&word) {
        return Some(word.to_owned());
    }
    cursor.unknown("a method with which a participant is called", word, METHODS);
    None
}

/// Whether a branch can act when it may have to. A client's credential is gone after a crash.
pub fn has_credentials(fields: &Fields, plan: &BranchPlan) -> bool {
    if plan.step == Step::Compensatable || !plan.needs_client {
        return true;
    }
    let message = format!(
        "`{}` is {}: it may have to act after a restart, when the client's credential is gone",
        plan.name,
        in_words(plan.step)
    );
    let help = "say `pass_credentials: false` in this branch: it is called with its service's own credential";
    fields.notes().wrong_but(fields.span_of("step"), message, help);
    false
}

/// Whether every step comes where it may. A pivot that says nothing waits for all that can be compensated.
pub fn order(notes: &Notes, names: &[String], steps: &[SagaStep], waits: &mut [Waits]) -> bool {
    if !steps.iter().all(|step| step.is_known) {
        return false;
    }
    let of = |step: Step| (0..steps.len()).filter(move |at| steps[*at].step == step);
    let pivots: Vec<usize> = of(Step::Pivot).collect();
    let Some(decides) = decider(notes, names, steps, &pivots) else { return false };
    let mut is_right = true;
    for at in of(Step::Compensatable).chain(of(Step::Pivot)) {
        is_right &= !steps_back(notes, names, steps, waits, at);
    }
    for at in of(Step::Retriable) {
        is_right &= !names_late_answers(notes, names, steps, &waits[at]);
    }
    match decides {
        Decides::Pivot(pivot) if is_right => pivot_is_last(notes, names, steps, waits, pivot),
        Decides::Pivot(_) | Decides::LastVote => is_right,
    }
}

/// Whose answer is the verdict.
enum Decides {
    Pivot(usize),
    LastVote,
}

/// Finds whose answer decides; what stands in the way is noted.
fn decider(notes: &Notes, names: &[String], steps: &[SagaStep], pivots: &[usize]) -> Option<Decides> {
    let name = |at: usize| names.get(at).map_or("", String::as_str);
    match *pivots {
        [] if steps.iter().all(|step| step.step == Step::Retriable) => {
            let first = steps.first()?;
            let help = "let one of them decide: `step: pivot`, or no `step` at all and a compensation";
            notes.wrong_but(first.span, "every step is retriable, and none decides the saga", help);
            None
        }
        [] => Some(Decides::LastVote),
        [pivot] if steps[pivot].unfenced => {
            let message = format!("`{}` is the pivot, and its service is not fenced", name(pivot));
            let help = "a pivot whose answer was lost is asked again: its service must know what it has done";
            notes.wrong_but(steps[pivot].span, message, help);
            None
        }
        [pivot] => Some(Decides::Pivot(pivot)),
        [first, second, ..] => {
            let message = format!("a saga has one pivot, and `{}` is it", name(first));
            let help = "after it everything must succeed: \
                        make the later one retriable, or the earlier one compensatable";
            notes.wrong_but(steps[second].span, message, help);
            None
        }
    }
}

/// Whether the pivot comes after everybody who can be compensated.
fn pivot_is_last(
    notes: &Notes,
    names: &[String],
    steps: &[SagaStep],
    waits: &mut [Waits],
    pivot: usize,
) -> bool {
    let name = |at: usize| names.get(at).map_or("", String::as_str);
    let compensatable = (0..steps.len()).filter(|at| steps[*at].step == Step::Compensatable);
    if !steps[pivot].has_after {
        waits[pivot].after = compensatable.filter_map(|at| u8::try_from(at).ok()).collect();
        return true;
    }
    let reached = reached(waits, pivot);
    let beside: Vec<_> = compensatable.filter(|at| !reached.contains(at)).map(name).collect();
    if !beside.is_empty() {
        let all = beside.join("` and `");
        let message =
            format!("the pivot `{}` runs beside `{all}`, and then nothing can be compensated", name(pivot));
        let help = format!(
            "add `{all}` to its `after`; without `after` it waits for everybody who can be compensated"
        );
        notes.wrong_but(waits[pivot].after_span, message, help);
    }
    beside.is_empty()
}

/// A step as a sentence names it.
fn in_words(step: Step) -> &'static str {
    match step {
        Step::Compensatable => "compensatable",
        Step::Pivot => "the pivot",
        Step::Retriable => "retriable",
    }
}

/// Notes where a step that can lead back comes after one that cannot.
fn steps_back(notes: &Notes, names: &[String], steps: &[SagaStep], waits: &[Waits], at: usize) -> bool {
    let later = |other: usize| match steps[at].step {
        Step::Pivot => steps[other].step == Step::Retriable,
        _ => steps[other].step != Step::Compensatable,
    };
    let past = waits[at].whom().find(|(other, _)| later(*other));
    if let Some((other, span)) = past {
        let name = |at: usize| names.get(at).map_or("", String::as_str);
        let message = format!(
            "`{}` is {}, and waits for `{}`, which is {}",
            name(at),
            in_words(steps[at].step),
            name(other),
            in_words(steps[other].step)
        );
        let help = "compensatable steps come first, then the pivot, then retriable ones";
        notes.wrong_but(span, message, help);
    }
    past.is_some()
}

/// Notes where a step names the answer of one that acts after the verdict.
fn names_late_answers(notes: &Notes, names: &[String], steps: &[SagaStep], waits: &Waits) -> bool {
    let late = |at: u8| steps.get(usize::from(at)).is_some_and(|step| step.step == Step::Retriable);
    let named = waits.named.iter().find(|(at, _)| late(*at));
    if let Some((at, span)) = named {
        let name = names.get(usize::from(*at)).map_or("", String::as_str);
        let help = "the calls of retriable steps are fixed with the verdict, before any of them acts";
        notes.wrong_but(*span, format!("`{name}` is retriable: nobody can name its answer"), help);
    }
    named.is_some()
}

/// Everybody for whom a branch waits, directly or by way of others.
fn reached(waits: &[Waits], from: usize) -> Vec<usize> {
    let (mut reached, mut left) = (Vec::new(), vec![from]);
    while let Some(at) = left.pop() {
        for (other, _) in waits[at].whom() {
            if !reached.contains(&other) {
                reached.push(other);
                left.push(other);
            }
        }
    }
    reached
}
