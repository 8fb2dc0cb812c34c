//! What can be seen from outside: status for clients, views for operators, counts for metrics.

use crate::finished::Finished;
use crate::open::Open;
use crate::owner::Owner;
use crate::plans::Ready;
use crate::tally::{Tally, count, end_word};
use std::ops::Bound;
use unanimo_contract::operations::BranchView;
use unanimo_contract::trace::Trace;
use unanimo_contract::{Filter, Id, Page, State, Status, Token, Verdict, View};
use unanimo_protocol::{Cause, Progress};

impl Owner {
    /// What the holder of the token may know.
    pub fn status(&self, id: Id, token: Token) -> Option<Status> {
        if let Some(open) = self.open.get(&id) {
            return (open.token.matches(token) && open.core.has_begun()).then(|| Status {
                transaction: id,
                state: open.core.state(),
                verdict: open.verdict(),
                finished: open.core.is_finished(),
                heuristic: open.core.heuristic().is_some(),
                answer: open.client_answer(),
            });
        }
        let finished = self.memory.get(id).filter(|finished| finished.token.matches(token))?;
        Some(Status {
            transaction: id,
            state: finished.state(),
            verdict: Some(finished.verdict),
            finished: true,
            heuristic: false,
            answer: Some(finished.client_answer(id)),
        })
    }

    /// A transaction as an operator sees it.
    pub fn view(&self, id: Id) -> Option<View> {
        let open = self.open.get(&id).map(|open| view_of_open(open));
        open.or_else(|| self.memory.get(id).map(|finished| view_of_finished(id, finished)))
    }

    /// The trace that an open transaction's calls belong to.
    pub fn trace(&self, id: Id) -> Option<Trace> {
        let named = self.open.get(&id)?.trace.as_ref();
        Some(named.map_or_else(|| Trace::of_transaction(id), |context| context.trace))
    }

    /// A page of this owner's transactions, open and finished, ordered by id.
    pub fn list(&self, filter: &Filter) -> Page {
        let limit = filter.limit.clamp(1, Filter::LIMIT);
        let from = filter.after.map_or(Bound::Unbounded, Bound::Excluded);
        let wants = |state: State| filter.state.is_none_or(|wanted| wanted == state);
        let open = self.open.range((from, Bound::Unbounded));
        let open = open.filter(|(_, open)| wants(open.core.state()) && (!filter.stuck || needs_an_eye(open)));
        let finished = self.memory.after(filter.after).filter(|(_, end)| wants(end.state()) && !filter.stuck);
        let mut views: Vec<View> = open.take(limit + 1).map(|(_, open)| view_of_open(open)).collect();
        views.extend(finished.take(limit + 1).map(|(id, end)| view_of_finished(*id, end)));
        Page::of(views, limit)
    }

    /// What this owner has done, and what it holds.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.remembered = self.memory.len() as u64;
        for open in self.open.values() {
            count(&mut tally.open, open.core.state());
            tally.stuck += u64::from(open.stuck);
            tally.heuristic_open += u64::from(open.core.heuristic().is_some());
        }
        tally
    }
}

/// Whether a person should look at it.
fn needs_an_eye(open: &Open) -> bool {
    open.stuck || open.core.heuristic().is_some()
}

fn view_of_open(open: &Open) -> View {
    let branches = open.core.indices().map(|branch| {
        let (ready, side) = (&open.ready.branches[branch.at()], &open.branches[branch.at()]);
        BranchView {
            name: ready.name.to_string(),
            service: ready.service.to_string(),
            progress: open.core.progress(branch).map_or("", progress_word),
            attempts: Some(side.sent),
            last_answer: side.last_answer.map(|answer| answer.to_string()),
        }
    });
    View {
        id: open.core.id(),
        route: open.ready.plan.route.clone(),
        mode: open.ready.outline.mode(),
        state: open.core.state(),
        verdict: open.verdict(),
        cause: open
            .verdict()
            .map(|_| end_word(open.core.cause()).to_owned())
            .filter(|_| open.core.cause().is_some()),
        branch: at_fault(&open.ready, open.core.cause()),
        stuck: open.stuck,
        heuristic: open.core.heuristic().is_some(),
        keyed: open.key.is_some(),
        began_unix_ms: open.began_unix_ms,
        branches: branches.collect(),
        answer: open.client_answer(),
    }
}

fn view_of_finished(id: Id, finished: &Finished) -> View {
    let branches = finished.ready.branches.iter().map(|ready| BranchView {
        name: ready.name.to_string(),
        service: ready.service.to_string(),
        progress: "ended",
        attempts: None,
        last_answer: None,
    });
    View {
        id,
        route: finished.ready.plan.route.clone(),
        mode: finished.mode(),
        state: finished.state(),
        verdict: Some(finished.verdict),
        cause: (finished.verdict == Verdict::Rollback).then(|| end_word(finished.cause).to_owned()),
        branch: at_fault(&finished.ready, finished.cause),
        stuck: false,
        heuristic: false,
        keyed: finished.key.is_some(),
        began_unix_ms: finished.began_unix_ms,
        branches: branches.collect(),
        answer: Some(finished.client_answer(id)),
    }
}

/// The branch that refused, or whose answer was of no use, where that is why.
fn at_fault(ready: &Ready, cause: Option<Cause>) -> Option<String> {
    match cause? {
        Cause::Refused(branch) | Cause::Unusable(branch) => {
            Some(ready.branches[branch.at()].name.to_string())
        }
        Cause::Deadline | Cause::Interrupted | Cause::Unwritable => None,
    }
}

fn progress_word(progress: Progress) -> &'static str {
    match progress {
        Progress::Idle => "idle",
        Progress::Asked => "asked",
        Progress::Ready => "ready",
        Progress::ReadOnly => "read-only",
        Progress::Refused { .. } => "refused",
        Progress::Told => "told",
        Progress::Heuristic => "heuristic",
    }
}
