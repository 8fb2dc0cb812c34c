//! Replay: the same records, applied in the same order, and then the first `due`.

use crate::action::Now;
use crate::finished::Finished;
use crate::open::{Asked, Open};
use crate::owner::Owner;
use crate::plans::InvalidPlan;
use crate::tally::Tally;
use crate::{Config, seal, timeline};
use bytes::Bytes;
use std::fmt;
use unanimo_contract::sealing::{Part, Unopened};
use unanimo_contract::{Answer, BranchIndex, Calls, Digest, Id};
use unanimo_expression::Document;
use unanimo_protocol::fields::Malformed;
use unanimo_protocol::planted::{Mistake, planted};
use unanimo_protocol::{Begun, BranchSet, Event, Record, Settled, Transaction};

/// Why what the journal holds cannot be driven on. The start is refused: nothing is lost, and nothing guessed.
#[derive(Debug)]
pub enum ReplayError {
    /// A transaction names a plan that the journal does not hold.
    NoPlan(Id),
    /// A stored plan cannot be run by this version.
    Plan(InvalidPlan),
    /// Stored calls cannot be read.
    Calls(Id, Malformed),
    /// What is sealed does not open.
    Sealed(Id, Part, Unopened),
    /// Records of a transaction that does not begin in the journal.
    Headless(Id),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::NoPlan(id) => write!(f, "the journal holds transaction {id}, but not its plan"),
            ReplayError::Plan(error) => write!(f, "a plan in the journal cannot be run: {error}"),
            ReplayError::Calls(id, error) => {
                write!(f, "the calls of transaction {id} cannot be read: {error}")
            }
            ReplayError::Sealed(id, part, error) => {
                write!(f, "transaction {id} is open, and {part} cannot be read: {error}")
            }
            ReplayError::Headless(id) => {
                write!(f, "the journal holds transaction {id}, but not its beginning")
            }
        }
    }
}

impl std::error::Error for ReplayError {}

/// The rendered calls of a transaction as they were stored, until it is known which of them are still needed.
#[derive(Debug, Default)]
pub(crate) struct StoredCalls {
    /// Those of each wave that was written.
    waves: Vec<Bytes>,
    /// What branches of a saga answered that have acted: others may name it.
    answers: Vec<(BranchIndex, Bytes)>,
    /// The compensations that a verdict brought, and of which branches.
    compensations: Option<(BranchSet, Bytes)>,
}

impl Owner {
    /// A plan that stands in the journal.
    pub fn replay_plan(&mut self, digest: Digest, stored: Bytes) -> Result<(), ReplayError> {
        self.plans.insert_stored(digest, stored).map_err(ReplayError::Plan)
    }

    /// A record that stands in the journal, in this batch. Of one of this owner's shards, in order.
    pub fn replay(&mut self, id: Id, record: Settled, batch: u64) -> Result<(), ReplayError> {
        if let Record::Begun(begun) = record.record() {
            let open = self.reopened(id, begun)?;
            self.open.insert(id, Box::new(open));
        }
        if !self.open.contains_key(&id) {
            return Err(ReplayError::Headless(id));
        }
        if let Record::Wave(wave) = record.record() {
            let later = Bytes::copy_from_slice(&wave.calls);
            self.replayed_calls.entry(id).or_default().waves.push(later);
        }
        if let Record::Acted { branch, answer, .. } = record.record() {
            let answer = Bytes::copy_from_slice(answer);
            self.replayed_calls.entry(id).or_default().answers.push((*branch, answer));
        }
        if let Record::Concluded(concluded) = record.record() {
            // A copy of its own: a slice would keep the whole segment in memory.
            let answer = Bytes::copy_from_slice(&concluded.answer);
            self.with(id, |open| open.note_verdict(Now::default(), answer));
            let compensations = (concluded.tell, Bytes::copy_from_slice(&concluded.calls));
            self.replayed_calls.entry(id).or_default().compensations = Some(compensations);
        }
        let open = self.open.get(&id);
        let moment = open.and_then(|open| timeline::moment(open, record.record(), None));
        self.with(id, |open| {
            open.resolved |= matches!(record.record(), Record::Resolved(_));
            open.batch = batch;
            open.core.apply(record);
            moment.into_iter().for_each(|moment| open.timeline.push(moment));
        });
        if self.open.get(&id).is_some_and(|open| open.core.is_finished()) {
            self.replayed_calls.remove(&id);
            if let Some(finished) = self.open.remove(&id).and_then(|open| Finished::of(&open)) {
                self.memory.insert(id, batch, finished);
            }
        }
        Ok(())
    }

    /// Replay has ended: what has no verdict is rolled back, what has one is told on, and submissions are taken.
    pub fn recovered(&mut self, now: Now) -> Result<(), ReplayError> {
        for (id, stored) in std::mem::take(&mut self.replayed_calls) {
            let Some(open) = self.open.get_mut(&id) else { continue };
            let stored = stored.opened(&self.config, open)?;
            reopen_calls(open, stored).map_err(|error| ReplayError::Calls(id, error))?;
        }
        (self.replayed, self.accepting) = (true, true);
        let ids: Vec<Id> = self.open.keys().copied().collect();
        let (quarantined, ids): (Vec<Id>, Vec<Id>) = ids.into_iter().partition(|id| self.is_quarantined(*id));
        self.tally = Tally { recovered: ids.len() as u64, recovering: ids.len() as u64, ..Tally::default() };
        for id in quarantined {
            self.with(id, |open| open.bound_at = open.core.untold().next().map(|_| now.time));
        }
        for id in ids {
            self.weigh(id);
            if let Some(branch) = self.open.get(&id).and_then(|open| open.core.heuristic()) {
                self.note_heuristic(id, branch);
            }
            self.with(id, |open| {
                open.recovered = true;
                open.bound_at = open.core.untold().next().map(|_| now.time);
                open.core.restart_deadline(now.time);
                open.enqueue(Event::Recovered);
            });
            self.drive(now, id);
        }
        Ok(())
    }

    /// What a restored journal knows of another node's transactions may be old: only people drive them on.
    pub(crate) fn is_quarantined(&self, id: Id) -> bool {
        self.open.get(&id).is_some_and(|open| open.core.is_quarantined())
    }

    /// Counts what is open and was not begun here, once it goes on.
    pub(crate) fn weigh(&mut self, id: Id) {
        let Some(open) = self.open.get(&id) else { return };
        self.load.admitted();
        if open.verdict().is_some() {
            self.load.concluded(open.core.untold().map(|branch| &open.ready.branches[branch.at()].service));
        }
    }

    fn reopened(&mut self, id: Id, begun: &Begun) -> Result<Open, ReplayError> {
        let ready = self.plans.get(begun.plan).ok_or(ReplayError::NoPlan(id))?;
        let foreign = id.node() != self.config.node;
        let replayed = if foreign { Transaction::quarantined } else { Transaction::replayed };
        let core = replayed(id, ready.outline.clone(), begun.key.is_some());
        let mut open = Open::new(core, ready, begun.key);
        open.token = begun.token;
        open.began_unix_ms = begun.began_unix_ms;
        if let Some(key) = &begun.key {
            self.keys.insert(key, id, self.config.keys.until(begun.began_unix_ms));
        }
        // A copy of its own: a slice would keep the whole segment in memory.
        let waves = vec![Bytes::copy_from_slice(&begun.calls)];
        self.replayed_calls.insert(id, StoredCalls { waves, ..StoredCalls::default() });
        Ok(open)
    }
}

impl StoredCalls {
    /// The same, opened where it is sealed. So is the client's answer, which stands in `open` already.
    fn opened(self, config: &Config, open: &mut Open) -> Result<StoredCalls, ReplayError> {
        let id = open.core.id();
        let clear = |open: &Open, part, stored| {
            seal::replayed(config, open, part, stored).map_err(|error| ReplayError::Sealed(id, part, error))
        };
        if let Some(answer) = open.answer.take() {
            open.answer = Some(clear(open, Part::Answer, answer)?);
        }
        let parts = std::iter::once(Part::Begun).chain(std::iter::repeat(Part::Wave));
        let waves = parts.zip(self.waves).map(|(part, stored)| clear(open, part, stored));
        let answer = |(branch, stored)| Ok((branch, clear(open, Part::Acted(branch), stored)?));
        let compensations =
            self.compensations.map(|(tell, stored)| Ok((tell, clear(open, Part::Compensations, stored)?)));
        Ok(StoredCalls {
            waves: waves.collect::<Result<_, _>>()?,
            answers: self.answers.into_iter().map(answer).collect::<Result<_, _>>()?,
            compensations: compensations.transpose()?,
        })
    }
}

/// Reads the calls of every wave that was written.
fn reopen_calls(open: &mut Open, stored: StoredCalls) -> Result<(), Malformed> {
    let mut calls = Vec::new();
    for stored in stored.waves {
        let Calls { branches, trace, request } = Calls::decode(stored)?;
        calls.extend(branches);
        open.trace = open.trace.take().or(trace);
        if let Some(request) = request.filter(|_| open.verdict().is_none()) {
            // It was read as JSON before anything began.
            let document = Document::parse(request.body.clone()).ok();
            open.asked = Some(Box::new(Asked { request, document }));
        }
    }
    let mut calls = calls.into_iter();
    for wave in open.ready.outline.clone().waves().iter().take(open.core.waves().into()) {
        let mut of_wave: Vec<_> = calls.by_ref().take(wave.len()).collect();
        if planted(Mistake::RendersAgain) {
            of_wave.iter_mut().for_each(|call| call.body = Bytes::new());
        }
        if of_wave.len() < wave.len() {
            return Err(Malformed::CutShort);
        }
        open.set_calls(*wave, Calls { branches: of_wave, ..Calls::default() });
    }
    // What only others would name who act before the verdict is not needed behind it.
    let is_undecided = open.verdict().is_none();
    for (branch, answer) in stored.answers.into_iter().filter(|_| is_undecided) {
        let vote = (!answer.is_empty()).then(|| Answer::decode(answer)).transpose()?;
        if let (Some(side), Some(vote)) = (open.branches.get_mut(branch.at()), vote) {
            side.vote = Some(Box::new(vote));
        }
    }
    if let Some((tell, compensations)) = stored.compensations {
        open.note_compensations(tell, compensations)?;
    }
    if calls.next().is_some() { Err(Malformed::CutShort) } else { Ok(()) }
}
