//! What must never happen to a saga.
//!
//! Nothing here asks the production code which steps come when: what waits for what is read from the plan, what was
//! written from the journal, and what was done from the participants' deeds.

use super::{Oracle, Stand, Story};
use crate::participant::{Mark, Participant, Wrong, receipt_text};
use crate::scenario::saga::NOT_HEARD_OF;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use unanimo_contract::{Calls, Id, Mode, Operation, Outcome, ParticipantCall, RenderedCall, Step, Verdict};
use unanimo_coordinator::CallId;
use unanimo_journal::Watermark;
use unanimo_protocol::{BranchIndex, Cause, Concluded};

/// What is known of a saga, beside what is known of every transaction.
#[derive(Debug, Default)]
pub(crate) struct Saga {
    /// Every call that is in the journal, or on its way there.
    written: Vec<(Stand, RenderedCall)>,
    /// How often a branch was asked to act, in all lives.
    pub(super) acts: BTreeMap<BranchIndex, u32>,
    /// The branches that may not be asked again, in this life.
    spent: BTreeSet<BranchIndex>,
    /// Whether its client has gone with the address of the answer: its identity goes with it.
    pub(super) left_alone: bool,
}

impl Saga {
    /// A new process knows what it finds in the journal.
    pub(super) fn life_begins(&mut self) {
        self.written.clear();
        self.spent.clear();
    }
}

impl Oracle {
    /// Whether a participant lets nobody in who does not show its client's credential.
    pub(crate) fn demands_credential(&self, id: Id, branch: BranchIndex) -> bool {
        let branch = self.stories.get(&id).and_then(|story| story.plan.branch(branch));
        branch.is_some_and(|branch| branch.needs_client)
    }

    /// The gateway hears an answer, or that there will be none.
    pub(crate) fn heard(&mut self, call: CallId, outcome: Outcome) {
        let Some(story) = self.stories.get_mut(&call.transaction) else { return };
        let Some(plan) = story.plan.branch(call.branch) else { return };
        if call.operation != Operation::Act || plan.step != Step::Compensatable {
            return;
        }
        let unfenced = plan.unfenced && matches!(outcome, Outcome::Ongoing | Outcome::Unknown);
        let spent =
            plan.attempts.is_some_and(|most| call.attempt >= most.get()) && outcome == Outcome::Unknown;
        if unfenced || spent {
            story.saga.spent.insert(call.branch);
        }
    }

    /// A client loses its connection before its worker knows that the beginning is durable: its identity goes with it.
    pub(crate) fn severed(&mut self) {
        self.saw("severed");
        let begins = |story: &&mut Story| story.begun.is_some() && !story.left;
        self.stories.values_mut().filter(begins).for_each(|story| story.saga.left_alone = true);
    }

    /// A call of a saga leaves, and this is wrong with it.
    pub(super) fn step_leaves(&mut self, id: Id, call: &ParticipantCall, wrong: Option<Wrong>) {
        let Some(story) = self.stories.get(&id) else { return };
        let (number, again) = (story.number, story.life != self.life);
        let sight = match (call.operation, call.step) {
            (Operation::Compensate, _) if call.unfenced => "compensated without marks",
            (Operation::Compensate, _) if story.compensates_by_own_call(call) => {
                "compensated by a call of its own"
            }
            (Operation::Compensate, _) => "compensated",
            (_, Step::Retriable) => "a retriable step left",
            (_, Step::Pivot) => "a pivot left",
            (_, Step::Compensatable) if again => "went on after a crash",
            (_, Step::Compensatable) => "a step left",
        };
        self.saw(sight);
        if let Some(wrong) = wrong {
            let (branch, operation, attempt) = (call.branch, call.operation, call.attempt);
            self.blame(format!("T{number}: {wrong} (branch {branch}, {operation}, attempt {attempt})"));
        }
        if let Some(verdict) = call.operation.tells() {
            self.see(id, verdict, "a call");
        }
    }
}

impl Story {
    pub(crate) fn is_saga(&self) -> bool {
        self.plan.mode == Mode::Saga.as_str()
    }

    /// The branches whose votes decide.
    pub(super) fn voters(&self) -> impl Iterator<Item = BranchIndex> {
        self.branches().filter(|branch| !self.is(*branch, Step::Retriable))
    }

    /// These calls are in the journal, or on their way there.
    pub(super) fn writes(&mut self, calls: &Bytes, stand: Stand) {
        if self.is_saga()
            && let Ok(calls) = Calls::decode(calls.clone())
        {
            self.saga.written.extend(calls.branches.into_iter().map(|call| (stand, call)));
        }
    }

    /// Whether this is a compensation that carries something else than the action did.
    pub(super) fn compensates_by_own_call(&self, call: &ParticipantCall) -> bool {
        let own = self.plan.branch(call.branch).is_some_and(|branch| branch.compensate.is_some());
        call.operation == Operation::Compensate && own
    }

    /// Why a call may not leave.
    pub(super) fn step_is_wrong(
        &self,
        id: Id,
        call: &ParticipantCall,
        life: u32,
        durable: Watermark,
        participants: &[Participant],
    ) -> Option<Wrong> {
        let operation = call.operation;
        let same = |stored: &RenderedCall| {
            stored.path_of(operation) == call.path
                && stored.headers == call.headers
                && stored.body == call.body
        };
        if !self.saga.written.iter().any(|(stand, stored)| stand.is_durable(durable) && same(stored)) {
            return Some("a step was taken before the intent to take it was durable".to_owned());
        }
        let durable = self.concluded.as_ref().filter(|concluded| concluded.stand.is_durable(durable));
        let durable = durable.map(|concluded| concluded.verdict);
        match operation {
            Operation::Act => self.action_is_wrong(id, call, life, durable, participants),
            Operation::Compensate => self.compensation_is_wrong(id, call, durable, participants),
            other => Some(format!("{other} is no operation of a saga")),
        }
    }

    fn action_is_wrong(
        &self,
        id: Id,
        call: &ParticipantCall,
        life: u32,
        verdict: Option<Verdict>,
        participants: &[Participant],
    ) -> Option<Wrong> {
        let (branch, plan) = (call.branch, self.plan.branch(call.branch)?);
        let unvoted = |other: &BranchIndex| !self.has_voted(id, *other, participants);
        let asked = |other: &BranchIndex| *other != branch && self.saga.acts.contains_key(other);
        let wrong = match (plan.step, verdict) {
            (Step::Retriable, Some(Verdict::Commit)) => None,
            (Step::Retriable, _) => Some("a retriable step acts before the commit is durable".to_owned()),
            (_, Some(_)) => Some("it was asked to act after the verdict".to_owned()),
            (Step::Pivot, None) => {
                let early = self.branches().find(|it| self.is(*it, Step::Compensatable) && unvoted(it));
                early.map(|other| format!("the pivot left before branch {other} had acted"))
            }
            (Step::Compensatable, None) => (life != self.life && !self.can_go_on())
                .then(|| "it went on after a crash, and cannot act again".to_owned()),
        };
        let wrong = wrong.or_else(|| match () {
            () if plan.unfenced && self.saga.acts.get(&branch) > Some(&1) => {
                Some("it keeps no marks, and was asked twice to act".to_owned())
            }
            () if self.saga.spent.contains(&branch) => {
                Some("it was asked more often than it may be".to_owned())
            }
            () if plan.needs_client && call.credentials.is_empty() && !self.saga.left_alone => {
                Some("it lacks the credential of its client".to_owned())
            }
            () if !plan.needs_client && !call.credentials.is_empty() => {
                Some("it carries a credential that is not for it".to_owned())
            }
            () if plan.unfenced => {
                let beside = self.branches().find(|other| asked(other) && unvoted(other));
                beside.map(|other| format!("it keeps no marks, and branch {other} is at work beside it"))
            }
            () => None,
        });
        wrong.or_else(|| self.came_before_its_turn(id, branch, participants))
    }

    fn compensation_is_wrong(
        &self,
        id: Id,
        call: &ParticipantCall,
        verdict: Option<Verdict>,
        participants: &[Participant],
    ) -> Option<Wrong> {
        let branch = call.branch;
        if verdict != Some(Verdict::Rollback) {
            return Some("a compensation left before the rollback was durable".to_owned());
        }
        if !self.is(branch, Step::Compensatable) {
            return Some("what cannot be made good is compensated".to_owned());
        }
        let acted = |other: &BranchIndex| self.has_acted(id, *other, participants);
        if let Some(pivot) = self.branches().find(|it| self.is(*it, Step::Pivot) && acted(it)) {
            return Some(format!("it is compensated after its pivot, branch {pivot}, has acted"));
        }
        let open = |other: &BranchIndex| {
            // A gate that turned the action away remembers nothing, and need not.
            let turned_away = self.deeds(id, *other, participants).refusals > 0;
            let marked = self.mark(id, *other, participants).is_some();
            let fenced = marked || turned_away || self.is_unfenced(*other);
            acted(other) || self.saga.acts.contains_key(other) && !fenced
        };
        let later = self.branches().find(|other| self.waits_for(*other, branch) && open(other));
        if let Some(later) = later {
            return Some(format!("it is compensated before branch {later}, which came after it"));
        }
        if !self.compensates_by_own_call(call) {
            return None;
        }
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let receipt = receipt_text(&self.participant(branch, participants)?.name, id, branch);
        let names = |text: &str| body["undo"] == text;
        (!names(&receipt) && !names(NOT_HEARD_OF)).then(|| format!("its compensation names {}", body["undo"]))
    }

    /// Whether every action can be asked for again when a crash has come.
    fn can_go_on(&self) -> bool {
        !self.plan.branches.iter().any(|branch| branch.unfenced || branch.needs_client)
    }

    /// Why this verdict may not be, seen from the pivot and from what a crash left.
    pub(super) fn concluded_against_its_pivot(
        &self,
        id: Id,
        concluded: &Concluded,
        participants: &[Participant],
    ) -> Option<Wrong> {
        let cause = concluded.cause.filter(|_| self.is_saga())?;
        let pivot = self.branches().find(|branch| self.is(*branch, Step::Pivot));
        match pivot.filter(|pivot| self.saga.acts.contains_key(pivot)) {
            Some(pivot) if self.has_acted(id, pivot, participants) => {
                Some(format!("it was rolled back, and its pivot, branch {pivot}, has acted"))
            }
            Some(pivot) if cause != Cause::Refused(pivot) => {
                Some(format!("it was rolled back, and its pivot, branch {pivot}, may have acted"))
            }
            _ if cause == Cause::Interrupted && self.can_go_on() => {
                Some("a crash has rolled it back, and it could have gone on".to_owned())
            }
            _ => None,
        }
    }

    /// Why a branch may not be given up.
    pub(super) fn gave_up_too_soon(&self, branch: BranchIndex) -> Option<Wrong> {
        let spent = self.saga.spent.contains(&branch);
        (!spent).then(|| format!("branch {branch} was given up, and may be asked again"))
    }

    /// Why a participant's work may not stand (S1).
    pub(super) fn work_is_wrong(
        &self,
        id: Id,
        branch: BranchIndex,
        operation: Operation,
        participants: &[Participant],
    ) -> Option<Wrong> {
        // An end that a crash took back before anybody heard of it is none.
        let forgotten = self.end.filter(|_| self.begun.is_none());
        let verdict = self.verdict().or(forgotten).or(self.seen);
        match (operation, verdict) {
            (Operation::Compensate, Some(Verdict::Rollback)) => None,
            (Operation::Compensate, _) => Some(format!("branch {branch} was compensated without a rollback")),
            (_, Some(Verdict::Rollback))
                if self.is(branch, Step::Pivot) && self.has_acted(id, branch, participants) =>
            {
                Some(format!("branch {branch}, the pivot, acts in what was rolled back"))
            }
            _ => None,
        }
    }

    /// Whether the end leaves this branch otherwise than the verdict says.
    pub(super) fn is_undone_saga(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> bool {
        let acted = self.has_acted(id, branch, participants);
        self.is_saga()
            && match self.verdict() {
                Some(Verdict::Commit) => !self.has_voted(id, branch, participants),
                Some(Verdict::Rollback) | None => acted,
            }
    }

    /// Whether what a participant did in the end is what the verdict says.
    pub(super) fn ends_right(
        &self,
        verdict: Option<Verdict>,
        id: Id,
        branch: BranchIndex,
        participants: &[Participant],
    ) -> bool {
        let (mark, deeds) = (self.mark(id, branch, participants), self.deeds(id, branch, participants));
        match verdict {
            Some(Verdict::Commit) if mark == Some(Mark::ReadOnly) => deeds.done == 0,
            Some(Verdict::Commit) => {
                let stands = mark == Some(Mark::Acted) || self.is_unfenced(branch);
                stands && (deeds.done, deeds.undone) == (1, 0)
            }
            Some(Verdict::Rollback) => mark != Some(Mark::Acted) && deeds.done == deeds.undone,
            // It was lost before anybody heard of it.
            None => mark.is_none() && deeds.done == 0,
        }
    }

    /// Whether its action stands.
    fn has_acted(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> bool {
        let deeds = self.deeds(id, branch, participants);
        self.is_saga() && deeds.done > deeds.undone
    }

    fn is(&self, branch: BranchIndex, step: Step) -> bool {
        self.plan.branch(branch).is_some_and(|branch| branch.step == step)
    }

    fn is_unfenced(&self, branch: BranchIndex) -> bool {
        self.plan.branch(branch).is_some_and(|branch| branch.unfenced)
    }

    /// Whether a branch comes after another, directly or by way of others.
    fn waits_for(&self, branch: BranchIndex, before: BranchIndex) -> bool {
        let after = self.plan.branch(branch).into_iter().flat_map(|plan| plan.after.iter().copied());
        let named = self.names_the_first(branch).then_some(0);
        after.chain(named).any(|at| at == before.0 || self.waits_for(BranchIndex(at), before))
    }
}
