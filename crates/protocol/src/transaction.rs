//! One transaction, and the four verbs that drive it.
//!
//! Calls are derived from state, never stored as things to do. So recovery is no special path: it is replay, then
//! the first [`Transaction::due`].

use crate::mode::{self, by_hand};
use crate::planted::{Mistake, planted};
use crate::{
    Begun, BranchIndex, BranchSet, Cause, Concluded, Durability, Event, Id, Mode, Operation, Outcome,
    Outline, Progress, Record, Resolution, Settled, State, Time, Unresolvable, Verdict,
};
use bytes::Bytes;
use std::sync::Arc;

/// What the shard renders for the core. Pure: the same state gives the same bytes.
pub trait Render {
    /// The transaction's first record, so durable, with the rendered calls of so many waves.
    fn begun(&self, waves: u8, durability: Durability) -> Begun;

    /// The calls of a later wave, whose needs have all voted; or the branch whose answer is of no use for that.
    fn wave(&self, branches: BranchSet) -> Result<Bytes, BranchIndex>;

    /// What the client is told under this verdict; `cause` says why it isn't a commit.
    fn answer(&self, verdict: Verdict, cause: Option<Cause>) -> Bytes;

    /// What a branch of a saga answered, where somebody names that later; else nothing.
    fn kept(&self, branch: BranchIndex) -> Bytes;

    /// The compensations of a saga, those that carry something else than the action did.
    fn compensations(&self, branches: BranchSet) -> Bytes;

    /// Who ends something by hand, when and why; asked only where somebody does.
    fn word(&self) -> Bytes {
        Bytes::new()
    }
}

/// A call that the state owes the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// To which branch.
    pub branch: BranchIndex,
    /// Asking what.
    pub operation: Operation,
    /// Which attempt this would be, from 1. After a replay nothing counts as a first attempt.
    pub attempt: u32,
}

/// One branch's volatile and remembered state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) progress: Progress,
    /// Invariant: at most one call per branch counts; the answer to any other is stale.
    pub(crate) in_flight: Option<(Operation, u32)>,
    /// How often the first operation was sent, as far as anybody remembers.
    pub(crate) asked: u32,
    /// How often the verdict was sent, likewise.
    pub(crate) told: u32,
}

/// One all-or-nothing unit.
///
/// Invariants: a verdict, once there, never changes (S3); a commit verdict only stands over branches that all voted
/// yes (S2); state changes in [`Transaction::apply`] alone.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub(crate) id: Id,
    pub(crate) outline: Arc<Outline>,
    /// How many waves of calls are rendered; 0 before the beginning.
    pub(crate) waves: u8,
    /// Whether its beginning is in the journal. Where every participant asks, it may never be.
    pub(crate) written: bool,
    /// When branches must have voted; kept in memory only, since a crash before the verdict means rollback anyway.
    pub(crate) deadline: Time,
    /// Whether the client gave an idempotency key: then even a rollback is forced, so that the answer stays.
    pub(crate) keyed: bool,
    pub(crate) concluded: Option<(Verdict, Option<Cause>, BranchSet)>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) ended: bool,
    /// Whether it comes from the journal, where votes are not kept.
    replayed: bool,
    /// Whether nothing is called, and nothing decided, before an operator has chosen.
    quarantined: bool,
    /// Whether an operator has chosen the verdict, and vouches for the branches that nobody has heard of.
    vouched: bool,
}

impl Transaction {
    /// A transaction that is about to begin.
    pub fn new(id: Id, outline: Arc<Outline>, keyed: bool, now: Time) -> Transaction {
        let idle = Branch { progress: Progress::Idle, in_flight: None, asked: 0, told: 0 };
        Transaction {
            id,
            deadline: now + outline.deadline(),
            branches: vec![idle; outline.branches().len()],
            outline,
            waves: 0,
            written: false,
            keyed,
            concluded: None,
            ended: false,
            replayed: false,
            quarantined: false,
            vouched: false,
        }
    }

    /// A transaction found in the journal: any of its calls may have been sent before, so none is a first attempt
    /// and none is spared its undo.
    pub fn replayed(id: Id, outline: Arc<Outline>, keyed: bool) -> Transaction {
        let mut transaction = Transaction::new(id, outline, keyed, Time::default());
        transaction.replayed = true;
        transaction
    }

    /// The same out of a journal that was restored: what became of it since, only people can find out. Nothing is
    /// called, and nothing decided, before one of them has chosen.
    pub fn quarantined(id: Id, outline: Arc<Outline>, keyed: bool) -> Transaction {
        Transaction { quarantined: true, ..Transaction::replayed(id, outline, keyed) }
    }

    // ---- the four verbs ----

    /// Proposes the records that follow from an event, and changes nothing.
    ///
    /// An event that comes too late or does not fit gives no record. While forced records of an earlier decision
    /// are unsynced the caller must keep further events back: two decisions on one state could disagree.
    pub fn decide(&self, event: &Event, render: &dyn Render) -> Vec<Record> {
        match *event {
            Event::Submitted if !self.has_begun() => self.beginning(render),
            Event::Sending { branch, operation } => self.sending(branch, operation),
            _ if !self.has_begun() || self.ended => Vec::new(),
            Event::Resolving(what) => by_hand::resolved(self, what, render),
            // Only an answer can still come, and none is awaited.
            _ if self.quarantined => Vec::new(),
            Event::Answered { branch, operation, attempt, outcome } => {
                if !self.awaits(branch, operation, attempt) {
                    return Vec::new();
                }
                mode::answered(self, branch, operation, outcome, render)
            }
            Event::Promised if !self.written && self.concluded.is_none() => {
                vec![Record::Begun(render.begun(self.waves, Durability::Forced))]
            }
            Event::Unwritable => mode::unwritable(self, render),
            Event::DeadlinePassed => mode::given_up(self, Cause::Deadline, render),
            Event::Recovered => mode::recovered(self, render),
            Event::Submitted | Event::Promised => Vec::new(),
        }
    }

    /// Applies a record: the only way state changes.
    pub fn apply(&mut self, record: Settled) {
        match record.into_record() {
            Record::Begun(begun) => self.begin(&begun),
            Record::Wave(_) => self.note_rendered(self.waves.saturating_add(1)),
            Record::Sent { branch, operation, attempt } => {
                let branch = &mut self.branches[branch.at()];
                branch.in_flight = Some((operation, attempt));
                match operation.tells() {
                    None => {
                        branch.asked = attempt;
                        branch.progress = Progress::Asked;
                    }
                    Some(_) => branch.told = attempt,
                }
            }
            Record::Answered { branch, operation, outcome } => self.note_answer(branch, operation, outcome),
            Record::Acted { branch, outcome, .. } => self.note_answer(branch, Operation::Act, outcome),
            Record::Concluded(concluded) => self.conclude(concluded),
            Record::Told { branch } => {
                let branch = &mut self.branches[branch.at()];
                branch.progress = Progress::Told;
                branch.in_flight = None;
            }
            Record::Heuristic { branch } => {
                let branch = &mut self.branches[branch.at()];
                branch.progress = Progress::Heuristic;
                branch.in_flight = None;
            }
            Record::Resolved(resolved) => self.note_resolved(resolved.what),
            Record::Ended => {
                assert!(self.concluded.is_some(), "{}: ended without a verdict", self.id);
                self.ended = true;
            }
            Record::Forgotten => {
                assert!(self.concluded.is_some(), "{}: forgotten without a verdict", self.id);
                assert!(!self.written, "{}: what is written cannot be forgotten", self.id);
                self.ended = true;
            }
        }
    }

    /// What this state still owes the world. A call that is under way is not repeated.
    pub fn due(&self) -> impl Iterator<Item = Call> {
        let verdict = self.verdict();
        let operation = match verdict {
            None => self.outline.mode().first(),
            Some(verdict) => self.outline.mode().telling(verdict),
        };
        self.indices().filter(move |branch| self.owes(*branch, operation)).map(move |branch| Call {
            branch,
            operation,
            attempt: self.attempts(branch, operation) + 1,
        })
    }

    /// When time itself becomes an event: the deadline, until there is a verdict, or no way back.
    pub fn wake(&self) -> Option<Time> {
        let waits =
            self.concluded.is_none() && !self.quarantined && !self.is_past_return() && !self.acts_unfenced();
        waits.then_some(self.deadline)
    }

    /// Begins the deadline anew, for a transaction that goes on after a crash: the time before it is not known.
    pub fn restart_deadline(&mut self, now: Time) {
        self.deadline = now + self.outline.deadline();
    }

    // ---- what can be seen ----

    /// The transaction's id.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What the core knows of its plan.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.waves > 0
    }

    /// Whether its beginning is in the journal, so that it will be known after a crash.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// How many waves of calls are rendered.
    pub fn waves(&self) -> u8 {
        self.waves
    }

    /// The verdict, once there is one.
    pub fn verdict(&self) -> Option<Verdict> {
        self.concluded.map(|(verdict, _, _)| verdict)
    }

    /// Why it was rolled back, where it was.
    pub fn cause(&self) -> Option<Cause> {
        self.concluded.and_then(|(_, cause, _)| cause)
    }

    /// Whether every branch has acknowledged the verdict.
    pub fn is_finished(&self) -> bool {
        self.ended
    }

    /// The branch that ended against the verdict, where one did: rather one that nobody has signed off yet.
    pub fn heuristic(&self) -> Option<BranchIndex> {
        let at = |progress| self.indices().find(|branch| self.branches[branch.at()].progress == progress);
        at(Progress::Heuristic).or_else(|| at(Progress::SignedOff))
    }

    /// Whether nothing goes on before an operator has chosen.
    pub fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// Whether this may be ended by hand; else why not.
    pub fn may_resolve(&self, what: Resolution) -> Result<(), Unresolvable> {
        by_hand::may_resolve(self, what)
    }

    /// The branches without whose word it cannot end any more: those that are still to hear of the verdict, or the pivot
    /// that may have acted.
    pub fn untold(&self) -> impl Iterator<Item = BranchIndex> {
        let pivot = self.outline.pivot().filter(|pivot| self.is_past_return() && !self.has_voted_yes(*pivot));
        let tell = match self.concluded {
            Some((_, _, tell)) => tell,
            None => pivot.into_iter().collect(),
        };
        tell.iter().filter(|branch| !self.has_heard(*branch))
    }

    /// Whether it is a saga whose pivot may have acted: without a refusal it only goes forward.
    pub fn is_past_return(&self) -> bool {
        self.outline.is_past_return(self.waves)
    }

    /// Where a branch stands; `None` for a branch that isn't there.
    pub fn progress(&self, branch: BranchIndex) -> Option<Progress> {
        self.branch(branch).map(|branch| branch.progress)
    }

    /// Whether this call is under way and its answer counts. Any other answer is stale.
    pub fn awaits(&self, branch: BranchIndex, operation: Operation, attempt: u32) -> bool {
        self.branch(branch).is_some_and(|branch| branch.in_flight == Some((operation, attempt)))
    }

    /// The state as users see it.
    pub fn state(&self) -> State {
        match (self.has_begun(), self.verdict(), self.ended) {
            (false, _, _) => State::Initial,
            (true, None, _) => State::Preparing,
            (true, Some(Verdict::Commit), false) => State::Committing,
            (true, Some(Verdict::Commit), true) => State::Committed,
            (true, Some(Verdict::Rollback), false) => State::Undoing,
            (true, Some(Verdict::Rollback), true) => State::RolledBack,
        }
    }

    // ---- inside ----

    fn branch(&self, branch: BranchIndex) -> Option<&Branch> {
        self.branches.get(branch.at())
    }

    /// Every branch.
    pub fn indices(&self) -> impl Iterator<Item = BranchIndex> + use<> {
        (0..self.branches.len() as u8).map(BranchIndex)
    }

    /// Whether a branch needs to hear nothing more.
    fn has_heard(&self, branch: BranchIndex) -> bool {
        matches!(
            self.branches[branch.at()].progress,
            Progress::Told | Progress::Heuristic | Progress::SignedOff
        )
    }

    fn attempts(&self, branch: BranchIndex, operation: Operation) -> u32 {
        let branch = &self.branches[branch.at()];
        if operation.tells().is_some() { branch.told } else { branch.asked }
    }

    fn owes(&self, at: BranchIndex, operation: Operation) -> bool {
        let branch = &self.branches[at.at()];
        if !self.has_begun()
            || self.ended
            || self.quarantined
            || branch.in_flight.is_some_and(|(sent, _)| sent == operation)
        {
            return false;
        }
        let after = self.outline.branches()[at.at()].after;
        match self.concluded {
            None => {
                matches!(branch.progress, Progress::Idle | Progress::Asked)
                    && self.outline.rendered(self.waves).contains(at)
                    && self.votes(at)
                    && after.iter().all(|before| self.has_voted_yes(before))
            }
            Some((verdict, _, tell)) => {
                tell.contains(at) && !self.has_heard(at) && self.comes_now(verdict, at, after)
            }
        }
    }

    /// Whether its vote is wanted before the verdict.
    fn votes(&self, branch: BranchIndex) -> bool {
        self.outline.voters().contains(branch) || planted(Mistake::RetriableTooEarly)
    }

    /// Whether a branch that must hear of the verdict may be called already: only in a saga is there an order.
    fn comes_now(&self, verdict: Verdict, at: BranchIndex, after: BranchSet) -> bool {
        if self.outline.mode() != Mode::Saga {
            return true;
        }
        let first = match verdict {
            Verdict::Commit => after.intersection(self.outline.retriable()),
            Verdict::Rollback if planted(Mistake::CompensatesForwards) => after,
            Verdict::Rollback => self.outline.followers(at),
        };
        let tell = self.concluded.map_or(BranchSet::EMPTY, |(_, _, tell)| tell);
        first.intersection(tell).iter().all(|other| self.has_heard(other)) && !self.acts_unfenced()
    }

    /// Whether a participant that keeps no marks is at work: nothing may overtake it.
    fn acts_unfenced(&self) -> bool {
        let unfenced = |branch: BranchIndex| self.outline.branches()[branch.at()].unfenced;
        let acts = |branch: &Branch| matches!(branch.in_flight, Some((Operation::Act, _)));
        self.outline.mode() == Mode::Saga
            && self
                .outline
                .voters()
                .iter()
                .any(|branch| unfenced(branch) && acts(&self.branches[branch.at()]))
    }

    /// Whether the branch voted for commit, with or without work to be told about.
    pub fn has_voted_yes(&self, branch: BranchIndex) -> bool {
        matches!(self.branches[branch.at()].progress, Progress::Ready | Progress::ReadOnly)
    }

    fn beginning(&self, render: &dyn Render) -> Vec<Record> {
        let forgettable = self.outline.presumes_rollback() && !self.keyed;
        let durability = if forgettable { Durability::Volatile } else { Durability::Forced };
        vec![Record::Begun(render.begun(1, durability))]
    }

    fn begin(&mut self, begun: &Begun) {
        assert!(!self.written, "{}: it has begun already", self.id);
        self.written = begun.durability != Durability::Volatile;
        self.note_rendered(begun.waves);
    }

    fn note_rendered(&mut self, waves: u8) {
        if self.replayed {
            // Nobody remembers whether these calls have left: each may have, and will count as a later attempt.
            let before = self.outline.rendered(self.waves);
            for branch in self.outline.rendered(waves).iter().filter(|branch| !before.contains(*branch)) {
                let sent = if planted(Mistake::CountsAnew) { 0 } else { 1 };
                let asked = Branch { progress: Progress::Asked, in_flight: None, asked: sent, told: sent };
                self.branches[branch.at()] = asked;
            }
        }
        self.waves = waves;
    }

    fn sending(&self, branch: BranchIndex, operation: Operation) -> Vec<Record> {
        if self.branch(branch).is_none()
            || !self.due().any(|c| c.branch == branch && c.operation == operation)
        {
            return Vec::new();
        }
        vec![Record::Sent { branch, operation, attempt: self.attempts(branch, operation) + 1 }]
    }

    fn note_answer(&mut self, branch: BranchIndex, operation: Operation, outcome: Outcome) {
        let branch = &mut self.branches[branch.at()];
        branch.in_flight = None;
        if operation.tells().is_some() {
            if matches!(outcome, Outcome::Done | Outcome::ReadOnly) {
                branch.progress = Progress::Told;
            }
            return;
        }
        branch.progress = match outcome {
            Outcome::Done => Progress::Ready,
            Outcome::ReadOnly => Progress::ReadOnly,
            Outcome::Refused => Progress::Refused { spared: branch.asked == 1 },
            Outcome::Ongoing | Outcome::Unknown => Progress::Asked,
        };
    }

    fn note_resolved(&mut self, what: Resolution) {
        self.vouched |= matches!(what, Resolution::Choose(_));
        // Whoever chose has looked.
        self.quarantined = match what {
            Resolution::Choose(_) | Resolution::Release => false,
            Resolution::SignOff(_) | Resolution::Told(_) => self.quarantined,
        };
        if let Some(branch) = what.branch() {
            let branch = &mut self.branches[branch.at()];
            let signed = matches!(what, Resolution::SignOff(_));
            branch.progress = if signed { Progress::SignedOff } else { Progress::Told };
            branch.in_flight = None;
        }
    }

    fn conclude(&mut self, concluded: Concluded) {
        let Concluded { verdict, cause, tell, durability, .. } = concluded;
        assert!(self.concluded.is_none(), "{}: a verdict never changes", self.id);
        if verdict == Verdict::Commit {
            let unheard = tell.is_empty() && !self.written;
            let durable = durability == Durability::Forced || unheard;
            assert!(durable, "{}: a commit is durable before anybody hears of it", self.id);
            let unanimous = self.outline.voters().iter().all(|branch| self.has_voted_yes(branch));
            assert!(
                unanimous || self.replayed || self.vouched,
                "{}: a commit needs every branch's vote",
                self.id
            );
        }
        self.concluded = Some((verdict, cause, tell));
    }
}
