//! History: what has ended is taken over from the journal, in its order and once, and only then may segments go.
//!
//! It is what production's history is to journal and owners, with the production reader behind the journal. What it has
//! taken is durable at once; what it has only read is lost with its process, and read again.

use super::{Event, World};
use crate::Mistake;
use crate::medium::Medium;
use crate::secrets;
use std::collections::BTreeMap;
use unanimo_contract::{ClientAnswer, Id, Inquiry, Key, Status, Token, Verdict};
use unanimo_coordinator::{WaiterId, stored_answer};
use unanimo_journal::{Entry, Followed, Follower, SegmentNumber};
use unanimo_protocol::{Record, State};

/// What has ended, as it was taken.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    token: Token,
    pub(crate) key: Option<Key>,
    pub(crate) verdict: Verdict,
    pub(crate) answer: ClientAnswer,
}

/// What began and has not been seen to end.
struct Opened {
    segment: SegmentNumber,
    token: Token,
    key: Option<Key>,
    end: Option<(Verdict, ClientAnswer)>,
}

/// All that history knows.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) taken: BTreeMap<Id, Taken>,
    /// It has taken all that ended in this batch or before.
    pub(crate) covered: u64,
    reading: Reading,
}

/// What one process has read.
#[derive(Default)]
struct Reading {
    reader: Option<Follower<Medium>>,
    open: BTreeMap<Id, Opened>,
    ended: Vec<(Id, Taken)>,
    last: Option<Followed>,
}

impl Reading {
    fn note(&mut self, batch: Followed, id: Id, entry: Entry) {
        let Entry::Record(settled) = entry else { return };
        match settled.record() {
            Record::Begun(begun) => {
                let (segment, token, key) = (batch.segment, begun.token, begun.key);
                self.open.insert(id, Opened { segment, token, key, end: None });
            }
            Record::Concluded(concluded) => {
                if let Some(opened) = self.open.get_mut(&id) {
                    let stored = &concluded.answer;
                    let answer = stored_answer(secrets::keyring().as_deref(), id, stored).ok().flatten();
                    opened.end = answer.map(|answer| (concluded.verdict, answer));
                }
            }
            Record::Ended => {
                // Where the beginning went with its segment, it was taken before.
                if let Some(Opened { token, key, end: Some((verdict, answer)), .. }) = self.open.remove(&id) {
                    self.ended.push((id, Taken { token, key, verdict, answer }));
                }
            }
            _ => {}
        }
    }
}

impl History {
    /// Its process is gone.
    pub(super) fn crash(&mut self) {
        self.reading = Reading::default();
    }

    /// Where a transaction stands that it has taken.
    pub(super) fn status(&self, id: Id, token: Token) -> Option<Status> {
        let taken = self.taken.get(&id).filter(|taken| taken.token.matches(token))?;
        let committed = taken.verdict == Verdict::Commit;
        Some(Status {
            transaction: id,
            state: if committed { State::Committed } else { State::RolledBack },
            verdict: Some(taken.verdict),
            finished: true,
            heuristic: false,
            answer: Some(taken.answer.clone()),
        })
    }

    /// The verdict of a transaction that it has taken.
    pub(super) fn inquire(&self, id: Id) -> Option<Inquiry> {
        self.taken.get(&id).map(|taken| Inquiry::Known(taken.verdict))
    }
}

impl World {
    /// The next round comes soon, or late.
    pub(super) fn look_at_history_later(&mut self, life: u32) {
        if self.scenario.has_history {
            let after = self.dice.micros(1_000, 1_000_000);
            self.queue.push(self.now + after, Event::History(life));
        }
    }

    /// History reads what is durable, takes what has ended, and gives up segments.
    pub(super) fn round_of_history(&mut self, life: u32) {
        if self.gateway.as_ref().is_none_or(|gateway| gateway.life != life) {
            return;
        }
        self.look_at_history_later(life);
        self.read_behind_the_journal();
        if self.dice.chance(600) {
            self.take_over();
        }
        let Some(gateway) = &self.gateway else { return };
        let Reading { open, ended, last, .. } = &self.history.reading;
        let taken = ended.is_empty() || self.mistake == Some(Mistake::ReleasesUntaken);
        let Some(last) = last.filter(|_| taken) else { return };
        let oldest = open.values().map(|opened| opened.segment).min();
        gateway.journal.release(oldest.map_or(last.segment, |open| open.min(last.segment)));
        self.wake_journal();
    }

    fn read_behind_the_journal(&mut self) {
        let Some(gateway) = &self.gateway else { return };
        let (durable, covered) = (gateway.journal.durable(), self.history.covered);
        let reading = &mut self.history.reading;
        let mut reader = reading.reader.take().unwrap_or_else(|| {
            let medium = Medium { disk: self.disk.clone(), lies: false };
            Follower::new(medium, self.scenario.journal.directory.clone(), durable.oldest)
        });
        loop {
            match reader.read(durable, |batch, id, entry| reading.note(batch, id, entry)) {
                Ok(None) => break,
                Ok(Some(batch)) => {
                    let next =
                        reading.last.is_none_or(|last| last.position.number() + 1 == batch.position.number());
                    if !next || !durable.watermark.covers(batch.position) {
                        self.oracle.blame(format!("history reads {batch:?} after {:?}", reading.last));
                    }
                    reading.last = Some(batch);
                    if batch.position.number() <= covered {
                        // It was taken before a restart.
                        reading.ended.clear();
                    }
                }
                Err(error) => {
                    self.oracle.blame(format!("history cannot read what is durable: {error}"));
                    break;
                }
            }
        }
        reading.reader = Some(reader);
    }

    /// What has ended is durable in history: nobody else need remember it.
    fn take_over(&mut self) {
        let Some(last) = self.history.reading.last else { return };
        for (id, taken) in std::mem::take(&mut self.history.reading.ended) {
            self.oracle.handed_over(id, &taken);
            self.history.taken.insert(id, taken);
        }
        self.history.covered = self.history.covered.max(last.position.number());
        let Some(gateway) = &mut self.gateway else { return };
        gateway.workers.iter_mut().for_each(|worker| worker.owner.cover(self.history.covered));
    }

    /// A client came back with the key of what history has taken.
    pub(super) fn recall(&mut self, at: usize, waiter: WaiterId, id: Id) {
        self.oracle.saw("recalled from history");
        let answer = self.history.taken.get(&id).map(|taken| taken.answer.clone());
        let Some(gateway) = &mut self.gateway else { return };
        gateway.workers[at].owner.recalled(waiter, id, Ok(answer));
    }
}
