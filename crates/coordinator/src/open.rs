//! One open transaction: the core's state, and what stands around it.

use crate::plans::Ready;
use crate::{CallId, Now, WaiterId};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::operations::{Flag, Flags, MomentKind, Timeline};
use unanimo_contract::{
    Answer, BranchIndex, Calls, ClientAnswer, Id, Key, Mode, Operation, Outcome, Problem, RenderedCall,
    Request, Token, TraceContext, Verdict,
};
use unanimo_expression::Document;
use unanimo_protocol::fields::Malformed;
use unanimo_protocol::planted::{Mistake, planted};
use unanimo_protocol::{BranchSet, Event, Progress, Time, Transaction};

/// An open transaction.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) core: Transaction,
    pub(crate) ready: Arc<Ready>,
    pub(crate) token: Token,
    pub(crate) key: Option<Key>,
    pub(crate) began_unix_ms: u64,
    /// The batch in which its last record stands; 0 while it has none.
    pub(crate) batch: u64,
    /// The call of each branch; empty until its wave is rendered.
    pub(crate) calls: Vec<RenderedCall>,
    /// The branches whose call is by now a compensation of its own.
    pub(crate) compensating: BranchSet,
    /// The client's trace, where it named one.
    pub(crate) trace: Option<TraceContext>,
    /// What later calls or the client's answer name of the request; nothing where they name nothing of it. Volatile:
    /// after a crash the answer stands in the verdict's record.
    pub(crate) asked: Option<Box<Asked>>,
    pub(crate) credentials: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) branches: Vec<BranchSide>,
    /// Invariant: while records are under way no event is decided; those that come wait here, at most
    /// [`Open::queue_limit`].
    pub(crate) under_way: bool,
    pub(crate) queue: VecDeque<Event>,
    pub(crate) waiter: Option<Waiter>,
    /// Whether the client wants to be told the status address as soon as the beginning is durable.
    pub(crate) respond_async: bool,
    /// What the client is told, stored form, once a verdict stands.
    pub(crate) answer: Option<Bytes>,
    /// Since when it must be brought to its end: from the verdict on, or from where a saga has no way back.
    pub(crate) bound_at: Option<Time>,
    pub(crate) stuck: bool,
    pub(crate) recovered: bool,
    /// Whether a person has ended some of it by hand.
    pub(crate) resolved: bool,
    /// The word of the operator whose wish is being decided on.
    pub(crate) word: Bytes,
    /// What happened to it, for people.
    pub(crate) timeline: Timeline,
    pub(crate) timer: Option<Time>,
    /// What `respond` named and could not find: noted while rendering, which changes nothing else.
    pub(crate) unrendered: RefCell<Vec<String>>,
}

/// What the shell's side remembers of a branch.
#[derive(Clone, Debug, Default)]
pub(crate) struct BranchSide {
    /// 409s to attempts after the first, for the operation that is being asked.
    pub(crate) conflicts: u32,
    /// Calls of the present operation that left since the start of this process.
    pub(crate) sent: u32,
    /// How many attempts no longer lengthen the pauses, since an operator has looked.
    pub(crate) eased: u32,
    /// Before this the next attempt does not leave.
    pub(crate) retry_at: Time,
    /// Whether a token of the service's retry budget was taken for the next attempt.
    pub(crate) has_token: bool,
    /// Whether the branch stands in its budget's queue.
    pub(crate) holds: bool,
    /// Whether recovery has the right to the next attempt, or stands in the queue for it.
    pub(crate) has_right: bool,
    pub(crate) queues: bool,
    /// The last answer to the first operation, where somebody may be told of it.
    pub(crate) vote: Option<Box<Answer>>,
    /// The last answer to anything.
    pub(crate) last_answer: Option<LastAnswer>,
}

/// What is shown of the last answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastAnswer {
    pub(crate) operation: Operation,
    pub(crate) outcome: Outcome,
    /// The HTTP status, where there was an answer at all.
    pub(crate) status: Option<u16>,
}

impl fmt::Display for LastAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{}: {} ({status})", self.operation, self.outcome),
            None => write!(f, "{}: no answer", self.operation),
        }
    }
}

/// The request as expressions see it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Without its body.
    pub(crate) request: Request,
    /// The body, where it is JSON and somebody names it.
    pub(crate) document: Option<Document>,
}

/// The request that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: WaiterId,
    /// When it is told where the answer will be, if there is none yet.
    pub(crate) answer_by: Time,
}

impl Open {
    /// An open transaction around this core, with nothing known but its plan.
    pub(crate) fn new(core: Transaction, ready: Arc<Ready>, key: Option<Key>) -> Open {
        let branches = ready.branches.len();
        Open {
            branches: vec![BranchSide::default(); branches],
            core,
            ready,
            token: Token(0),
            key,
            began_unix_ms: 0,
            batch: 0,
            calls: vec![RenderedCall::default(); branches],
            compensating: BranchSet::default(),
            trace: None,
            asked: None,
            credentials: Arc::default(),
            under_way: false,
            queue: VecDeque::new(),
            waiter: None,
            respond_async: false,
            answer: None,
            bound_at: None,
            stuck: false,
            recovered: false,
            resolved: false,
            word: Bytes::new(),
            timeline: Timeline::with_room(branches),
            timer: None,
            unrendered: RefCell::default(),
        }
    }

    /// The calls of these branches, at first and at every later attempt.
    pub(crate) fn set_calls(&mut self, branches: BranchSet, calls: Calls) {
        for (branch, call) in branches.iter().zip(calls.branches) {
            self.calls[branch.at()] = call;
        }
    }

    /// The calls of the next wave are rendered. What is sent is what was stored.
    pub(crate) fn note_wave(&mut self, stored: &Bytes) {
        let wave = self.ready.outline.waves().get(usize::from(self.core.waves())).copied();
        match Calls::decode(stored.clone()) {
            Ok(calls) => self.set_calls(wave.unwrap_or_default(), calls),
            Err(error) => unreachable!("{}: its own calls cannot be read: {error}", self.core.id()),
        }
    }

    /// The calls of the first waves, as they are stored.
    pub(crate) fn stored_calls(&self, waves: u8) -> Bytes {
        let waves = self.ready.outline.waves().iter().take(waves.into());
        let calls = waves.flat_map(|wave| wave.iter()).map(|branch| &self.calls[branch.at()]);
        Calls::encode_each(calls, self.trace.as_ref(), self.stored_request().as_ref())
    }

    /// What a saga that goes on after a crash still needs of the request.
    fn stored_request(&self) -> Option<Request> {
        let asked = self.asked.as_ref().filter(|_| self.ready.outline.mode() == Mode::Saga)?;
        let mut request = asked.request.clone();
        if !self.ready.keeps_body {
            request.body = Bytes::new();
        }
        Some(request)
    }

    /// The compensations that are calls of their own take the place of the actions, which are never asked for again.
    pub(crate) fn note_compensations(&mut self, tell: BranchSet, stored: Bytes) -> Result<(), Malformed> {
        let calls = Calls::decode(stored)?;
        let own: BranchSet =
            tell.iter().filter(|branch| self.ready.branches[branch.at()].compensate.is_some()).collect();
        self.set_calls(own, calls);
        self.compensating = own;
        Ok(())
    }

    /// How many events may wait for a decision: one for every call, and a few that time or people bring.
    pub(crate) fn queue_limit(&self) -> usize {
        self.ready.branches.len() + 4
    }

    /// Lets an event wait for its turn.
    pub(crate) fn enqueue(&mut self, event: Event) {
        assert!(
            self.queue.len() < self.queue_limit(),
            "{}: more events than calls under way",
            self.core.id()
        );
        self.queue.push_back(event);
    }

    /// The next event that may be decided on: what came first, then the deadline, then what a client is promised.
    pub(crate) fn next_event(&mut self, now: Time, leaving: bool) -> Option<Event> {
        if self.under_way {
            return if planted(Mistake::DecidesWhileUnsynced) { self.queue.pop_front() } else { None };
        }
        let late = self.core.has_begun() && self.core.wake().is_some_and(|deadline| deadline <= now);
        let next = self.queue.pop_front().or(late.then_some(Event::DeadlinePassed));
        next.or_else(|| self.must_promise(now, leaving).then_some(Event::Promised))
    }

    /// Whether the client is to be told an address at which, as things stand, a crash could leave nothing.
    fn must_promise(&self, now: Time, leaving: bool) -> bool {
        let wants = |waiter: Waiter| leaving || self.respond_async || waiter.answer_by <= now;
        self.is_forgettable() && self.verdict().is_none() && self.waiter.is_some_and(wants)
    }

    /// Whether it has begun, and nothing of it is in the journal.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.core.has_begun() && !self.core.is_written()
    }

    /// Whether the answer to this call counts, and has not come already.
    pub(crate) fn awaits(&self, call: CallId) -> bool {
        let CallId { branch, operation, attempt, .. } = call;
        let same = |event: &Event| matches!(event, Event::Answered { branch: of, .. } if *of == branch);
        self.core.awaits(branch, operation, attempt) && !self.queue.iter().any(same)
    }

    /// What the client is told, once that is known: a heuristic end goes before what was promised.
    pub(crate) fn client_answer(&self) -> Option<ClientAnswer> {
        if let Some(branch) = self.core.heuristic() {
            return Some(heuristic_answer(self.core.id(), &self.ready.branches[branch.at()].name));
        }
        self.answer.as_ref().map(|stored| decode_answer(self.core.id(), stored))
    }

    /// When this transaction must be looked at again, if nothing happens before.
    pub(crate) fn wake(&self, stuck_after: Duration) -> Option<Time> {
        let deadline = if self.under_way { None } else { self.core.wake().filter(|_| self.core.has_begun()) };
        // A promise that is being written needs no clock: it is given as soon as the disk has it.
        let promising = self.under_way && self.is_forgettable();
        let waiter = self.waiter.filter(|_| !promising).map(|waiter| waiter.answer_by);
        let stuck = self.stuck_at(stuck_after);
        let retry = if self.under_way { None } else { self.retry_wake() };
        [deadline, waiter, stuck, retry].into_iter().flatten().min()
    }

    /// When this transaction counts as stuck, if it does not already; `None` where nobody is left to tell.
    pub(crate) fn stuck_at(&self, stuck_after: Duration) -> Option<Time> {
        let untold = !self.stuck && !self.core.is_quarantined() && self.core.untold().next().is_some();
        self.bound_at.filter(|_| untold).map(|at| at + stuck_after)
    }

    fn retry_wake(&self) -> Option<Time> {
        let due = self.core.due().map(|call| &self.branches[call.branch.at()]);
        due.filter(|side| !side.holds && !side.queues).map(|side| side.retry_at).min()
    }

    /// The verdict was applied.
    pub(crate) fn note_verdict(&mut self, now: Now, answer: Bytes) {
        self.answer = Some(answer);
        self.bound_at = Some(now.time);
        // What only first operations and the answer needed is not kept while services are told.
        self.asked = None;
        self.credentials = Arc::default();
        // Second-phase calls are counted anew: what the first phase met says nothing about them.
        for side in &mut self.branches {
            side.vote = None;
            side.conflicts = 0;
            side.sent = 0;
            side.eased = 0;
            side.retry_at = now.time;
        }
    }

    /// Whether nobody waits for this branch's next call: it is recovery's.
    pub(crate) fn is_unwaited(&self, branch: BranchIndex) -> bool {
        self.waiter.is_none() && (self.recovered || self.branches[branch.at()].sent > 0)
    }

    /// What stands beside its state.
    pub(crate) fn flags(&self) -> Flags {
        let prepared = |branch| matches!(self.core.progress(branch), Some(Progress::Ready | Progress::Asked));
        let in_doubt = !self.core.is_finished()
            && match self.verdict() {
                None => self.core.indices().any(|branch| self.core.progress(branch) == Some(Progress::Ready)),
                Some(_) => self.core.untold().any(prepared),
            };
        Flags::NONE
            .with(Flag::Stuck, self.stuck && !self.core.is_finished())
            .with(Flag::Heuristic, self.core.heuristic().is_some())
            .with(Flag::InDoubt, in_doubt)
            .with(Flag::Quarantined, self.core.is_quarantined() && !self.core.is_finished())
            .with(Flag::Resolved, self.resolved)
    }

    /// When its end was applied, in milliseconds since 1970; `None` where a crash has forgotten it.
    pub(crate) fn ended_unix_ms(&self) -> Option<u64> {
        let last = self.timeline.moments().last()?;
        last.at_unix_ms.filter(|_| last.kind == MomentKind::Ended)
    }

    /// The verdict, once there is one.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.core.verdict()
    }
}

/// The answer to a client whose transaction ended heuristically.
pub fn heuristic_answer(id: Id, branch: &str) -> ClientAnswer {
    let detail =
        format!("branch {branch} ended its share against the verdict; an operator has to look at it");
    Problem::Heuristic.answer_for(Some(id), Some(branch), &detail)
}

/// A stored answer. It was encoded by this program or one that writes the same format, and checked by the journal.
pub(crate) fn decode_answer(id: Id, stored: &Bytes) -> ClientAnswer {
    ClientAnswer::decode(stored.clone()).unwrap_or_else(|error| {
        Problem::Internal.answer_for(Some(id), None, &format!("the stored answer cannot be read: {error}"))
    })
}
