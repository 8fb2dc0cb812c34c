//! A small world around one transaction: a shard that keeps its discipline, a journal that settles late or loses what
//! it has not synced, a network that loses, delays and repeats, and participants that keep their duties.
//!
//! Every step looks at S1 to S4, over what participants really did and not over what the core believes.

use crate::share::{Mood, Share};
use crate::support::Bench;
use std::collections::VecDeque;
use std::sync::Arc;
use unanimo_protocol::{
    BranchIndex, Durability, Event, Mode, Operation, Outcome, Outline, Record, Settled, Step as SagaStep,
    Transaction, Verdict,
};

/// What happens next. Numbers choose among what there is.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// One call that is due leaves.
    Send(usize),
    /// A call reaches its participant, perhaps not for the first time.
    Arrive(usize, Mood),
    /// An answer reaches the shard, perhaps not for the first time.
    Hear(usize),
    /// The shard gives up waiting for the answer to a call.
    TimeOut(usize),
    /// The deadline passes, perhaps again.
    Deadline,
    /// The client is to be told where the answer will be.
    Promise,
    /// A participant that asks asks for the verdict.
    Ask(usize),
    /// The journal syncs, and says so.
    Sync,
    /// Somebody says something that makes no sense.
    Nonsense(u8, usize, u32, usize),
    /// The process dies. So many unsynced appends are on disk all the same.
    Crash(usize),
}

/// A call or its answer on the way, and the life of the process that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    pub life: u32,
    pub branch: BranchIndex,
    pub operation: Operation,
    pub attempt: u32,
}

/// How often what happened, so that a test can tell that it has seen it all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub commits: u32,
    pub rollbacks: u32,
    pub crashes: u32,
    pub lost_verdicts: u32,
    pub waited: u32,
    pub spared: u32,
    pub tombstones: u32,
    pub presumed: u32,
    pub forgotten: u32,
}

pub struct World {
    outline: Arc<Outline>,
    bench: Bench,
    life: u32,
    /// Appends in order; the first `synced` of them are durable.
    journal: Vec<Vec<Record>>,
    synced: usize,
    /// The append on whose sync the transaction waits, and what came meanwhile.
    under_way: Option<usize>,
    queue: VecDeque<Event>,
    calls: Vec<Letter>,
    answers: Vec<(Letter, Outcome)>,
    shares: Vec<Share>,
    /// The verdict that anybody outside has heard of.
    told: Option<Verdict>,
    /// Whether a crash has made it unknown: then it was rolled back, and nobody drives it any more.
    forgotten: bool,
    pub seen: Seen,
}

impl World {
    pub fn new(outline: Arc<Outline>, keyed: bool) -> World {
        let mut world = World {
            bench: Bench::new(outline.clone(), keyed),
            life: 0,
            journal: Vec::new(),
            synced: 0,
            under_way: None,
            queue: VecDeque::new(),
            calls: Vec::new(),
            answers: Vec::new(),
            shares: vec![Share::default(); outline.branches().len()],
            told: None,
            forgotten: false,
            seen: Seen::default(),
            outline,
        };
        world.happen(Event::Submitted);
        world
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Send(at) => self.send(at),
            Step::Arrive(at, mood) => {
                if let Some(letter) = pick(&self.calls, at) {
                    self.arrive(letter, mood);
                }
            }
            Step::Hear(at) => {
                if let Some((letter, outcome)) = pick(&self.answers, at) {
                    self.hear(letter, outcome);
                }
            }
            Step::TimeOut(at) => {
                let letter = pick(&self.calls, at).filter(|letter| letter.life == self.life);
                if let Some(letter) = letter {
                    self.hear(letter, Outcome::Unknown);
                }
            }
            Step::Deadline => self.happen(Event::DeadlinePassed),
            Step::Promise => self.happen(Event::Promised),
            Step::Ask(at) => self.ask(at % self.shares.len()),
            Step::Sync => self.sync(),
            Step::Nonsense(branch, operation, attempt, outcome) => {
                let (branch, operation) = (BranchIndex(branch), Operation::ALL[operation % 8]);
                let answer =
                    Event::Answered { branch, operation, attempt, outcome: Outcome::ALL[outcome % 5] };
                let asked = self.bench.core.awaits(branch, operation, attempt);
                self.happen(if asked { Event::Submitted } else { answer });
            }
            Step::Crash(kept) => self.crash(kept),
        }
        self.check();
    }

    /// Every fault is over: whatever is sent arrives and is answered, until nothing is left to do.
    pub fn heal(&mut self) {
        for _ in 0..20 * self.shares.len() {
            self.sync();
            let under_way: Vec<Letter> =
                self.calls.iter().copied().filter(|letter| self.awaits(*letter)).collect();
            for letter in under_way {
                self.arrive(letter, Mood::Willing);
                let answer = self.answers.iter().rfind(|(answered, _)| *answered == letter).copied();
                answer.into_iter().for_each(|(letter, outcome)| self.hear(letter, outcome));
            }
            while self.under_way.is_none() && self.bench.core.due().next().is_some() {
                self.send(0);
            }
            (0..self.shares.len()).for_each(|at| self.ask(at));
            self.check();
        }
    }

    /// L1: it has ended, or it never began; and no participant is left in doubt.
    pub fn check_the_end(&mut self) {
        let core = &self.bench.core;
        let never_begun = !core.has_begun() && self.journal.is_empty();
        assert!(self.forgotten || core.is_finished() || never_begun, "{core:?} goes on");
        for share in &self.shares {
            let over = match (self.outline.mode(), core.verdict()) {
                (Mode::Saga, Some(Verdict::Commit)) => share.voted_yes() && !share.rolled_back,
                (Mode::Saga, _) => !share.prepared || share.rolled_back,
                _ => !share.prepared || share.committed || share.rolled_back,
            };
            assert!(over, "left in doubt: {share:?}");
        }
        self.seen.spared +=
            self.shares.iter().filter(|share| !share.rolled_back && !share.committed).count() as u32;
    }

    fn awaits(&self, letter: Letter) -> bool {
        let Letter { life, branch, operation, attempt } = letter;
        life == self.life && self.bench.core.awaits(branch, operation, attempt)
    }

    // ---- the shard ----

    /// While a decision waits for the disk, so does every further event.
    fn happen(&mut self, event: Event) {
        if self.forgotten {
            return;
        }
        self.queue.push_back(event);
        self.seen.waited += u32::from(self.under_way.is_some());
        self.drain();
    }

    fn drain(&mut self) {
        while self.under_way.is_none()
            && let Some(event) = self.queue.pop_front()
        {
            let records = self.bench.decide(event);
            self.append(records);
        }
    }

    fn send(&mut self, at: usize) {
        let due: Vec<_> = self.bench.core.due().collect();
        if self.under_way.is_some() || due.is_empty() {
            return;
        }
        let call = due[at % due.len()];
        let (branch, operation, attempt) = (call.branch, call.operation, call.attempt);
        if let Some(verdict) = operation.tells() {
            self.tell_somebody(verdict);
        }
        if self.outline.mode() == Mode::Saga {
            self.check_the_order(branch, operation);
        }
        self.happen(Event::Sending { branch, operation });
        let letter = Letter { life: self.life, branch, operation, attempt };
        assert!(!self.calls.contains(&letter), "{letter:?} left twice");
        assert!(self.awaits(letter), "{letter:?} left, and nobody waits for its answer");
        self.calls.push(letter);
    }

    fn hear(&mut self, letter: Letter, outcome: Outcome) {
        let Letter { branch, operation, attempt, .. } = letter;
        self.happen(Event::Answered { branch, operation, attempt, outcome });
    }

    // ---- the journal ----

    fn append(&mut self, records: Vec<Record>) {
        let forced = records.iter().any(|record| record.durability() == Durability::Forced);
        let written = records.iter().any(|record| record.durability() != Durability::Volatile);
        if written {
            self.journal.push(records.clone());
        }
        if forced {
            self.under_way = Some(self.journal.len());
        } else {
            self.settle(records);
        }
    }

    fn sync(&mut self) {
        self.synced = self.journal.len();
        if let Some(place) = self.under_way.take() {
            let records = self.journal[place - 1].clone();
            self.settle(records);
            self.drain();
        }
    }

    fn settle(&mut self, records: Vec<Record>) {
        for record in records {
            if let Record::Concluded(concluded) = &record {
                self.seen.commits += u32::from(concluded.verdict == Verdict::Commit);
                self.seen.rollbacks += u32::from(concluded.verdict == Verdict::Rollback);
                self.check_the_vote(concluded.verdict);
            }
            self.bench.core.apply(Settled::journaled(record));
        }
        // The client is told as soon as that is allowed.
        if let Some(verdict) = self.bench.core.verdict() {
            self.tell_somebody(verdict);
        }
    }

    fn crash(&mut self, kept: usize) {
        let known = self.bench.core.verdict().is_some();
        let kept = self.journal.len().min(self.synced + kept);
        self.journal.truncate(kept);
        self.synced = kept;
        self.life += 1;
        self.seen.crashes += 1;
        (self.under_way, self.queue) = (None, VecDeque::new());
        self.answers.clear();
        let keyed = self.bench.keyed;
        if self.journal.is_empty() {
            let may_forget = self.outline.presumes_rollback() && !keyed;
            assert!(self.calls.is_empty() || may_forget, "a call left before its beginning was durable");
            self.forgotten = !self.calls.is_empty();
            self.seen.forgotten += u32::from(self.forgotten);
            self.bench = Bench::new(self.outline.clone(), keyed);
            return;
        }
        let mut core = Transaction::replayed(self.bench.core.id(), self.outline.clone(), keyed);
        let written =
            self.journal.iter().flatten().filter(|record| record.durability() != Durability::Volatile);
        written.for_each(|record| core.apply(Settled::journaled(record.clone())));
        self.seen.lost_verdicts += u32::from(known && core.verdict().is_none());
        self.bench.core = core;
        self.happen(Event::Recovered);
    }

    // ---- participants ----

    fn arrive(&mut self, letter: Letter, mood: Mood) {
        let (mode, step) = (self.outline.mode(), self.outline.branches()[letter.branch.at()].step);
        let share = &mut self.shares[letter.branch.at()];
        let known = share.answered.iter().find(|(answered, _)| *answered == letter);
        let outcome = match known {
            Some((_, outcome)) => *outcome,
            None => share.carry_out(mode, step, letter.operation, mood),
        };
        self.seen.tombstones += u32::from(share.rolled_back && letter.operation.tells().is_none());
        share.answered.push((letter, outcome));
        if letter.life == self.life {
            self.answers.push((letter, outcome));
        }
    }

    /// Whoever has prepared and asks hears the verdict, or that there is none yet; an unknown transaction was rolled
    /// back.
    fn ask(&mut self, at: usize) {
        let (asks, share) = (self.outline.branches()[at].asks, &mut self.shares[at]);
        if !asks || !share.prepared || share.committed || share.rolled_back {
            return;
        }
        let core = &self.bench.core;
        let verdict = if self.forgotten { Some(Verdict::Rollback) } else { core.verdict() };
        match verdict {
            Some(Verdict::Commit) => share.committed = true,
            Some(Verdict::Rollback) => share.rolled_back = true,
            None => return,
        }
        self.seen.presumed += u32::from(self.forgotten);
        verdict.into_iter().for_each(|verdict| self.tell_somebody(verdict));
    }

    // ---- what must hold ----

    /// S3 and S4: what anybody was told is durable if it is a commit, and never changes.
    fn tell_somebody(&mut self, verdict: Verdict) {
        if verdict == Verdict::Commit {
            let durable = self.journal[..self.synced].iter().flatten();
            let commits =
                durable.filter(|r| matches!(r, Record::Concluded(c) if c.verdict == Verdict::Commit));
            let nobody_in_doubt = self.shares.iter().all(|share| share.read_only);
            let told = if nobody_in_doubt { 0..=1 } else { 1..=1 };
            assert!(told.contains(&commits.count()), "a commit was told that a crash could forget");
        }
        if verdict == Verdict::Rollback && self.outline.mode() == Mode::Saga {
            let durable = self.journal[..self.synced].iter().flatten();
            let mut verdicts = durable.filter(|r| matches!(r, Record::Concluded(c) if c.verdict == verdict));
            assert!(verdicts.next().is_some(), "a saga's rollback was told that a crash could forget");
        }
        assert_eq!(*self.told.get_or_insert(verdict), verdict, "the verdict changed");
    }

    /// S2: a commit stands over branches that are all ready to commit; but for those that only go forward from there.
    fn check_the_vote(&self, verdict: Verdict) {
        let voters = self.outline.branches().iter().zip(&self.shares);
        let mut voters = voters.filter(|(outline, _)| outline.step != SagaStep::Retriable);
        let ready = voters.all(|(_, share)| share.voted_yes() && !share.rolled_back);
        assert!(ready || verdict == Verdict::Rollback, "a commit over {:?}", self.shares);
    }

    /// A step comes when all that it waits for have acted, the pivot after all that can be compensated, and who cannot be
    /// is not asked before the commit is durable. What came last is made good first.
    fn check_the_order(&mut self, branch: BranchIndex, operation: Operation) {
        let branches = self.outline.branches();
        let (this, acted) = (&branches[branch.at()], |at: usize| self.shares[at].voted_yes());
        if operation == Operation::Act {
            let mut waits = this.after.union(this.needs).iter();
            assert!(waits.all(|before| acted(before.at())), "{branch} acts before its turn");
            let mut steps = branches.iter().enumerate();
            let unready = steps.find(|(at, other)| other.step == SagaStep::Compensatable && !acted(*at));
            assert!(
                this.step == SagaStep::Compensatable || unready.is_none(),
                "{branch} acts before {unready:?}"
            );
            if this.step == SagaStep::Retriable {
                self.tell_somebody(Verdict::Commit);
            }
            return;
        }
        let later =
            |other: &&unanimo_protocol::BranchOutline| other.after.union(other.needs).contains(branch);
        for (other, share) in branches.iter().zip(&self.shares).filter(|(other, _)| later(other)) {
            assert!(!share.prepared || share.rolled_back, "{branch} is compensated before {other:?}");
        }
    }

    /// S1: never one branch committed and another rolled back; never one compensated whose pivot has acted.
    fn check(&self) {
        let mut pivots = self.outline.branches().iter().zip(&self.shares);
        let acted = pivots.any(|(outline, share)| outline.step == SagaStep::Pivot && share.prepared);
        let compensated = self.shares.iter().any(|share| share.rolled_back);
        assert!(!(acted && compensated), "compensated after the pivot has acted: {:?}", self.shares);
        let committed = self.shares.iter().any(|share| share.committed);
        let rolled_back = self.shares.iter().any(|share| share.rolled_back);
        assert!(!(committed && rolled_back), "one committed, one rolled back: {:?}", self.shares);
    }
}

fn pick<T: Copy>(from: &[T], at: usize) -> Option<T> {
    from.get(at.checked_rem(from.len())?).copied()
}
