//! What the oracle knows of one transaction.

use super::saga::Saga;
use crate::participant::{Deeds, Mark, Participant, receipt_text};
use crate::scenario::RECEIPT_OF_THE_FIRST;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::outcome::CONFLICTS_THAT_REFUSE;
use unanimo_contract::{ClientAnswer, Id, Key, Operation, ParticipantCall, Plan, Token, Verdict};
use unanimo_journal::{Position, Watermark};
use unanimo_protocol::{BranchIndex, Concluded, Time};

/// How far a record has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It is in this batch, of this process.
    Appended(Position),
    /// It came back after a crash.
    Replayed,
    /// It is in the process's memory alone.
    Unwritten,
}

impl Stand {
    pub(crate) fn is_durable(self, durable: Watermark) -> bool {
        match self {
            Stand::Appended(position) => durable.covers(position),
            Stand::Replayed => true,
            Stand::Unwritten => false,
        }
    }
}

/// A verdict as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) verdict: Verdict,
    pub(crate) stand: Stand,
    pub(crate) answer: Option<ClientAnswer>,
}

/// Names and values, as they are sent.
type Headers = Vec<(String, String)>;

/// One transaction.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) number: u32,
    /// The process in which it began.
    pub(crate) life: u32,
    pub(crate) began_at: Time,
    pub(crate) token: Token,
    pub(crate) key: Option<Key>,
    pub(crate) plan: Arc<Plan>,
    /// `None` when the gateway does not know it any more.
    pub(crate) begun: Option<Stand>,
    pub(crate) concluded: Option<Written>,
    /// The calls that name answers, once they are written.
    pub(crate) wave: Option<Stand>,
    /// Its end, as history has taken it.
    pub(crate) handed: Option<Written>,
    /// What is known of it beside that, where it is a saga.
    pub(crate) saga: Saga,
    pub(crate) ended: bool,
    /// The verdict that it had when it ended, in any process.
    pub(crate) end: Option<Verdict>,
    /// The verdict that somebody outside has learned.
    pub(crate) seen: Option<Verdict>,
    /// What a client was told at last, where it has a key.
    pub(crate) told: Option<ClientAnswer>,
    /// The branch that broke its word, once the gateway has applied that.
    pub(crate) heuristic: Option<BranchIndex>,
    /// Whether somebody outside has learned of it.
    pub(crate) heuristic_shown: bool,
    /// Whether its owner has told the operators: whatever it says from then on it has decided after it knew.
    pub(crate) heuristic_told: bool,
    /// Whether a call has left.
    pub(crate) left: bool,
    /// Whether a client was told that it is there.
    pub(crate) promised: bool,
    /// Whether its commit was told and not written, since every branch only read.
    pub(crate) only_read: bool,
    /// By branch, and whether it is a compensation that is a call of its own.
    bytes: BTreeMap<(BranchIndex, bool), (Headers, Bytes)>,
    paths: BTreeMap<(BranchIndex, Operation), String>,
    attempts: BTreeMap<(BranchIndex, Operation), (u32, u32)>,
}

impl Story {
    pub(crate) fn new(number: u32, life: u32, now: Time, plan: Arc<Plan>, stand: Stand) -> Story {
        Story {
            number,
            life,
            began_at: now,
            token: Token(0),
            key: None,
            plan,
            begun: Some(stand),
            concluded: None,
            wave: None,
            handed: None,
            saga: Saga::default(),
            ended: false,
            end: None,
            seen: None,
            told: None,
            heuristic: None,
            heuristic_shown: false,
            heuristic_told: false,
            left: false,
            promised: false,
            only_read: false,
            bytes: BTreeMap::new(),
            paths: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }

    pub(crate) fn conclude(&mut self, concluded: &Concluded, stand: Stand) {
        let answer = ClientAnswer::decode(concluded.answer.clone()).ok();
        self.concluded = Some(Written { verdict: concluded.verdict, stand, answer });
    }

    /// A verdict of which nothing is written: the answer comes once, or never.
    pub(super) fn conclude_unwritten(&mut self, verdict: Verdict, answer: Option<&ClientAnswer>) {
        self.only_read |= verdict == Verdict::Commit;
        let none = Written { verdict, stand: Stand::Unwritten, answer: None };
        let written = self.concluded.get_or_insert(none);
        written.answer = written.answer.take().or_else(|| answer.cloned());
    }

    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.concluded.as_ref().map(|concluded| concluded.verdict)
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.plan.deadline_ms)
    }

    pub(crate) fn branches(&self) -> impl Iterator<Item = BranchIndex> + use<> {
        (0..self.plan.branches.len() as u8).map(BranchIndex)
    }

    pub(crate) fn participant<'a>(
        &self,
        branch: BranchIndex,
        participants: &'a [Participant],
    ) -> Option<&'a Participant> {
        let service = &self.plan.branch(branch)?.service;
        participants.iter().find(|participant| participant.name == *service)
    }

    pub(crate) fn mark(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> Option<Mark> {
        self.participant(branch, participants)?.marks.get(&(id, branch)).copied()
    }

    pub(crate) fn deeds(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> Deeds {
        let participant = self.participant(branch, participants);
        participant.map_or(Deeds::default(), |participant| participant.deeds_of((id, branch)))
    }

    pub(crate) fn has_voted(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> bool {
        let participant = self.participant(branch, participants);
        participant.is_some_and(|participant| participant.has_voted((id, branch)))
    }

    /// Whether a branch neither said no nor went on saying that it still runs.
    pub(crate) fn never_refused(&self, id: Id, branch: BranchIndex, participants: &[Participant]) -> bool {
        let deeds = self.deeds(id, branch, participants);
        deeds.refusals == 0 && deeds.conflicts < CONFLICTS_THAT_REFUSE
    }

    /// A receipt in a committed answer that its participant did not give.
    pub(crate) fn false_receipt(&self, id: Id, participants: &[Participant]) -> Option<String> {
        self.plan.respond.as_ref()?;
        let body: &Bytes = &self.concluded.as_ref()?.answer.as_ref()?.body;
        let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        self.branches().find_map(|branch| {
            let name = &self.plan.branch(branch)?.name;
            let expected = receipt_text(&self.participant(branch, participants)?.name, id, branch);
            let found = body.get(name)?;
            (found != &expected).then(|| format!("the receipt of branch {branch} is {found}, not {expected}"))
        })
    }

    /// Whether a first operation leaves before those that it waits for have voted.
    pub(crate) fn came_before_its_turn(
        &self,
        id: Id,
        branch: BranchIndex,
        participants: &[Participant],
    ) -> Option<String> {
        let after = self.plan.branch(branch)?.after.iter().map(|before| BranchIndex(*before));
        let named = self.names_the_first(branch).then_some(BranchIndex(0));
        let mut waits = after.chain(named).filter(|before| !self.has_voted(id, *before, participants));
        waits.next().map(|before| format!("it left before branch {before} had voted"))
    }

    /// Whether a branch's call names the first branch's answer.
    pub(crate) fn names_the_first(&self, branch: BranchIndex) -> bool {
        let body = self.plan.branch(branch).and_then(|branch| branch.body.as_ref());
        body.is_some_and(|body| body["receipt"] == RECEIPT_OF_THE_FIRST)
    }

    /// Whether a call goes to another service than the plan names with which the transaction began.
    pub(crate) fn goes_elsewhere(&self, call: &ParticipantCall) -> Option<String> {
        let named = self.plan.branch(call.branch).is_some_and(|branch| branch.service == *call.service);
        (!named).then(|| format!("{} is not the service of the plan with which it began", call.service))
    }

    /// Whether a call's bytes are not those of the branch's other calls.
    pub(crate) fn bytes_differ(&mut self, call: &ParticipantCall) -> Option<String> {
        let path = (call.branch, call.operation);
        let first = || (call.headers.to_vec(), call.body.clone());
        let own = self.compensates_by_own_call(call);
        let (headers, body) = self.bytes.entry((call.branch, own)).or_insert_with(first);
        let same = *headers == *call.headers
            && *body == call.body
            && self.paths.entry(path).or_insert_with(|| call.path.clone()) == &call.path;
        (!same).then(|| "the bytes of a call differ from an earlier attempt's".to_owned())
    }

    /// Whether an attempt is not the one after the last, or calls itself the first after a replay.
    pub(crate) fn attempt_is_out_of_order(&mut self, call: &ParticipantCall, life: u32) -> Option<String> {
        let last = self.attempts.insert((call.branch, call.operation), (life, call.attempt));
        let expected = match last {
            Some((before, attempt)) if before == life => attempt + 1,
            _ if life != self.life => 2,
            _ => 1,
        };
        if call.operation == Operation::Act {
            *self.saga.acts.entry(call.branch).or_default() += 1;
        }
        (call.attempt != expected).then(|| format!("attempt {expected} was to be expected"))
    }
}
