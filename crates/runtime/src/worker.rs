//! One worker: carries out what its owner of shards wants done, and tells it what happened.
//!
//! Every input goes the same way: borrow the state, tell the owner, take its actions until there are none. An answer
//! is told by the task that waited for it, so that no other task has to wake up for it.

use crate::caught::caught;
use crate::clock::Clock;
use crate::guard::AbortOnUnwind;
use crate::history::{History, Note, Notebook};
use crate::mailbox::{Mail, Operator, Slot, ask};
use crate::signal::Signal;
use crate::stream::Stream;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use unanimo_contract::operations::Resolve;
use unanimo_contract::problem::Problem;
use unanimo_contract::trace::Trace;
use unanimo_contract::{
    Answer, Id, Inquiry, Outcome, ParticipantCall, Reading, Reply, Severed, Status, Submission, Token,
};
use unanimo_contract::{Transactions, Unavailable};
use unanimo_coordinator::{Action, CallId, Entropy, Notice, Now, Owner, Unwritten, WaiterId, shard_of};
use unanimo_journal::{AppendError, Appended, Journal, Poison};
use unanimo_participants::Participant;
use unanimo_protocol::{Record, Time};

/// A worker's transactions. Clones are the same worker; it stays on its thread.
pub struct Worker<P> {
    inner: Rc<Inner<P>>,
}

impl<P> Clone for Worker<P> {
    fn clone(&self) -> Self {
        Worker { inner: self.inner.clone() }
    }
}

pub(crate) struct Inner<P> {
    state: RefCell<State>,
    participants: P,
    pub(crate) links: Links,
    /// Rings when the owner wants to be woken sooner than the loop has planned.
    sooner: Notify,
}

/// What ties a worker to the rest of the process.
pub(crate) struct Links {
    pub(crate) number: usize,
    pub(crate) slots: Vec<Slot>,
    pub(crate) journal: Journal,
    pub(crate) signal: Arc<Signal>,
    pub(crate) poison: watch::Receiver<Option<Poison>>,
    pub(crate) clock: Clock,
    pub(crate) stream: Stream,
    pub(crate) history: History,
    pub(crate) notebook: Notebook,
}

struct State {
    owner: Owner,
    /// Decisions whose records are not durable yet, in the order of their batches.
    unsynced: VecDeque<(Id, Appended)>,
    /// Operators whose word by hand is not durable yet: at most one for a transaction.
    resolving: BTreeMap<Id, Operator>,
    waiters: BTreeMap<WaiterId, oneshot::Sender<Result<Reply, Severed>>>,
    next_waiter: u64,
    /// When the loop will wake up by itself.
    armed: Option<Time>,
    /// The last batch of which history holds whatever has ended.
    covered: u64,
}

impl<P: Participant> Worker<P> {
    /// Puts an owner to work: its loop runs as a task of the present `LocalSet`.
    pub(crate) fn start(
        owner: Owner,
        participants: P,
        links: Links,
        mail: mpsc::Receiver<Mail>,
    ) -> Worker<P> {
        let state = State {
            owner,
            unsynced: VecDeque::new(),
            resolving: BTreeMap::new(),
            waiters: BTreeMap::new(),
            next_waiter: 0,
            armed: None,
            covered: 0,
        };
        let inner = Inner { state: RefCell::new(state), participants, links, sooner: Notify::new() };
        let worker = Worker { inner: Rc::new(inner) };
        tokio::task::spawn_local(worker.clone().run(mail));
        worker.enter(|_, _| {});
        worker
    }

    // ---- the way of every input ----

    /// Tells the owner something, and carries out what it wants done.
    fn enter<T>(&self, tell: impl FnOnce(&mut State, Now) -> T) -> T {
        let guard = AbortOnUnwind;
        let now = self.inner.links.clock.now();
        let mut state = self.inner.state.borrow_mut();
        state.owner.set_watched(self.inner.links.stream.is_recording());
        let told = tell(&mut state, now);
        while let Some(action) = state.owner.poll_action() {
            self.carry_out(&mut state, now, action);
        }
        if state.owner.wake().is_some_and(|wake| state.armed.is_none_or(|armed| wake < armed)) {
            self.inner.sooner.notify_one();
        }
        drop(state);
        drop(guard);
        told
    }

    fn carry_out(&self, state: &mut State, now: Now, action: Action) {
        match action {
            Action::Append(append) => self.append(state, now, append),
            Action::Call(call) => {
                tokio::task::spawn_local(self.clone().call(call));
            }
            Action::Reply { waiter, reply } => {
                if let Some(waiter) = state.waiters.remove(&waiter) {
                    // A client that has hung up hears nothing, and changes nothing.
                    let _ = waiter.send(*reply);
                }
            }
            Action::Watched(change) => self.inner.links.stream.tell(*change),
            Action::Ended { transaction: id, timeline, heard } => {
                self.inner.links.notebook.leave(Box::new(Note { id, timeline, heard }));
            }
            Action::Recall { waiter, transaction } => {
                tokio::task::spawn_local(self.clone().recall(waiter, transaction));
            }
            Action::Notice { transaction, notice } => {
                let trace = state.owner.trace(transaction);
                self.log(transaction, &trace.unwrap_or_else(|| Trace::of_transaction(transaction)), &notice);
            }
        }
    }

    fn append(&self, state: &mut State, now: Now, append: unanimo_coordinator::Append) {
        let journal = &self.inner.links.journal;
        let unanimo_coordinator::Append { transaction, plan, records } = append;
        let epoch = journal.epoch();
        match journal.append(unanimo_journal::Append { transaction, epoch, plan, records }) {
            Ok(appended) if appended.is_forced() => {
                if state.unsynced.is_empty() {
                    self.inner.links.signal.await_batch(Some(appended.position().number()));
                }
                state.unsynced.push_back((transaction, appended));
                self.settle(state, now);
            }
            Ok(appended) => settle_one(state, now, transaction, appended, journal),
            Err(AppendError::Full) => state.owner.unwritten(now, transaction, Unwritten::Full),
            Err(AppendError::TooLarge { .. }) => state.owner.unwritten(now, transaction, Unwritten::TooLarge),
            Err(error) => {
                let trace =
                    state.owner.trace(transaction).unwrap_or_else(|| Trace::of_transaction(transaction));
                tracing::error!(%transaction, %trace, %error, "the journal takes nothing more");
                state.owner.unwritten(now, transaction, Unwritten::Poisoned);
            }
        }
    }

    /// Gives the owner what has become durable.
    fn settle(&self, state: &mut State, now: Now) {
        let journal = &self.inner.links.journal;
        let durable = journal.watermark();
        while state.unsynced.front().is_some_and(|(_, appended)| durable.covers(appended.position())) {
            let Some((id, appended)) = state.unsynced.pop_front() else { break };
            settle_one(state, now, id, appended, journal);
        }
        let next = state.unsynced.front().map(|(_, appended)| appended.position().number());
        self.inner.links.signal.await_batch(next);
    }

    async fn call(self, call: Box<ParticipantCall>) {
        let answer = caught(self.inner.participants.call(&call)).await;
        let answer = answer.unwrap_or_else(|| {
            tracing::error!(transaction = %call.transaction, trace = %call.trace.trace, branch = %call.name, "a call panicked: its answer is unknown");
            Answer { reading: Reading::of(Outcome::Unknown), status: None, content_type: None, body: None }
        });
        self.enter(|state, now| state.owner.answered(now, CallId::from(&*call), answer));
    }

    /// A client came back for what history has.
    async fn recall(self, waiter: WaiterId, transaction: Id) {
        let answer = self.inner.links.history.answer_of(transaction).await;
        self.enter(|state, _| state.owner.recalled(waiter, transaction, answer));
    }

    fn log(&self, transaction: Id, trace: &Trace, notice: &Notice) {
        match notice {
            Notice::Stuck { branch } => tracing::warn!(
                %transaction, %trace, branch, "stuck: the branch keeps its transaction from ending; it is asked again until it answers"
            ),
            Notice::Heuristic { branch } => tracing::error!(
                %transaction, %trace, branch, "heuristic: the branch ended against the verdict; an operator has to look"
            ),
            Notice::Resolved { what, branch, word } => tracing::warn!(
                %transaction, %trace, what, branch, who = word.who, why = word.why, "ended by hand: an operator has said so"
            ),
            Notice::Unrendered { what } => tracing::warn!(
                %transaction, %trace, what, "the client's answer lacks what it should hold; a value of its body is null, a header is left out"
            ),
            Notice::Recovered => {
                let micros = self.inner.links.clock.now().time.0;
                tracing::info!(
                    worker = self.inner.links.number,
                    after_ms = micros / 1000,
                    "recovered: what replay found open has ended"
                );
            }
        }
    }

    // ---- the loop: time, mail, and news from the journal ----

    async fn run(self, mut mail: mpsc::Receiver<Mail>) {
        // Nobody else drives this worker's transactions: the loop must not be lost without a word.
        let _guard = AbortOnUnwind;
        let far = tokio::time::Duration::from_secs(3600);
        let links = &self.inner.links;
        let mut timer = pin!(tokio::time::sleep(far));
        loop {
            let wake = {
                let mut state = self.inner.state.borrow_mut();
                state.armed = state.owner.wake();
                state.armed
            };
            if let Some(wake) = wake {
                timer.as_mut().reset(links.clock.instant(wake));
            }
            tokio::select! {
                () = links.signal.notify.notified() => self.hear(),
                () = self.inner.sooner.notified() => {}
                () = timer.as_mut(), if wake.is_some() => self.enter(|state, now| state.owner.tick(now)),
                mail = mail.recv() => match mail {
                    Some(mail) => self.open(mail),
                    None => return,
                },
            }
        }
    }

    /// The journal has news.
    fn hear(&self) {
        let links = &self.inner.links;
        let poisoned = links.poison.borrow().is_some();
        self.enter(|state, now| {
            if poisoned {
                // Whether their word is durable nobody knows: they have to look again.
                state.resolving.clear();
                return state.owner.poison();
            }
            self.settle(state, now);
            let covered = links.signal.covered();
            if covered > state.covered {
                state.covered = covered;
                state.owner.cover(covered);
            }
        });
    }

    fn open(&self, mail: Mail) {
        // Whoever asked may be gone; then nobody hears the answer.
        match mail {
            Mail::Submit(submission, reply) => self.take(*submission, reply),
            Mail::Status(id, token, reply) => {
                drop(reply.send(self.inner.state.borrow().owner.status(id, token)))
            }
            Mail::Inquire(id, reply) => {
                let _ = reply.send(self.inquire_here(id));
            }
            Mail::Detail(id, reply) => drop(reply.send(self.inner.state.borrow().owner.detail(id))),
            Mail::Resolve(id, resolve, reply) => self.resolve(id, &resolve, reply),
            Mail::Retry(id, reply) => drop(reply.send(self.enter(|state, now| state.owner.retry(now, id)))),
            Mail::List(filter, page, reply) => {
                drop(reply.send(self.inner.state.borrow().owner.list(&filter, &page)))
            }
            Mail::Tally(reply) => drop(reply.send(self.inner.state.borrow().owner.tally())),
            Mail::Change(change, done) => {
                self.enter(|state, _| state.owner.change(*change));
                let _ = done.send(());
            }
            Mail::Services(reply) => drop(reply.send(self.inner.state.borrow().owner.services())),
            Mail::Leave => self.enter(|state, now| state.owner.leave(now)),
        }
    }

    fn take(&self, submission: Submission, reply: oneshot::Sender<Result<Reply, Severed>>) {
        let entropy = match entropy() {
            Ok(entropy) => entropy,
            Err(error) => {
                tracing::error!(%error, "the operating system gives no random numbers");
                return drop(reply.send(Ok(turned_away(Problem::NotReady, "no random numbers; try again"))));
            }
        };
        self.enter(|state, now| {
            let waiter = WaiterId(state.next_waiter);
            state.next_waiter += 1;
            state.waiters.insert(waiter, reply);
            state.owner.submit(now, submission, entropy, waiter);
        });
    }

    /// Whoever ends something by hand hears that it is done once that is durable.
    fn resolve(&self, id: Id, resolve: &Resolve, reply: Operator) {
        let refused = self.enter(|state, now| match state.owner.resolve(now, id, resolve) {
            Some(Ok(())) => {
                state.resolving.insert(id, reply);
                None
            }
            refused => Some((reply, refused)),
        });
        if let Some((reply, refused)) = refused {
            let refused = refused.and_then(Result::err).map(Err);
            // Whoever asked may be gone; then nobody hears the answer.
            let _ = reply.send(refused);
        }
    }

    /// What a participant hears of a transaction of this worker's shards, and whether that is only presumed.
    fn inquire_here(&self, id: Id) -> (Inquiry, bool) {
        let owner = &self.inner.state.borrow().owner;
        (owner.inquire(id), !owner.remembers(id))
    }

    fn slot(&self, worker: usize) -> &Slot {
        &self.inner.links.slots[worker]
    }

    fn workers(&self) -> usize {
        self.inner.links.slots.len()
    }
}

impl<P: Participant> Transactions for Worker<P> {
    async fn submit(&self, submission: Submission) -> Result<Reply, Severed> {
        let (reply, answer) = oneshot::channel();
        let at = submission
            .key
            .as_ref()
            .map_or(self.inner.links.number, |key| shard_of(key).worker(self.workers()));
        if at == self.inner.links.number {
            self.take(submission, reply);
        } else if let Err(returned) = self.slot(at).try_send(Mail::Submit(Box::new(submission), reply)) {
            drop(returned);
            return Ok(turned_away(
                Problem::Overloaded,
                "the owner of this key has too much to do; try again",
            ));
        }
        // A waiter that is dropped without an answer belongs to a process that is ending: nobody knows.
        answer.await.unwrap_or(Err(Severed))
    }

    async fn status(&self, transaction: Id, token: Token) -> Result<Option<Status>, Unavailable> {
        if transaction.node() != self.inner.links.journal.node() {
            return Ok(None);
        }
        let at = transaction.shard().worker(self.workers());
        let status = if at == self.inner.links.number {
            self.inner.state.borrow().owner.status(transaction, token)
        } else {
            let asked = ask(self.slot(at), |reply| Mail::Status(transaction, token, reply));
            asked.await.ok_or(Unavailable)?
        };
        match status {
            Some(status) => Ok(Some(status)),
            None => self.inner.links.history.find_by_token(transaction, token).await,
        }
    }

    async fn inquire(&self, transaction: Id) -> Inquiry {
        if transaction.node() != self.inner.links.journal.node() {
            return Inquiry::NotMine;
        }
        let at = transaction.shard().worker(self.workers());
        let (inquiry, presumed) = if at == self.inner.links.number {
            self.inquire_here(transaction)
        } else {
            // A worker that cannot answer now knows no less than before: ask again.
            let asked = ask(self.slot(at), |reply| Mail::Inquire(transaction, reply));
            asked.await.unwrap_or((Inquiry::Pending, false))
        };
        if !presumed {
            return inquiry;
        }
        // Whoever has acknowledged a commit and asks all the same hears it as long as history knows it.
        match self.inner.links.history.verdict_of(transaction).await {
            Ok(Some(verdict)) => Inquiry::Known(verdict),
            Ok(None) | Err(Unavailable) => inquiry,
        }
    }

    fn is_ready(&self) -> bool {
        self.inner.state.borrow().owner.is_accepting()
    }
}

fn settle_one(state: &mut State, now: Now, id: Id, appended: Appended, journal: &Journal) {
    let batch = appended.position().number();
    match appended.settle(journal.watermark()) {
        Ok(settled) => {
            let by_hand = || settled.iter().any(|record| matches!(record.record(), Record::Resolved(_)));
            let operator =
                if state.resolving.is_empty() || !by_hand() { None } else { state.resolving.remove(&id) };
            state.owner.settled(now, id, settled, batch);
            if let Some(operator) = operator {
                let _ = operator.send(state.owner.resolved(id).map(Ok));
            }
        }
        Err(unsettled) => state.unsynced.push_front((id, unsettled)),
    }
}

fn turned_away(problem: Problem, detail: &str) -> Reply {
    Reply::not_begun(problem.answer(detail).with_header("retry-after", "1"))
}

/// Randomness that nobody can foretell: whoever knows a token may read a transaction's answer.
fn entropy() -> Result<Entropy, getrandom::Error> {
    Ok(Entropy { token: getrandom::u64()?, random: getrandom::u32()? })
}
