//! From the journal's records to what history keeps: the records of each open transaction wait here for its end.
//!
//! It sees what is durable, in order, and nothing else: so what history says is what the journal said. What waits is
//! small: bodies are cut as they come.

use super::detail;
use super::notes::Notes;
use super::numbers;
use super::store::{Named, Past};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use unanimo_contract::operations::{Asked, Body, Exchange, Flag, Flags, Moment, MomentKind, Timeline, Word};
use unanimo_contract::{
    BranchIndex, Calls, Digest, Id, Key, Operation, Outcome, Plan, RenderedCall, Token, Verdict,
};
use unanimo_coordinator::heuristic_answer;
use unanimo_journal::{Entry, Followed, SegmentNumber};
use unanimo_protocol::{Begun, BranchSet, Cause, Concluded, Record, Resolved};

/// What has begun and not ended, as far as the journal was read.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    plans: BTreeMap<Digest, (Arc<Named>, Vec<BranchSet>)>,
    open: BTreeMap<Id, Box<Opened>>,
    /// In which segments open transactions began, and how many.
    segments: BTreeMap<SegmentNumber, u64>,
    ended: Vec<Past>,
    /// Bytes of what has ended and was not taken yet.
    bytes: usize,
}

/// A transaction that has not ended.
#[derive(Debug)]
struct Opened {
    segment: SegmentNumber,
    plan: Arc<Named>,
    token: Token,
    key: Option<Key>,
    began_unix_ms: u64,
    waves: usize,
    concluded: Option<(Verdict, Option<Cause>, Bytes)>,
    heuristic: Option<BranchIndex>,
    resolved: bool,
    timeline: Timeline,
    exchanges: Vec<Exchange>,
}

impl Gathering {
    /// Takes note of an entry. `key_until` says until when a key stands whose transaction began then.
    pub(crate) fn note(
        &mut self,
        batch: Followed,
        (id, entry): (Id, Entry),
        notes: &mut Notes,
        key_until: impl FnOnce(u64) -> u64,
    ) {
        let record = match entry {
            Entry::Plan { digest, bytes } => return self.note_plan(digest, bytes),
            Entry::Record(settled) => settled,
        };
        match record.record() {
            Record::Begun(begun) => self.begin(batch, id, begun),
            Record::Ended => self.end(batch, id, notes, key_until),
            record => {
                if let Some(opened) = self.open.get_mut(&id) {
                    let sets = self.plans.get(&opened.plan.digest).map_or(&[][..], |(_, sets)| sets);
                    opened.note(batch.unix_ms, record, sets);
                }
            }
        }
    }

    fn note_plan(&mut self, digest: Digest, stored: Bytes) {
        if self.plans.contains_key(&digest) {
            return;
        }
        // What cannot be read was refused when the journal was replayed.
        let Ok(plan) = Plan::decode(&stored) else { return };
        let waves = unanimo_coordinator::waves(&plan).unwrap_or_default();
        self.plans.insert(digest, (Arc::new(Named { digest, stored, plan }), waves));
    }

    fn begin(&mut self, batch: Followed, id: Id, begun: &Begun) {
        let Some((plan, sets)) = self.plans.get(&begun.plan) else { return };
        let mut opened = Opened {
            segment: batch.segment,
            plan: plan.clone(),
            token: begun.token,
            key: begun.key,
            began_unix_ms: begun.began_unix_ms,
            waves: 0,
            concluded: None,
            heuristic: None,
            resolved: false,
            timeline: Timeline::default(),
            exchanges: vec![Exchange::default(); plan.plan.branches.len()],
        };
        opened.timeline.push(Moment::of(MomentKind::Begun, Some(begun.began_unix_ms)));
        opened.note_calls(&begun.calls, begun.waves.into(), sets);
        if self.open.insert(id, Box::new(opened)).is_none() {
            *self.segments.entry(batch.segment).or_default() += 1;
        }
    }

    fn end(&mut self, batch: Followed, id: Id, notes: &mut Notes, key_until: impl FnOnce(u64) -> u64) {
        // Records of a transaction whose beginning was dropped are left over: it was taken before.
        let Some(mut opened) = self.open.remove(&id) else { return };
        if let Some(count) = self.segments.get_mut(&opened.segment) {
            *count -= 1;
            if *count == 0 {
                self.segments.remove(&opened.segment);
            }
        }
        opened.timeline.push(Moment::of(MomentKind::Ended, Some(batch.unix_ms)));
        if let Some(note) = notes.take(id) {
            opened.timeline = note.timeline;
            opened.exchanges.iter_mut().zip(note.heard).for_each(|(exchange, heard)| exchange.heard = heard);
        }
        let Some((verdict, cause, mut answer)) = opened.concluded else { return };
        if let Some(branch) = opened.heuristic {
            // The same that its client is told: a heuristic end goes before what was promised.
            let name = opened.plan.plan.branch(branch).map_or("", |branch| &branch.name);
            answer = heuristic_answer(id, name).encode();
        }
        let detail = detail::encode(&opened.timeline, &opened.exchanges);
        self.bytes += answer.len() + detail.len();
        self.ended.push(Past {
            id,
            token: opened.token,
            plan: opened.plan,
            verdict,
            flags: Flags::NONE
                .with(Flag::Heuristic, opened.heuristic.is_some())
                .with(Flag::Resolved, opened.resolved)
                .bits(),
            cause: cause.map(numbers::of_cause),
            began_unix_ms: opened.began_unix_ms,
            ended_unix_ms: batch.unix_ms,
            key: opened.key.map(|key| (key, key_until(opened.began_unix_ms))),
            answer,
            detail,
        });
    }

    /// What has ended and was not taken yet, and how many bytes that is.
    pub(crate) fn ended(&self) -> (&[Past], usize) {
        (&self.ended, self.bytes)
    }

    /// It was taken.
    pub(crate) fn taken(&mut self) {
        self.ended.clear();
        self.bytes = 0;
    }

    /// The first segment in which something open began.
    pub(crate) fn oldest_open(&self) -> Option<SegmentNumber> {
        self.segments.first_key_value().map(|(segment, _)| *segment)
    }
}

impl Opened {
    /// A record between the beginning and the end.
    fn note(&mut self, unix_ms: u64, record: &Record, sets: &[BranchSet]) {
        let of = |kind| Moment::of(kind, Some(unix_ms));
        let moment = match record {
            Record::Wave(wave) => {
                self.note_calls(&wave.calls, 1, sets);
                of(MomentKind::Wave)
            }
            Record::Concluded(concluded) => self.conclude(unix_ms, concluded),
            Record::Told { branch } => {
                Moment { branch: Some(*branch), outcome: Some(Outcome::Done), ..of(MomentKind::Told) }
            }
            Record::Heuristic { branch } => {
                self.heuristic = Some(*branch);
                Moment { branch: Some(*branch), outcome: Some(Outcome::Refused), ..of(MomentKind::Heuristic) }
            }
            Record::Answered { branch, operation, outcome } => Moment {
                branch: Some(*branch),
                operation: Some(*operation),
                outcome: Some(*outcome),
                ..of(MomentKind::Answered)
            },
            Record::Acted { branch, outcome, .. } => Moment {
                branch: Some(*branch),
                operation: Some(Operation::Act),
                outcome: Some(*outcome),
                ..of(MomentKind::Answered)
            },
            Record::Resolved(resolved) => self.resolve(unix_ms, resolved),
            // Never written, or seen to already.
            Record::Begun(_) | Record::Sent { .. } | Record::Ended | Record::Forgotten => return,
        };
        self.timeline.push(moment);
    }

    fn conclude(&mut self, unix_ms: u64, concluded: &Concluded) -> Moment {
        let Concluded { verdict, cause, answer, .. } = concluded;
        self.concluded = Some((*verdict, *cause, answer.clone()));
        Moment { verdict: Some(*verdict), cause: *cause, ..Moment::of(MomentKind::Verdict, Some(unix_ms)) }
    }

    fn resolve(&mut self, unix_ms: u64, resolved: &Resolved) -> Moment {
        self.resolved = true;
        let word = Word::decode(resolved.word.clone()).ok().map(Arc::new);
        let (branch, resolution) = (resolved.what.branch(), Some(resolved.what));
        Moment { branch, resolution, word, ..Moment::of(MomentKind::Resolved, Some(unix_ms)) }
    }

    /// The calls of the next waves.
    fn note_calls(&mut self, stored: &Bytes, waves: usize, sets: &[BranchSet]) {
        let Ok(calls) = Calls::decode(stored.clone()) else { return };
        let branches = sets.iter().skip(self.waves).take(waves).flat_map(|set| set.iter());
        for (branch, call) in branches.zip(&calls.branches) {
            if let Some(exchange) = self.exchanges.get_mut(branch.at()) {
                exchange.asked = Some(asked(call));
            }
        }
        self.waves += waves;
    }
}

/// The call, with a copy of what is kept of its body.
fn asked(call: &RenderedCall) -> Asked {
    let kept = Bytes::copy_from_slice(&call.body[..call.body.len().min(Body::LIMIT)]);
    let body = Body { bytes: kept, size: call.body.len() };
    Asked { path: call.path.clone(), headers: call.headers.to_vec(), body }
}
