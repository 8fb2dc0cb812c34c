//! A participant that keeps the six duties: one effect for one key, an undo before the work is remembered, no work after
//! its undo, a repeated verdict is acknowledged, a vote survives a crash, and the marks stay.
//!
//! Its marks are durable, what it is working on is not. Beside them stand its deeds: what really happened, for the
//! oracle alone. They survive everything, and the participant never looks at them.

use crate::Mistake;
use crate::dice::Dice;
use crate::response::{Response, Temper};
use crate::weather::Weather;
use std::collections::BTreeMap;
use std::time::Duration;
use unanimo_contract::{BranchIndex, Id, Operation, Step, Verdict};
use unanimo_protocol::Time;

/// One branch of one transaction.
pub(crate) type Share = (Id, BranchIndex);

/// What a participant durably knows of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The work is done and held ready: it voted yes.
    Held,
    /// It voted yes and has nothing to commit or undo.
    ReadOnly,
    /// It refused.
    Refused,
    /// It was committed.
    InForce,
    /// It has acted, as a step of a saga.
    Acted,
    /// The work was undone.
    Undone,
    /// It was undone before it was done.
    Fenced,
    /// It voted yes, and undid the work all the same.
    Broken,
}

/// What really happened to a branch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deeds {
    /// How often the work was done.
    pub(crate) done: u32,
    /// How often it was undone.
    pub(crate) undone: u32,
    /// How often it was put in force.
    pub(crate) in_force: u32,
    /// How often it said no to the first operation.
    pub(crate) refusals: u32,
    /// How often it said to a later attempt of the first operation that an earlier one still runs.
    pub(crate) conflicts: u32,
    /// Whether it said that it is done with a first operation, and has nothing to commit.
    pub(crate) read_only: bool,
}

/// A call as it arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) share: Share,
    pub(crate) operation: Operation,
    pub(crate) attempt: u32,
    /// The exchange that waits for the answer; nobody waits for the answer to a duplicate.
    pub(crate) exchange: Option<u64>,
    /// Whether it says where the participant may ask for the verdict.
    pub(crate) asks: bool,
    /// What the branch is to a saga.
    pub(crate) step: Step,
    /// Whether it must carry its client's credential, and does not.
    pub(crate) lacks_credential: bool,
}

/// What a participant does about a call.
#[derive(Debug)]
pub(crate) enum Reaction {
    /// It answers at once.
    Answer(Response),
    /// It works, and answers when it has finished.
    Work(Duration),
    /// It works, and has answered before: only by mistake.
    WorkAndAnswer(Duration, Response),
    /// Its process is not there.
    Nobody,
}

/// Something that must never happen.
pub(crate) type Wrong = String;

#[derive(Clone, Copy, Debug)]
struct Running {
    call: Arrival,
    work: u64,
    decision: Mark,
}

/// A service, its memory and its deeds.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) name: String,
    pub(crate) temper: Temper,
    pub(crate) marks: BTreeMap<Share, Mark>,
    pub(crate) deeds: BTreeMap<Share, Deeds>,
    running: BTreeMap<Share, Running>,
    works: u64,
    back_at: Time,
    mistake: Option<Mistake>,
}

impl Participant {
    pub(crate) fn new(name: String, temper: Temper, mistake: Option<Mistake>) -> Participant {
        Participant {
            name,
            temper,
            marks: BTreeMap::new(),
            deeds: BTreeMap::new(),
            running: BTreeMap::new(),
            works: 0,
            back_at: Time(0),
            mistake,
        }
    }

    /// Whether it voted for commit and still knows it. One that breaks its word does so later, and knows it.
    pub(crate) fn has_voted(&self, share: Share) -> bool {
        let yes = |mark: &Mark| {
            matches!(mark, Mark::Held | Mark::ReadOnly | Mark::InForce | Mark::Acted | Mark::Broken)
        };
        self.marks.get(&share).is_some_and(yes) || self.temper.plain && self.deeds_of(share).done > 0
    }

    /// What really happened to a branch.
    pub(crate) fn deeds_of(&self, share: Share) -> Deeds {
        self.deeds.get(&share).copied().unwrap_or_default()
    }

    /// Its process ends: what it was working on is forgotten, what it has marked is not.
    pub(crate) fn crash(&mut self, back_at: Time) {
        self.running.clear();
        self.back_at = back_at;
    }

    /// Whether its process is there.
    pub(crate) fn is_up(&self, now: Time) -> bool {
        now >= self.back_at
    }

    /// Whether it holds prepared work, and has not heard what to do with it.
    pub(crate) fn holds(&self, share: Share) -> bool {
        self.marks.get(&share) == Some(&Mark::Held)
    }

    /// The number of the work that the last reaction began: what [`Participant::finish`] is told.
    pub(crate) fn last_work(&self) -> u64 {
        self.works
    }

    /// A call has arrived.
    pub(crate) fn arrive(
        &mut self,
        now: Time,
        call: Arrival,
        weather: &Weather,
        dice: &mut Dice,
    ) -> Result<Reaction, Wrong> {
        if !self.is_up(now) {
            return Ok(Reaction::Nobody);
        }
        if let Some(running) = self.running.get(&call.share).copied() {
            return Ok(Reaction::Answer(self.meet(running, call, dice)));
        }
        if dice.chance(weather.errors) {
            return Ok(Reaction::Answer(Response::error(dice)));
        }
        let mark = self.remembered(call.share);
        match call.operation.tells() {
            None if call.lacks_credential => Ok(self.turn_away(call)),
            None => Ok(self.first(call, mark, weather, dice)),
            Some(Verdict::Commit) => self.commit(call, mark, weather, dice),
            Some(Verdict::Rollback) if self.temper.plain => Ok(self.take_back(call, weather, dice)),
            Some(Verdict::Rollback) => self.undo(call, mark, weather, dice),
        }
    }

    /// What it finds under a transaction's id and the branch.
    fn remembered(&self, (id, branch): Share) -> Option<Mark> {
        if self.mistake != Some(Mistake::KnowsByPrefix) {
            return self.marks.get(&(id, branch)).copied();
        }
        // As much of an id as stands in its first eight characters: the node, and the shard.
        let start = |id: Id| id.bits() >> 88;
        let same = |other: &&Share| start(other.0) == start(id) && other.1 == branch;
        self.marks.keys().find(same).map(|share| self.marks[share])
    }

    /// It has finished what it was working on: the mark is durable now, and the answer leaves. `None` when a crash or an
    /// undo came first.
    pub(crate) fn finish(
        &mut self,
        share: Share,
        work: u64,
        weather: &Weather,
        dice: &mut Dice,
    ) -> Option<(Arrival, Response)> {
        let running = self.running.get(&share).filter(|running| running.work == work).copied()?;
        self.running.remove(&share);
        if !self.temper.plain {
            self.marks.insert(share, running.decision);
        }
        let deeds = self.deeds.entry(share).or_default();
        match running.decision {
            Mark::Held | Mark::Acted => deeds.done += 1,
            Mark::ReadOnly => deeds.read_only = true,
            Mark::Refused => deeds.refusals += 1,
            Mark::InForce => deeds.in_force += 1,
            Mark::Undone | Mark::Fenced | Mark::Broken => deeds.undone += 1,
        }
        if dice.chance(weather.errors / 2) {
            return Some((running.call, Response::error(dice)));
        }
        let response = match running.call.operation.tells() {
            None => self.vote(running.decision, running.call, dice),
            Some(_) if running.decision == Mark::Broken => Response::word("refused"),
            Some(_) => self.temper.done(dice),
        };
        Some((running.call, response))
    }

    fn first(&mut self, call: Arrival, mark: Option<Mark>, weather: &Weather, dice: &mut Dice) -> Reaction {
        let again = match mark {
            None => true,
            Some(Mark::Held | Mark::Acted) => self.mistake == Some(Mistake::DoesTwice),
            Some(Mark::Refused) => self.mistake == Some(Mistake::ForgetsRefusal),
            Some(Mark::Undone | Mark::Fenced) => self.mistake == Some(Mistake::WorksAfterUndo),
            Some(Mark::ReadOnly | Mark::InForce | Mark::Broken) => false,
        };
        if let Some(mark) = mark.filter(|_| !again) {
            if matches!(mark, Mark::Refused | Mark::Undone | Mark::Fenced) {
                self.deeds.entry(call.share).or_default().refusals += 1;
            }
            return Reaction::Answer(self.vote(mark, call, dice));
        }
        let decision = match () {
            // Who acts after the verdict may not refuse.
            () if call.step != Step::Retriable && dice.chance(self.temper.refuses) => Mark::Refused,
            () if dice.chance(self.temper.reads_only) => Mark::ReadOnly,
            () if call.operation == Operation::Act => Mark::Acted,
            () => Mark::Held,
        };
        let takes = self.begin(call, decision, weather, dice);
        let did = matches!(decision, Mark::Held | Mark::Acted);
        if self.mistake == Some(Mistake::VotesBeforeSync) && did {
            return Reaction::WorkAndAnswer(takes, self.vote(decision, call, dice));
        }
        Reaction::Work(takes)
    }

    /// Its gate lets nobody in without the credential: nothing is done, and nothing remembered.
    fn turn_away(&mut self, call: Arrival) -> Reaction {
        self.deeds.entry(call.share).or_default().refusals += 1;
        Reaction::Answer(Response::status(401))
    }

    fn commit(
        &mut self,
        call: Arrival,
        mark: Option<Mark>,
        weather: &Weather,
        dice: &mut Dice,
    ) -> Result<Reaction, Wrong> {
        match mark {
            Some(Mark::Held) => {
                let broken = dice.chance(self.temper.breaks_its_word);
                let decision = if broken { Mark::Broken } else { Mark::InForce };
                Ok(Reaction::Work(self.begin(call, decision, weather, dice)))
            }
            Some(Mark::Broken) => Ok(Reaction::Answer(Response::word("refused"))),
            Some(Mark::InForce | Mark::ReadOnly) => Ok(Reaction::Answer(self.temper.done(dice))),
            None | Some(Mark::Refused | Mark::Undone | Mark::Fenced | Mark::Acted) => {
                Err(format!("{} was told to commit, and knows no vote for it: {mark:?}", self.name))
            }
        }
    }

    fn undo(
        &mut self,
        call: Arrival,
        mark: Option<Mark>,
        weather: &Weather,
        dice: &mut Dice,
    ) -> Result<Reaction, Wrong> {
        match mark {
            Some(Mark::Acted) if call.step != Step::Compensatable => {
                Err(format!("{} was told to make good what cannot be", self.name))
            }
            Some(Mark::Held | Mark::Acted) => {
                Ok(Reaction::Work(self.begin(call, Mark::Undone, weather, dice)))
            }
            None if self.mistake == Some(Mistake::RefusesEmptyCompensation)
                && call.operation == Operation::Compensate =>
            {
                Ok(Reaction::Answer(self.temper.refused(dice)))
            }
            None if self.mistake == Some(Mistake::ForgetsEarlyUndo) => {
                Ok(Reaction::Answer(self.temper.done(dice)))
            }
            None => {
                self.marks.insert(call.share, Mark::Fenced);
                Ok(Reaction::Answer(self.temper.done(dice)))
            }
            Some(Mark::ReadOnly | Mark::Refused | Mark::Undone | Mark::Fenced) => {
                Ok(Reaction::Answer(self.temper.done(dice)))
            }
            Some(Mark::InForce | Mark::Broken) => {
                Err(format!("{} was told to undo what it was told to commit", self.name))
            }
        }
    }

    /// It knows things, and no transactions: what is there is taken back, what is not there is not found.
    fn take_back(&mut self, call: Arrival, weather: &Weather, dice: &mut Dice) -> Reaction {
        let Deeds { done, undone, .. } = self.deeds_of(call.share);
        if done > undone {
            return Reaction::Work(self.begin(call, Mark::Undone, weather, dice));
        }
        Reaction::Answer(Response::status(dice.pick([404, 410])))
    }

    /// A call meets another one of its branch that is still at work.
    fn meet(&mut self, running: Running, call: Arrival, dice: &mut Dice) -> Response {
        let undo = call.operation.tells() == Some(Verdict::Rollback);
        if undo && running.call.operation.tells().is_none() && self.temper.fences_what_runs {
            self.running.remove(&call.share);
            self.marks.insert(call.share, Mark::Fenced);
            return self.temper.done(dice);
        }
        let response = self.temper.busy(dice);
        if response.is_conflict() && call.operation.tells().is_none() {
            self.deeds.entry(call.share).or_default().conflicts += 1;
        }
        response
    }

    fn begin(&mut self, call: Arrival, decision: Mark, weather: &Weather, dice: &mut Dice) -> Duration {
        self.works += 1;
        self.running.insert(call.share, Running { call, work: self.works, decision });
        if let Some(takes) = self.temper.takes.filter(|_| call.operation.tells().is_none()) {
            return takes;
        }
        match dice.chance(weather.slow_work) {
            true => dice.micros(500_000, 8_000_000),
            false => dice.micros(50, 5_000),
        }
    }

    /// The answer to a first operation: the same key hears the same, whatever came since.
    fn vote(&self, mark: Mark, call: Arrival, dice: &mut Dice) -> Response {
        let receipt = || receipt(&self.name, call.share);
        match mark {
            Mark::Held | Mark::InForce | Mark::Acted => self.temper.done(dice).with_body(receipt()),
            Mark::ReadOnly => Response::word("read-only").with_body(receipt()),
            // A pivot's no to a later attempt is believed by its own word alone.
            _ if call.step == Step::Pivot && call.attempt > 1 => Response::word("refused"),
            Mark::Refused | Mark::Undone | Mark::Fenced | Mark::Broken => self.temper.refused(dice),
        }
    }
}

/// The body of a yes vote: what a client may be told of it.
fn receipt(name: &str, (id, branch): Share) -> String {
    format!("{{\"receipt\":\"{}\"}}", receipt_text(name, id, branch))
}

/// The receipt that a participant gives for a branch.
pub(crate) fn receipt_text(name: &str, id: Id, branch: BranchIndex) -> String {
    format!("{name}-{:x}-{branch}", id.bits() as u64)
}
