//! Participants that hold prepared work ask for the verdict, again and again, until they have heard it from anybody.

use super::{Event, World};
use crate::Mistake;
use crate::participant::{Arrival, Share};
use unanimo_contract::{Inquiry, Mode, Step, Verdict};

impl World {
    /// A participant has prepared something and knows where to ask: from now on it will.
    pub(super) fn wait_for_the_verdict(&mut self, to: usize, share: Share) {
        if self.mistake != Some(Mistake::NeverAsks) {
            self.in_the_air += 1;
            self.inquire_later(to, share);
        }
    }

    fn inquire_later(&mut self, to: usize, share: Share) {
        let after = self.dice.micros(1_000, 4_000_000);
        self.queue.push(self.now + after, Event::Inquire(to, share));
    }

    /// It asks, where it still has to. What it hears comes soon, late, or never; a verdict is carried out as if it had
    /// been told.
    pub(super) fn inquire(&mut self, to: usize, share: Share) {
        if !self.participants[to].holds(share) {
            self.in_the_air -= 1;
            return;
        }
        self.inquire_later(to, share);
        if !self.participants[to].is_up(self.now) {
            return;
        }
        let lost = self.dice.chance(self.weather.lost_calls);
        let inquiry = if lost { None } else { self.answer_inquiry(share) };
        let lost = self.dice.chance(self.weather.lost_answers);
        let verdict = match inquiry.filter(|_| !lost) {
            Some(Inquiry::Known(verdict)) => Some(verdict),
            // Whatever else it hears, however late, decides nothing.
            _ => (self.mistake == Some(Mistake::PresumesByItself)).then_some(Verdict::Rollback),
        };
        if let Some(verdict) = verdict {
            let late = self.dice.chance(self.weather.late_calls);
            let takes =
                if late { self.dice.micros(100_000, 15_000_000) } else { self.dice.micros(30, 3_000) };
            let operation = Mode::TwoPhase.telling(verdict);
            let (exchange, step) = (None, Step::Compensatable);
            let word = Arrival {
                share,
                operation,
                attempt: 0,
                exchange,
                asks: false,
                step,
                lacks_credential: false,
            };
            self.lands(to, takes, word);
        }
    }

    /// What the gateway says to that, if it is there.
    fn answer_inquiry(&mut self, (id, branch): Share) -> Option<Inquiry> {
        let Some(gateway) = &self.gateway else {
            self.oracle.saw("asked: silence");
            return None;
        };
        let owner = &gateway.workers[gateway.worker_of(id)].owner;
        let past = if owner.remembers(id) { None } else { self.history.inquire(id) };
        let inquiry = past.unwrap_or_else(|| owner.inquire(id));
        let durable = gateway.journal.watermark();
        let oracle = &self.oracle;
        self.trace.note("inquiry", &[id.bits() as u64, u64::from(branch.0)], || {
            format!("{} for branch {branch}: {inquiry:?}", oracle.name(id))
        });
        self.oracle.answers_inquiry(self.now, id, inquiry, durable, &self.participants);
        Some(inquiry)
    }
}
