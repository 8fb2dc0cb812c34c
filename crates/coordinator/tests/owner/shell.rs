//! A shell around one owner that does nothing by itself: a test settles appends, answers calls and lets time pass.
//!
//! Whatever the owner wants done is looked at on its way: nobody is answered twice, no call leaves twice or before what
//! it rests on is durable, and time never stands still.

use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use unanimo_contract::operations::Watched;
use unanimo_contract::{
    Answer, BranchIndex, ClientAnswer, Digest, Epoch, Id, Node, Operation, ParticipantCall, Reply, Severed,
    Shard, Submission,
};
use unanimo_coordinator::{
    Action, Append, CallId, Config, Entropy, KeyPromise, Notice, Now, Owner, Plans, Retry, Unwritten,
    WaiterId,
};
use unanimo_protocol::{Durability, Record, Settled, Time};

pub const MILLISECOND: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// What the journal would hold.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub plans: BTreeMap<Digest, Bytes>,
    /// What was written, in order. The first `synced` of them are durable.
    pub decisions: Vec<Decision>,
    pub synced: usize,
}

/// The written records of one decision, which stand in one batch: a crash leaves all of them, or none.
#[derive(Clone, Debug)]
pub struct Decision {
    pub id: Id,
    pub records: Vec<Record>,
    pub batch: u64,
}

pub struct Shell {
    pub owner: Owner,
    pub config: Config,
    pub now: Time,
    pub disk: Disk,
    /// The batch that is written now.
    pub batch: u64,
    /// Appends that wait for a sync, in order.
    pub appends: Vec<Append>,
    /// Calls that are under way, in the order in which they left.
    pub calls: Vec<ParticipantCall>,
    /// Every call that ever left, in order, and when.
    pub left: Vec<(Time, ParticipantCall)>,
    pub replies: BTreeMap<WaiterId, Result<Reply, Severed>>,
    pub waiting: BTreeSet<WaiterId>,
    pub notices: Vec<Notice>,
    pub changes: Vec<Watched>,
    /// What is to be looked up in history.
    pub recalls: Vec<(WaiterId, Id)>,
    /// Whether every participant asks, so that calls may leave before anything is written.
    pub asking: bool,
    next_waiter: u64,
}

pub fn config() -> Config {
    Config {
        node: Node(7),
        epoch: Epoch(1),
        shards: Shard::all().collect(),
        open_limit: 100,
        remembered_limit: 1000,
        keys: KeyPromise::default(),
        retry: Retry::default(),
        plans: Plans::default(),
        seed: 42,
        keyring: None,
        nonces: [7; 32],
    }
}

impl Shell {
    /// An owner of an empty journal.
    pub fn new() -> Shell {
        Shell::with(config())
    }

    pub fn with(config: Config) -> Shell {
        Shell::on(config, Disk::default(), Time(1_000_000))
    }

    /// An owner of what a crash has left.
    pub fn on(config: Config, disk: Disk, now: Time) -> Shell {
        let mut owner = Owner::new(config.clone());
        for (digest, stored) in &disk.plans {
            owner.replay_plan(*digest, stored.clone()).unwrap();
        }
        for Decision { id, records, batch } in &disk.decisions {
            for record in records {
                owner.replay(*id, Settled::journaled(record.clone()), *batch).unwrap();
            }
        }
        let mut shell = Shell {
            owner,
            config,
            now,
            batch: disk.decisions.last().map_or(0, |decision| decision.batch) + 1,
            disk,
            appends: Vec::new(),
            calls: Vec::new(),
            left: Vec::new(),
            replies: BTreeMap::new(),
            waiting: BTreeSet::new(),
            notices: Vec::new(),
            changes: Vec::new(),
            recalls: Vec::new(),
            asking: false,
            next_waiter: 0,
        };
        shell.owner.recovered(shell.at()).unwrap();
        shell.carry_out();
        shell
    }

    /// The process dies; of what it has not synced, so many decisions are on disk all the same.
    pub fn crash(mut self, kept: usize) -> Shell {
        self.disk.decisions.truncate(self.disk.synced + kept);
        self.disk.synced = self.disk.decisions.len();
        let config =
            Config { epoch: Epoch(self.config.epoch.0 + 1), seed: self.config.seed + 1, ..self.config };
        Shell::on(config, self.disk, Time(500_000))
    }

    /// The journal is restored elsewhere, under another node.
    pub fn restored(self) -> Shell {
        let config = Config { node: Node(self.config.node.0 + 1), ..self.config };
        Shell::on(config, self.disk, Time(500_000))
    }

    pub fn at(&self) -> Now {
        Now { time: self.now, unix_ms: 1_700_000_000_000 + self.now.0 / 1000 }
    }

    // ---- inputs ----

    pub fn submit(&mut self, submission: Submission) -> WaiterId {
        let waiter = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        self.waiting.insert(waiter);
        let entropy = Entropy { token: 1000 + waiter.0, random: waiter.0 as u32 };
        self.owner.submit(self.at(), submission, entropy, waiter);
        self.carry_out();
        waiter
    }

    /// Submits, and syncs the beginning.
    pub fn begin(&mut self, submission: Submission) -> WaiterId {
        let waiter = self.submit(submission);
        self.sync();
        waiter
    }

    /// Syncs what was appended so far. What follows from it waits for the next sync.
    pub fn sync(&mut self) {
        self.disk.synced = self.disk.decisions.len();
        for append in std::mem::take(&mut self.appends) {
            self.settle(append);
        }
        self.carry_out();
    }

    /// The journal refuses the oldest append that waits: nothing of it was written.
    pub fn refuse(&mut self, why: Unwritten) {
        let append = self.appends.remove(0);
        self.disk.decisions.retain(|decision| decision.id != append.transaction);
        self.owner.unwritten(self.at(), append.transaction, why);
        self.carry_out();
    }

    /// The journal refuses the newest append: what stood before stands.
    pub fn refuse_last(&mut self, why: Unwritten) {
        let append = self.appends.pop().unwrap();
        self.disk.decisions.pop();
        self.owner.unwritten(self.at(), append.transaction, why);
        self.carry_out();
    }

    /// Answers the call of a branch that is under way, of the only transaction.
    pub fn answer(&mut self, branch: u8, answer: Answer) {
        let at = self.calls.iter().position(|call| call.branch == BranchIndex(branch)).unwrap();
        self.answer_at(at, answer);
    }

    pub fn answer_at(&mut self, at: usize, answer: Answer) {
        let call = self.calls.remove(at);
        self.owner.answered(self.at(), CallId::from(&call), answer);
        self.carry_out();
    }

    /// History knows everything that was ever written.
    pub fn recall_all(&mut self) {
        for (waiter, id) in std::mem::take(&mut self.recalls) {
            let stored = self.written(id).into_iter().find_map(|record| match record {
                Record::Concluded(concluded) => Some(concluded.answer.clone()),
                _ => None,
            });
            let answer = stored.map(|stored| ClientAnswer::decode(stored).unwrap());
            self.owner.recalled(waiter, id, Ok(answer));
        }
        self.carry_out();
    }

    /// Answers everything that is under way in the same way.
    pub fn answer_all(&mut self, answer: &Answer) {
        for _ in 0..self.calls.len() {
            self.answer_at(0, answer.clone());
        }
    }

    /// Time passes; the owner is woken whenever it wants to be.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(wake) = self.owner.wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.tick();
        }
        self.now = end;
        self.tick();
    }

    /// Passes the time until the owner wants to be woken.
    pub fn pass_to_wake(&mut self) -> bool {
        let Some(wake) = self.owner.wake() else { return false };
        self.now = self.now.max(wake);
        self.tick();
        true
    }

    /// One look at the clock, which leaves nothing that had to be done before it.
    pub fn tick(&mut self) {
        self.owner.tick(self.at());
        self.carry_out();
        let wake = self.owner.wake();
        assert!(wake.is_none_or(|wake| wake > self.now), "woken for nothing: {wake:?} at {:?}", self.now);
    }

    // ---- outputs ----

    pub fn carry_out(&mut self) {
        while let Some(action) = self.owner.poll_action() {
            match action {
                Action::Append(append) => self.append(append),
                Action::Call(call) => self.call(*call),
                Action::Reply { waiter, reply } => {
                    assert!(self.waiting.remove(&waiter), "{waiter:?} was answered before, or never asked");
                    self.replies.insert(waiter, *reply);
                }
                Action::Watched(change) => self.changes.push(*change),
                Action::Ended { .. } => {}
                Action::Recall { waiter, transaction } => self.recalls.push((waiter, transaction)),
                Action::Notice { notice, .. } => self.notices.push(notice),
            }
        }
    }

    fn append(&mut self, append: Append) {
        self.disk.plans.extend(append.plan.clone());
        let mut records = append.records.clone();
        records.retain(|record| record.durability() != Durability::Volatile);
        self.disk.decisions.push(Decision { id: append.transaction, records, batch: self.batch });
        if append.records.iter().any(|record| record.durability() == Durability::Forced) {
            self.appends.push(append);
        } else {
            self.settle(append);
        }
    }

    fn settle(&mut self, append: Append) {
        let records = append.records.into_iter().map(Settled::journaled).collect();
        self.owner.settled(self.at(), append.transaction, records, self.batch);
    }

    fn call(&mut self, call: ParticipantCall) {
        let id = call.transaction;
        let same = |other: &ParticipantCall| other.transaction == id && other.branch == call.branch;
        let twice = self.calls.iter().any(|other| same(other) && other.operation == call.operation);
        assert!(!twice, "{} of {id} left while it is under way", call.operation);
        let waits = self.appends.iter().any(|append| append.transaction == id);
        assert!(!waits, "{} of {id} left while a decision waits for the disk", call.operation);
        let mut durable = self.disk.decisions[..self.disk.synced].iter();
        let begun = durable.any(|known| known.id == id && matches!(known.records[0], Record::Begun(_)));
        assert!(begun || self.asking, "{} of {id} left before its beginning was durable", call.operation);
        self.left.push((self.now, call.clone()));
        self.calls.push(call);
    }

    // ---- what tests look at ----

    /// What a waiter was told, which it must have been.
    pub fn told(&self, waiter: WaiterId) -> &Reply {
        self.replies[&waiter].as_ref().unwrap()
    }

    /// Of which transaction a waiter was told, if it was.
    pub fn told_id(&self, waiter: WaiterId) -> Option<Id> {
        self.replies.get(&waiter)?.as_ref().ok()?.transaction
    }

    pub fn is_waiting(&self, waiter: WaiterId) -> bool {
        self.waiting.contains(&waiter)
    }

    /// The calls under way, as branch and operation, in order of branches.
    pub fn under_way(&self) -> Vec<(u8, Operation)> {
        let mut calls: Vec<_> = self.calls.iter().map(|call| (call.branch.0, call.operation)).collect();
        calls.sort();
        calls
    }

    /// The transaction that wrote last.
    pub fn id(&self) -> Id {
        self.disk.decisions.last().unwrap().id
    }

    /// The records of a transaction that were written.
    pub fn written(&self, id: Id) -> Vec<&Record> {
        self.disk
            .decisions
            .iter()
            .filter(|decision| decision.id == id)
            .flat_map(|decision| &decision.records)
            .collect()
    }
}

/// A header of an answer.
pub fn header<'a>(answer: &'a ClientAnswer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
