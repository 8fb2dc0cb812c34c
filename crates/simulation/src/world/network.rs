//! Between the gateway and the participants: calls are lost, doubled, late and out of order; so are answers.

use super::{Event, World};
use crate::Mistake;
use crate::participant::{Arrival, Mark, Reaction, Share};
use crate::response::Response;
use std::time::Duration;
use unanimo_contract::outcome::{self, Asked};
use unanimo_contract::{Answer, Operation, Outcome, ParticipantCall, Reading, Verdict};
use unanimo_coordinator::CallId;

/// The gateway waits for the answer to a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    call: CallId,
    asked: Asked,
    worker: usize,
}

impl World {
    /// A call leaves the gateway.
    pub(super) fn send(&mut self, worker: usize, call: ParticipantCall) {
        let Some(gateway) = &self.gateway else { return };
        let (durable, poisoned) = (gateway.journal.watermark(), gateway.workers[worker].poisoned);
        let (id, branch, operation, attempt) = (call.transaction, call.branch, call.operation, call.attempt);
        let share: Share = (id, branch);
        self.oracle.call_leaves(self.now, &call, durable, &self.participants);
        if poisoned {
            self.oracle.blame(format!("{}: a call left after the journal had failed", self.oracle.name(id)));
        }
        let twice = |exchange: &&Exchange| {
            (exchange.call.transaction, exchange.call.branch, exchange.call.operation)
                == (id, branch, operation)
        };
        if self.exchanges.values().find(twice).is_some() {
            self.oracle.blame(format!("{}: {operation} left twice at a time", self.oracle.name(id)));
        }
        let Some(to) = self.participants.iter().position(|p| *p.name == *call.service) else {
            return self.oracle.blame(format!("{} is no participant", call.service));
        };
        let numbers = [id.bits() as u64, u64::from(branch.0), operation as u64, u64::from(attempt)];
        let oracle = &self.oracle;
        self.trace.note("call", &numbers, || {
            format!("{} {operation} to branch {branch} at {to}, attempt {attempt}", oracle.name(id))
        });
        let number = self.number();
        self.exchanges.insert(number, Exchange { call: CallId::from(&call), asked: call.asked(), worker });
        self.queue.push(self.now + call.timeout, Event::Return(number, share, None));
        let lacks_credential = call.credentials.is_empty() && self.oracle.demands_credential(id, branch);
        let (exchange, asks, step) = (Some(number), call.asks, call.step);
        self.travel(to, Arrival { share, operation, attempt, exchange, asks, step, lacks_credential });
    }

    /// A call is on its way, with whatever happens to it there.
    fn travel(&mut self, to: usize, arrival: Arrival) {
        // Without marks nobody could tell a call that was held up from a new one: only what is at hand can be asked so.
        let at_hand = self.participants[to].temper.plain && arrival.operation == Operation::Act;
        let (dice, weather) = (&mut self.dice, &self.weather);
        let lost = dice.chance(weather.lost_calls);
        let late = dice.chance(weather.late_calls) && !at_hand;
        let takes = match (at_hand, late) {
            (true, _) => dice.micros(30, 300),
            (false, true) => dice.micros(100_000, 15_000_000),
            (false, false) => dice.micros(30, 3_000),
        };
        // A broken connection is noticed; what is lost on the way is only missed.
        let breaks = (lost || late) && dice.chance(500);
        let again = (dice.chance(weather.duplicates) && !at_hand).then(|| takes + dice.micros(1, 5_000_000));
        for (happens, sight) in [(lost, "lost call"), (late, "late call"), (again.is_some(), "doubled call")]
        {
            if happens {
                self.oracle.saw(sight);
            }
        }
        if breaks && let Some(exchange) = arrival.exchange {
            let at = self.now + self.dice.micros(30, 3_000);
            self.queue.push(at, Event::Return(exchange, arrival.share, None));
        }
        if !lost {
            self.lands(to, takes, arrival);
        }
        // The copy comes after the original, and nobody waits for its answer.
        if let Some(takes) = again.filter(|_| !lost) {
            self.lands(to, takes, Arrival { exchange: None, ..arrival });
        }
    }

    pub(super) fn lands(&mut self, to: usize, takes: Duration, arrival: Arrival) {
        self.in_the_air += 1;
        self.queue.push(self.now + takes, Event::Arrive(to, arrival));
    }

    /// A call arrives.
    pub(super) fn arrive(&mut self, to: usize, arrival: Arrival) {
        self.in_the_air -= 1;
        self.note_arrival(to, arrival);
        let participant = &mut self.participants[to];
        let reaction = participant.arrive(self.now, arrival, &self.weather, &mut self.dice);
        let share = arrival.share;
        let numbers = [share.0.bits() as u64, u64::from(share.1.0), u64::from(arrival.attempt)];
        let (oracle, operation) = (&self.oracle, arrival.operation);
        self.trace.note("arrives", &numbers, || {
            format!("{} {operation} at branch {}: {reaction:?}", oracle.name(share.0), share.1)
        });
        match reaction {
            Err(wrong) => self.oracle.blame(format!("{}: {wrong}", self.oracle.name(share.0))),
            Ok(Reaction::Nobody) => self.answer(arrival, None),
            Ok(Reaction::Answer(response)) => self.answer(arrival, Some(response)),
            Ok(Reaction::Work(takes)) => self.work(to, share, takes),
            Ok(Reaction::WorkAndAnswer(takes, response)) => {
                self.work(to, share, takes);
                self.answer(arrival, Some(response));
            }
        }
        if self.dice.chance(self.weather.participant_crashes) {
            let back_at = self.now + self.dice.micros(1_000, 2_000_000);
            self.participants[to].crash(back_at);
            self.trace.note("participant crashes", &[to as u64], || to.to_string());
        }
    }

    fn note_arrival(&mut self, to: usize, arrival: Arrival) {
        let mark = self.participants[to].marks.get(&arrival.share);
        let sight = match (arrival.operation.tells(), mark) {
            (Some(Verdict::Rollback), _) if self.participants[to].temper.plain => Some("undo without marks"),
            (None, Some(Mark::Undone | Mark::Fenced)) => Some("work after its undo"),
            (Some(_), None) if arrival.operation == Operation::Compensate => {
                Some("compensation before its action")
            }
            (Some(Verdict::Rollback), None) => Some("undo before its work"),
            (Some(Verdict::Commit), Some(Mark::InForce)) => Some("commit told again"),
            _ => None,
        };
        sight.into_iter().for_each(|sight| self.oracle.saw(sight));
    }

    fn work(&mut self, to: usize, share: Share, takes: Duration) {
        self.in_the_air += 1;
        let work = self.participants[to].last_work();
        self.queue.push(self.now + takes, Event::Finish(to, share, work));
    }

    /// A participant has finished.
    pub(super) fn finish(&mut self, to: usize, share: Share, work: u64) {
        self.in_the_air -= 1;
        let participant = &mut self.participants[to];
        let Some((arrival, response)) = participant.finish(share, work, &self.weather, &mut self.dice) else {
            return;
        };
        let mark: Option<Mark> = participant.marks.get(&share).copied();
        let (oracle, operation) = (&self.oracle, arrival.operation);
        self.trace.note("finishes", &[share.0.bits() as u64, u64::from(share.1.0)], || {
            format!("{} {operation} at branch {}: {mark:?}, says {response:?}", oracle.name(share.0), share.1)
        });
        self.oracle.worked(share, operation, &self.participants);
        if arrival.asks && mark == Some(Mark::Held) {
            self.wait_for_the_verdict(to, share);
        }
        self.answer(arrival, Some(response));
    }

    /// An answer is on its way back, or a connection is refused.
    fn answer(&mut self, arrival: Arrival, response: Option<Response>) {
        let Some(exchange) = arrival.exchange else { return };
        if self.dice.chance(self.weather.lost_answers) {
            self.oracle.saw("lost answer");
            return;
        }
        let at = self.now + self.dice.micros(30, 3_000);
        self.queue.push(at, Event::Return(exchange, arrival.share, response));
    }

    /// The gateway's wait for an answer ends. It ends once: whatever comes later finds nobody.
    pub(super) fn comes_back(&mut self, number: u64, share: Share, response: Option<Response>) {
        let waiting = self.exchanges.remove(&number).or_else(|| self.any_other_attempt(share, &response));
        let Some(Exchange { call, asked, worker }) = waiting else { return };
        let Some(gateway) = &mut self.gateway else { return };
        let answer = read(asked, response, self.mistake);
        if answer.reading.conflict {
            self.oracle.saw("still running");
        }
        self.oracle.heard(call, answer.reading.outcome);
        let numbers = [share.0.bits() as u64, u64::from(share.1.0), answer.reading.outcome as u64];
        let oracle = &self.oracle;
        self.trace.note("answer", &numbers, || {
            let (operation, attempt) = (call.operation, call.attempt);
            let name = oracle.name(share.0);
            format!("{name} {operation} of branch {}, attempt {attempt}: {:?}", share.1, answer.reading)
        });
        let now = gateway.now(self.now);
        gateway.workers[worker].owner.answered(now, call, answer);
        self.pump(worker);
    }

    /// The planted mistake of a shell that mixes up its exchanges.
    fn any_other_attempt(&mut self, share: Share, response: &Option<Response>) -> Option<Exchange> {
        if self.mistake != Some(Mistake::AnswersAnyAttempt) || response.is_none() {
            return None;
        }
        let same = |exchange: &Exchange| (exchange.call.transaction, exchange.call.branch) == share;
        let number = self.exchanges.iter().find(|(_, exchange)| same(exchange)).map(|(number, _)| *number)?;
        self.exchanges.remove(&number)
    }
}

/// What an answer means, by the contract's own rules.
fn read(asked: Asked, response: Option<Response>, mistake: Option<Mistake>) -> Answer {
    let Some(response) = response else {
        let outcome = match mistake {
            Some(Mistake::SilenceIsRefusal) if asked.operation.tells().is_none() => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        return Answer { reading: Reading::of(outcome), status: None, content_type: None, body: None };
    };
    Answer {
        reading: outcome::read(asked, response.status, response.outcome, response.retry_after),
        status: Some(response.status),
        content_type: Some("application/json".to_owned()),
        body: Some(response.body),
    }
}
