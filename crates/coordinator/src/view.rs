//! What can be seen from outside: status for clients, views for operators, counts for metrics.

use crate::Config;
use crate::finished::Finished;
use crate::open::Open;
use crate::owner::Owner;
use crate::plans::Ready;
use crate::tally::{Tally, count, end_word};
use unanimo_contract::operations::{
    Asked, Body, BranchView, Cursor, Exchange, Flag, Heard, Moment, MomentKind, Timeline, Traits,
};
use unanimo_contract::trace::Trace;
use unanimo_contract::{BranchIndex, Detail, Filter, Id, Mode, Page, Status, Token, Verdict, View};
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
            heuristic: finished.flags.has(Flag::Heuristic),
            answer: Some(finished.client_answer(id, &self.config)),
        })
    }

    /// A transaction as an operator sees it.
    pub fn view(&self, id: Id) -> Option<View> {
        let open = self.open.get(&id).map(|open| view_of_open(open));
        open.or_else(|| self.memory.get(id).map(|finished| view_of_finished(id, finished, &self.config)))
    }

    /// The trace that an open transaction's calls belong to.
    pub fn trace(&self, id: Id) -> Option<Trace> {
        let named = self.open.get(&id)?.trace.as_ref();
        Some(named.map_or_else(|| Trace::of_transaction(id), |context| context.trace))
    }

    /// One transaction with all that is kept of it.
    pub fn detail(&self, id: Id) -> Option<Detail> {
        if let Some(open) = self.open.get(&id) {
            let exchanges = open.core.indices().map(|branch| exchange(open, branch));
            let (view, timeline) = (view_of_open(open), open.timeline.clone());
            return Some(Detail { view, timeline, exchanges: exchanges.collect() });
        }
        let finished = self.memory.get(id)?;
        let view = view_of_finished(id, finished, &self.config);
        Some(Detail { timeline: finished.timeline(), exchanges: Vec::new(), view })
    }

    /// This owner's newest transactions, open and finished, that a page reaches: at most one more than it holds.
    pub fn list(&self, filter: &Filter, page: &Page) -> Vec<View> {
        let open = self.open.iter().filter(|(_, open)| takes(filter, page, &open.traits(), &open.ready));
        let open =
            open.map(|(id, open)| Candidate { place: place(*id, open.began_unix_ms), of: Of::Open(open) });
        let ends = self.memory.all().filter(|(id, end)| takes(filter, page, &end.traits(**id), &end.ready));
        let ends =
            ends.map(|(id, end)| Candidate { place: place(*id, end.began_unix_ms), of: Of::Finished(end) });
        let mut found: Vec<Candidate<'_>> = open.chain(ends).collect();
        found.sort_unstable_by_key(|candidate| std::cmp::Reverse(candidate.place));
        found.truncate(page.limit.clamp(1, Page::LIMIT) + 1);
        found.into_iter().map(|candidate| candidate.view(&self.config)).collect()
    }

    /// What this owner has done, and what it holds.
    pub fn tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.remembered = self.memory.len() as u64;
        tally.keys = self.keys.len() as u64;
        tally.keys_cut_short = self.keys.cut_short();
        for open in self.open.values() {
            count(&mut tally.open, open.core.state());
            tally.stuck += u64::from(open.stuck);
            tally.heuristic_open += u64::from(open.core.heuristic().is_some());
            tally.quarantined += u64::from(open.core.is_quarantined());
        }
        tally
    }
}

/// A transaction that a list may show.
struct Candidate<'a> {
    place: Cursor,
    of: Of<'a>,
}

enum Of<'a> {
    Open(&'a Open),
    Finished(&'a Finished),
}

impl Candidate<'_> {
    fn view(&self, config: &Config) -> View {
        match self.of {
            Of::Open(open) => view_of_open(open),
            Of::Finished(finished) => view_of_finished(self.place.id, finished, config),
        }
    }
}

fn place(id: Id, began_unix_ms: u64) -> Cursor {
    Cursor { began_unix_ms, id }
}

fn takes(filter: &Filter, page: &Page, traits: &Traits<'_>, ready: &Ready) -> bool {
    page.reaches(place(traits.id, traits.began_unix_ms))
        && filter.takes(traits, ready.branches.iter().map(|branch| (&*branch.name, &*branch.service)))
}

impl Open {
    fn traits(&self) -> Traits<'_> {
        Traits {
            id: self.core.id(),
            state: self.core.state(),
            verdict: self.verdict(),
            mode: self.ready.outline.mode(),
            route: &self.ready.plan.route,
            began_unix_ms: self.began_unix_ms,
            key: self.key.map(|key| key.scope),
            flags: self.flags(),
        }
    }
}

impl Finished {
    fn traits(&self, id: Id) -> Traits<'_> {
        Traits {
            id,
            state: self.state(),
            verdict: Some(self.verdict),
            mode: self.mode(),
            route: &self.ready.plan.route,
            began_unix_ms: self.began_unix_ms,
            key: self.key.map(|key| key.scope),
            flags: self.flags,
        }
    }

    fn ended(&self) -> Option<u64> {
        Some(self.ended_unix_ms).filter(|at| *at > 0)
    }

    /// What is remembered of what happened: no more than the ends of it.
    fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::default();
        timeline.push(Moment::of(MomentKind::Begun, Some(self.began_unix_ms)));
        let verdict = Moment::of(MomentKind::Verdict, None);
        timeline.push(Moment { verdict: Some(self.verdict), cause: self.cause, ..verdict });
        timeline.push(Moment::of(MomentKind::Ended, self.ended()));
        timeline
    }
}

/// What a branch was asked, and what is kept of its answer.
fn exchange(open: &Open, branch: BranchIndex) -> Exchange {
    let rendered = open.ready.outline.rendered(open.core.waves()).contains(branch);
    let asked = rendered.then(|| {
        let call = open.shown_call(branch);
        Asked { path: call.path.clone(), headers: call.headers.to_vec(), body: Body::of(&call.body) }
    });
    Exchange { asked, heard: heard(open, branch) }
}

/// What is kept of a branch's last answer. Of later operations that is only what they meant.
pub(crate) fn heard(open: &Open, branch: BranchIndex) -> Option<Heard> {
    let side = &open.branches[branch.at()];
    side.last_answer.map(|last| {
        let vote = side.vote.as_ref().filter(|_| last.operation.tells().is_none());
        Heard {
            operation: last.operation,
            status: last.status,
            content_type: vote.and_then(|vote| vote.content_type.clone()),
            body: vote
                .and_then(|vote| vote.body.as_ref())
                .map(|body| Body::of(&open.ready.masked_body(branch, body))),
        }
    })
}

fn view_of_open(open: &Open) -> View {
    let branches = open.core.indices().map(|branch| {
        let (ready, side) = (&open.ready.branches[branch.at()], &open.branches[branch.at()]);
        BranchView {
            name: ready.name.to_string(),
            service: ready.service.to_string(),
            progress: open.core.progress(branch).map_or("", |progress| progress_word(open, progress)),
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
        flags: open.flags(),
        key: open.key.map(|key| key.scope),
        began_unix_ms: open.began_unix_ms,
        ended_unix_ms: None,
        branches: branches.collect(),
        answer: open.shown_answer(),
    }
}

fn view_of_finished(id: Id, finished: &Finished, config: &Config) -> View {
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
        flags: finished.flags,
        key: finished.key.map(|key| key.scope),
        began_unix_ms: finished.began_unix_ms,
        ended_unix_ms: finished.ended(),
        branches: branches.collect(),
        answer: Some(finished.shown_answer(id, config)),
    }
}

/// The branch that refused, or whose answer was of no use, where that is why.
fn at_fault(ready: &Ready, cause: Option<Cause>) -> Option<String> {
    match cause? {
        Cause::Refused(branch) | Cause::Unusable(branch) | Cause::Unanswered(branch) => {
            Some(ready.branches[branch.at()].name.to_string())
        }
        Cause::Deadline | Cause::Interrupted | Cause::Unwritable | Cause::ByHand => None,
    }
}

fn progress_word(open: &Open, progress: Progress) -> &'static str {
    match (open.ready.outline.mode(), open.verdict(), progress) {
        (Mode::Saga, Some(Verdict::Rollback), Progress::Told) => return "compensated",
        (Mode::Saga, _, Progress::Ready | Progress::Told) => return "acted",
        _ => {}
    }
    match progress {
        Progress::Idle => "idle",
        Progress::Asked => "asked",
        Progress::Ready => "ready",
        Progress::ReadOnly => "read-only",
        Progress::Refused { .. } => "refused",
        Progress::Told => "told",
        Progress::Heuristic => "heuristic",
        Progress::SignedOff => "signed-off",
    }
}
