//! The owner of some shards: what may be told to it.
//!
//! Inputs are methods, each with the moment at which it happened. What the owner wants done is taken by
//! [`Owner::poll_action`], until there is no more; when it wants to be woken is [`Owner::wake`].

use crate::action::{Action, CallId, Entropy, Now, WaiterId};
use crate::budget::Budgets;
use crate::finished::Memory;
use crate::keys::Keys;
use crate::load::Load;
use crate::open::{LastAnswer, Open};
use crate::pace::Paces;
use crate::plans::Plans;
use crate::replay::StoredCalls;
use crate::seal::opened;
use crate::share::Share;
use crate::tally::{Tally, count, end_word};
use crate::timers::Timers;
use crate::turned::{Told, Turned};
use crate::{Config, Notice, reply};
use std::collections::{BTreeMap, VecDeque};
use unanimo_contract::sealing::{Nonces, Part};
use unanimo_contract::{
    Answer, BranchIndex, ClientAnswer, Id, Key, Problem, Severed, Shard, Submission, Unavailable,
};
use unanimo_protocol::{Event, Outcome, Record, Settled, Time};

/// Everything that one worker drives.
///
/// Invariant: a transaction is in `open` until its `Ended` was applied, and in `memory` from then on.
#[derive(Debug)]
pub struct Owner {
    pub(crate) config: Config,
    pub(crate) rng: fastrand::Rng,
    pub(crate) nonces: Nonces,
    pub(crate) plans: Plans,
    /// Boxed, since the map moves its entries about.
    pub(crate) open: BTreeMap<Id, Box<Open>>,
    pub(crate) memory: Memory,
    pub(crate) keys: Keys,
    pub(crate) timers: Timers,
    pub(crate) budgets: Budgets,
    pub(crate) share: Share,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) tally: Tally,
    /// While replay runs: the rendered calls of what is open so far, as they were stored.
    pub(crate) replayed_calls: BTreeMap<Id, StoredCalls>,
    /// Whether replay has ended: what is not known now never was, or is over.
    pub(crate) replayed: bool,
    /// Whether submissions are taken.
    pub(crate) accepting: bool,
    /// Whether the process is about to end: waiters are told where their answers will be.
    pub(crate) leaving: bool,
    /// Whether the journal has failed: nothing is decided any more.
    pub(crate) poisoned: bool,
    /// Whether somebody watches.
    pub(crate) watched: bool,
    pub(crate) load: Load,
    pub(crate) paces: Paces,
    pub(crate) counters: BTreeMap<Shard, u64>,
    pub(crate) next_shard: usize,
}

/// Why records were not taken by the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// It holds as much as it may. Only a beginning is ever refused for this.
    Full,
    /// A segment cannot hold so much. A beginning is turned away for this, anything else is rolled back.
    TooLarge,
    /// It will never write again.
    Poisoned,
}

impl Owner {
    /// An owner that knows nothing yet: replay comes first, then [`Owner::recovered`].
    pub fn new(mut config: Config) -> Owner {
        Owner {
            rng: fastrand::Rng::with_seed(config.seed),
            nonces: Nonces::new(std::mem::take(&mut config.nonces)),
            plans: std::mem::take(&mut config.plans),
            memory: Memory::new(config.remembered_limit),
            keys: Keys::new(config.keys.count),
            config,
            open: BTreeMap::new(),
            timers: Timers::default(),
            budgets: Budgets::default(),
            share: Share::default(),
            actions: VecDeque::new(),
            tally: Tally::default(),
            replayed_calls: BTreeMap::new(),
            replayed: false,
            accepting: false,
            leaving: false,
            poisoned: false,
            watched: false,
            load: Load::default(),
            paces: Paces::default(),
            counters: BTreeMap::new(),
            next_shard: 0,
        }
    }

    // ---- inputs ----

    /// A request for a transaction. Its waiter hears exactly once.
    pub fn submit(&mut self, now: Now, submission: Submission, entropy: Entropy, waiter: WaiterId) {
        match self.admit(now, submission, entropy, waiter) {
            Ok(id) => {
                self.with(id, |open| open.enqueue(Event::Submitted));
                self.drive(now, id);
            }
            Err(turned) => self.turn_away(Some(waiter), turned),
        }
    }

    /// A participant's answer, or the end of the wait for one.
    pub fn answered(&mut self, now: Now, call: CallId, answer: Answer) {
        let CallId { transaction: id, branch, operation, attempt } = call;
        let reading = answer.reading;
        count(&mut self.tally.answers, (operation, reading.outcome));
        self.share.answered((id, branch, operation));
        let retry = self.config.retry;
        let Some(open) = self.open.get_mut(&id).filter(|open| open.awaits(call)) else { return };
        if open.waiter.is_some() {
            self.share.moved(now.time);
        }
        let service = open.ready.branches[branch.at()].service.clone();
        let side = &mut open.branches[branch.at()];
        let counted = attempt.saturating_sub(side.eased).saturating_add(1);
        let pause = retry.pause_limit(counted).mul_f64(self.rng.f64());
        if side.sent > 1 && matches!(reading.outcome, Outcome::Done | Outcome::ReadOnly) {
            self.budgets.succeeded(&service, now.time, &retry);
        }
        side.last_answer = Some(LastAnswer { operation, outcome: reading.outcome, status: answer.status });
        side.conflicts += u32::from(reading.conflict);
        // Who says when is believed, but no service talks us into asking without a pause.
        side.retry_at = now.time + reading.retry_after.unwrap_or_default().max(pause);
        let is_told = open.ready.branches[branch.at()].is_named || reading.outcome == Outcome::Refused;
        if operation.tells().is_none() && is_told && open.core.verdict().is_none() {
            side.vote = Some(Box::new(answer));
        }
        open.enqueue(Event::Answered { branch, operation, attempt, outcome: reading.outcome });
        if reading.stuck {
            self.note_stuck(now, id, branch);
        }
        self.drive(now, id);
        self.serve_waiting(now);
    }

    /// Records that an [`Action::Append`] asked for are settled. They stand in this batch.
    pub fn settled(&mut self, now: Now, id: Id, records: Vec<Settled>, batch: u64) {
        if self.poisoned {
            return;
        }
        let Some(open) = self.open.get_mut(&id) else { return };
        open.under_way = false;
        open.batch = batch;
        for record in records {
            self.apply(now, id, record);
        }
        self.drive(now, id);
        self.serve_share(now);
    }

    /// The journal did not take an append. A beginning is turned away; anything else only fails when the journal does.
    pub fn unwritten(&mut self, now: Now, id: Id, why: Unwritten) {
        let begins = self.open.get(&id).is_some_and(|open| !open.core.has_begun());
        let promises =
            self.open.get(&id).is_some_and(|open| open.is_forgettable() && open.verdict().is_none());
        if promises && why == Unwritten::Full {
            self.break_off(id);
            return self.drive(now, id);
        }
        if why == Unwritten::TooLarge && !begins {
            return self.give_up(now, id);
        }
        assert!(
            begins || why == Unwritten::Poisoned,
            "{id}: the journal refused to go on with what it had begun"
        );
        if begins && let Some(mut open) = self.open.remove(&id) {
            self.timers.set(id, &mut open.timer, None);
            self.load.withdrawn();
            self.paces.gone(open.ready.digest);
            if let Some(key) = &open.key {
                self.keys.remove(key);
            }
            let turned = match why {
                Unwritten::Full => {
                    Told::away(Problem::Overloaded, "the journal has too much to write; try again")
                }
                Unwritten::TooLarge => {
                    Told::away(Problem::TooLarge, "the journal's segments are too small for it")
                }
                Unwritten::Poisoned => Told::away(Problem::NotReady, "the journal has failed; try again"),
            };
            if open.waiter.is_some() {
                self.share.parted();
            }
            self.turn_away(open.waiter.map(|waiter| waiter.id), turned);
        }
        if why == Unwritten::Poisoned {
            self.poison();
        }
    }

    /// What was decided cannot be written, and never will: it is decided anew, as a rollback, which is small.
    fn give_up(&mut self, now: Now, id: Id) {
        let Some(open) = self.open.get_mut(&id) else { return };
        assert!(open.verdict().is_none(), "{id}: what follows from a verdict fits into any segment");
        open.under_way = false;
        open.queue.push_front(Event::Unwritable);
        self.drive(now, id);
    }

    /// The journal has no room for what a client is to be promised: nobody is told anything, and the transaction goes on.
    fn break_off(&mut self, id: Id) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.under_way = false;
        if let Some(waiter) = open.waiter.take() {
            self.share.parted();
            self.paces.gone(open.ready.digest);
            self.actions.push_back(Action::Reply { waiter: waiter.id, reply: Box::new(Err(Severed)) });
        }
    }

    /// The journal has failed for good. Who waits is told what is durable, or where to look once the process is back;
    /// nobody is told a guess. Calls that were decided and not yet taken do not leave any more.
    pub fn poison(&mut self) {
        if std::mem::replace(&mut self.poisoned, true) {
            return;
        }
        self.accepting = false;
        self.actions.retain(|action| !matches!(action, Action::Call(_)));
        for open in self.open.values_mut() {
            if let Some(waiter) = open.waiter.take() {
                let reply = Box::new(reply::known(open));
                self.actions.push_back(Action::Reply { waiter: waiter.id, reply });
            }
        }
    }

    /// The process is about to end: nothing new begins, and every waiter is told its answer, or where that will be.
    pub fn leave(&mut self, now: Now) {
        self.accepting = false;
        self.leaving = true;
        let ids: Vec<Id> = self.open.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drive(now, id));
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        while let Some(id) = self.timers.pop(now.time) {
            let stuck_after = self.config.retry.stuck_after;
            let Some(open) = self.open.get_mut(&id) else { continue };
            open.timer = None;
            let stuck = open.stuck_at(stuck_after).is_some_and(|at| at <= now.time);
            let untold = open.core.untold().next();
            if let Some(branch) = untold.filter(|_| stuck) {
                self.note_stuck(now, id, branch);
            }
            self.drive(now, id);
        }
        self.serve_waiting(now);
    }

    /// History holds, durably, whatever ended in this batch or before: it is not remembered here any more.
    pub fn cover(&mut self, batch: u64) {
        self.memory.cover(batch);
    }

    /// A key that history holds: it stands for this finished transaction until then, in milliseconds since 1970.
    pub fn remember_key(&mut self, key: &Key, id: Id, until_unix_ms: u64) {
        self.keys.insert(key, id, until_unix_ms);
    }

    /// What history says to an [`Action::Recall`]: what the client was told, where it is known.
    pub fn recalled(&mut self, waiter: WaiterId, id: Id, answer: Result<Option<ClientAnswer>, Unavailable>) {
        let turned = match answer {
            Ok(Some(answer)) => Told::known(id, true, answer),
            Ok(None) => Told::lost(id),
            Err(Unavailable) => {
                Told::away(Problem::NotReady, "the answer cannot be looked up now; try again")
            }
        };
        self.turn_away(Some(waiter), turned);
    }

    // ---- outputs ----

    /// The next thing to do. Each must be done; records before the calls that follow from them.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Owner::tick`] should be called, if nothing happens before.
    pub fn wake(&self) -> Option<Time> {
        let budgets = self.budgets.wake(&self.config.retry);
        [self.timers.wake(), budgets, self.share.wake()].into_iter().flatten().min()
    }

    /// Whether submissions are taken.
    pub fn is_accepting(&self) -> bool {
        self.accepting
    }

    /// How many transactions are open.
    pub fn open_len(&self) -> usize {
        self.open.len()
    }

    // ---- inside ----

    pub(crate) fn note_applied(&mut self, now: Now, id: Id, record: &Record) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let mode = open.ready.outline.mode();
        match record {
            Record::Begun(_) => {
                if !open.core.has_begun() {
                    count(&mut self.tally.begun, mode);
                }
            }
            Record::Wave(wave) => open.note_wave(&opened(&self.config, id, Part::Wave, &wave.calls)),
            Record::Concluded(concluded) => {
                open.note_verdict(now, opened(&self.config, id, Part::Answer, &concluded.answer));
                let calls = opened(&self.config, id, Part::Compensations, &concluded.calls);
                if let Err(error) = open.note_compensations(concluded.tell, calls) {
                    unreachable!("{id}: its own compensations cannot be read: {error}");
                }
                self.load
                    .concluded(concluded.tell.iter().map(|branch| &open.ready.branches[branch.at()].service));
                count(&mut self.tally.concluded, (mode, end_word(concluded.cause)));
            }
            Record::Told { branch } => self.load.told(&open.ready.branches[branch.at()].service),
            // Where nothing is written, the answer alone says that a branch has heard.
            Record::Answered { branch, operation, outcome: Outcome::Done | Outcome::ReadOnly }
                if operation.tells().is_some() =>
            {
                self.load.told(&open.ready.branches[branch.at()].service);
            }
            Record::Heuristic { branch } => {
                self.load.told(&open.ready.branches[branch.at()].service);
                self.tally.heuristic += 1;
                self.note_heuristic(id, *branch);
            }
            Record::Resolved(resolved) => self.note_resolved(id, resolved),
            Record::Ended | Record::Forgotten => count(&mut self.tally.finished, mode),
            Record::Sent { .. } | Record::Answered { .. } | Record::Acted { .. } => {}
        }
    }

    /// A branch ended against the verdict: the operators are told, and told again after each start.
    pub(crate) fn note_heuristic(&mut self, id: Id, branch: BranchIndex) {
        let Some(open) = self.open.get(&id) else { return };
        let notice = Notice::Heuristic { branch: open.ready.branches[branch.at()].name.to_string() };
        self.actions.push_back(Action::Notice { transaction: id, notice });
    }

    fn turn_away(&mut self, waiter: Option<WaiterId>, turned: impl Into<Turned>) {
        let (problem, reply) = match (turned.into(), waiter) {
            (Turned::Told(Told { problem, reply }), _) => (problem, reply),
            (Turned::Recall(transaction), Some(waiter)) => {
                return self.actions.push_back(Action::Recall { waiter, transaction });
            }
            (Turned::Recall(_), None) => return,
        };
        if let Some(problem) = problem {
            count(&mut self.tally.turned_away, problem.slug());
        }
        if let Some(waiter) = waiter {
            self.actions.push_back(Action::Reply { waiter, reply: Box::new(Ok(*reply)) });
        }
    }

    pub(crate) fn with(&mut self, id: Id, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.get_mut(&id) {
            change(open);
        }
    }
}
