//! Knows what was promised to whom, and looks on.
//!
//! The oracle believes nobody: what participants did it takes from their deeds, what is durable from what comes back
//! after a crash. It stops the run at the first thing that must never happen.

mod ends;
mod handed;
mod promises;
mod reloads;
mod replays;
mod saga;
mod story;
mod unwritten;

pub(crate) use promises::Heard;
pub(crate) use story::{Stand, Story};

use crate::participant::{Mark, Participant, Share, Wrong};
use crate::scenario::Route;
use crate::secrets;
use std::collections::BTreeMap;
use std::sync::Arc;
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{Digest, Id, Operation, ParticipantCall, Verdict};
use unanimo_journal::Watermark;
use unanimo_protocol::{BranchIndex, Cause, Concluded, Durability, Record, Settled, Time};
use unwritten::Submitted;

/// Everything that is known of all transactions of a run.
#[derive(Debug)]
pub(crate) struct Oracle {
    stories: BTreeMap<Id, Story>,
    /// What clients submitted whose beginning need not be written, by the random bits of its id.
    submissions: BTreeMap<u32, Submitted>,
    /// Which transaction a key stands for now.
    keys: BTreeMap<Digest, Id>,
    /// Every route that ever was, in every form that it had.
    routes: Vec<Route>,
    /// The number of the gateway's process.
    life: u32,
    /// What opens the records of routes with secrets.
    keyring: Option<Arc<Keyring>>,
    wrong: Option<Wrong>,
    sights: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub(crate) fn new(routes: Vec<Route>) -> Oracle {
        let (stories, keys, sights) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let submissions = BTreeMap::new();
        let keyring = secrets::keyring();
        Oracle { stories, submissions, keys, routes, life: 0, keyring, wrong: None, sights }
    }

    /// What must never happen has happened. The first one counts.
    pub(crate) fn blame(&mut self, what: Wrong) {
        self.wrong.get_or_insert(what);
    }

    /// The first thing that must never happen, where it has.
    pub(crate) fn wrong(&self) -> Option<&Wrong> {
        self.wrong.as_ref()
    }

    /// Something happened that the simulation is there to bring about. Without it a run proves less than it seems.
    pub(crate) fn saw(&mut self, what: &'static str) {
        *self.sights.entry(what).or_default() += 1;
    }

    /// How often what was seen.
    pub(crate) fn sights(&self) -> &BTreeMap<&'static str, u64> {
        &self.sights
    }

    /// How many transactions have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.stories.len() as u64
    }

    /// A short name for a transaction, for people.
    pub(crate) fn name(&self, id: Id) -> String {
        self.stories.get(&id).map_or_else(|| id.to_string(), |story| format!("T{}", story.number))
    }

    /// The journal has taken records of one decision.
    pub(crate) fn appended(
        &mut self,
        now: Time,
        id: Id,
        records: &[Record],
        stand: Stand,
        participants: &[Participant],
    ) {
        let keyring = self.keyring.clone();
        for record in records {
            match &*secrets::clear(keyring.as_deref(), id, record) {
                Record::Begun(begun) => {
                    let route = self.routes.iter().find(|route| route.digest == begun.plan).cloned();
                    match route {
                        Some(route) => self.begins(now, id, begun, &route, stand),
                        None => self.blame(format!("{id} began under a plan that nobody submitted")),
                    }
                }
                Record::Concluded(concluded) => self.concludes(now, id, concluded, stand, participants),
                Record::Ended => self.ends(id, participants),
                Record::Heuristic { branch } => {
                    let broken =
                        self.stories.get(&id).and_then(|story| story.mark(id, *branch, participants));
                    if broken != Some(Mark::Broken) {
                        let name = self.name(id);
                        self.blame(format!("{name}: branch {branch} has not ended against the verdict"));
                    }
                }
                Record::Wave(wave) => {
                    *self.sights.entry("second wave").or_default() += 1;
                    if let Some(story) = self.stories.get_mut(&id) {
                        story.wave = Some(stand);
                        let volatile = wave.durability == Durability::Volatile;
                        story.writes(&wave.calls, if volatile { Stand::Unwritten } else { stand });
                    }
                }
                Record::Sent { .. }
                | Record::Answered { .. }
                | Record::Acted { .. }
                | Record::Told { .. } => {}
                Record::Resolved(_) => {
                    self.blame(format!("{id} was ended by hand, and nobody is there to do so"))
                }
                Record::Forgotten => self.blame(format!("{id} is forgotten, and stands in the journal")),
            }
        }
    }

    /// The gateway's owner is about to apply records for which it had to wait.
    pub(crate) fn applied(&mut self, id: Id, records: &[Settled]) {
        let Some(story) = self.stories.get_mut(&id) else { return };
        for record in records {
            if let Record::Heuristic { branch } = record.record() {
                story.heuristic = Some(*branch);
                *self.sights.entry("heuristic").or_default() += 1;
            }
        }
    }

    /// The operators are told of a heuristic end.
    pub(crate) fn heuristic_told(&mut self, id: Id) {
        if let Some(story) = self.stories.get_mut(&id) {
            story.heuristic_told = true;
        }
    }

    fn begins(&mut self, now: Time, id: Id, begun: &unanimo_protocol::Begun, route: &Route, stand: Stand) {
        if let Some(key) = &begun.key {
            let before = self.keys.insert(key.scope, id).and_then(|before| self.stories.get(&before));
            if let Some(before) = before {
                let number = before.number;
                self.blame(format!("{id} began under a key that stands for T{number}"));
            }
        }
        if self.begins_late(id, begun, stand) {
            return;
        }
        let number = self.stories.len() as u32 + 1;
        let mut story = Story::new(number, self.life, now, route.plan.clone(), stand);
        (story.token, story.key) = (begun.token, begun.key);
        story.writes(&begun.calls, stand);
        if self.stories.insert(id, story).is_some() {
            self.blame(format!("{id} was minted twice"));
        }
    }

    fn concludes(
        &mut self,
        now: Time,
        id: Id,
        concluded: &Concluded,
        stand: Stand,
        participants: &[Participant],
    ) {
        let life = self.life;
        let Some(story) = self.stories.get_mut(&id) else {
            return self.blame(format!("{id} got a verdict, and never began"));
        };
        let name = format!("T{}", story.number);
        let (seen, headless) = (story.seen, story.is_unwritten());
        *self.sights.entry(end_of(concluded)).or_default() += 1;
        story.conclude(concluded, stand);
        story.writes(&concluded.calls, stand);
        let story = &*story;
        let unjust = match (concluded.verdict, concluded.cause) {
            (Verdict::Commit, Some(_)) => Some("it was committed for a cause of rollback".to_owned()),
            (Verdict::Commit, None) => {
                let without = story.voters().find(|b| !story.has_voted(id, *b, participants));
                let unanimous = without.map(|b| format!("it was committed without the vote of branch {b}"));
                unanimous.or_else(|| story.false_receipt(id, participants))
            }
            (Verdict::Rollback, None) => Some("it was rolled back without a cause".to_owned()),
            (Verdict::Rollback, Some(Cause::Refused(branch))) => story
                .never_refused(id, branch, participants)
                .then(|| format!("branch {branch} never refused")),
            (Verdict::Rollback, Some(Cause::Deadline)) => {
                let early = now.since(story.began_at) < story.deadline();
                early.then(|| "its deadline had not come".to_owned())
            }
            (Verdict::Rollback, Some(Cause::Unusable(branch))) => {
                Some(format!("branch {branch} is blamed for its answer, and no call names it"))
            }
            (Verdict::Rollback, Some(Cause::Unanswered(branch))) => story.gave_up_too_soon(branch),
            (Verdict::Rollback, Some(Cause::Unwritable)) => {
                Some("its records fit into every segment here".to_owned())
            }
            (Verdict::Rollback, Some(Cause::ByHand)) => Some("nobody is there to choose by hand".to_owned()),
            (Verdict::Rollback, Some(Cause::Interrupted)) => {
                (story.life == life).then(|| "nothing has interrupted it".to_owned())
            }
        };
        let unjust = unjust.or_else(|| story.concluded_against_its_pivot(id, concluded, participants));
        if headless {
            self.blame(format!("{name}: its verdict is written, and its beginning is not"));
        }
        if seen.is_some_and(|seen| seen != concluded.verdict) {
            self.blame(format!("{name}: the verdict changed to {} (S3)", concluded.verdict));
        }
        if let Some(unjust) = unjust {
            self.blame(format!("{name}: {unjust}"));
        }
    }

    /// A call is about to leave the gateway.
    pub(crate) fn call_leaves(
        &mut self,
        now: Time,
        call: &ParticipantCall,
        durable: Watermark,
        participants: &[Participant],
    ) {
        let (id, branch, operation) = (call.transaction, call.branch, call.operation);
        let life = self.life;
        self.begins_unwritten(now, id);
        if operation.tells() == Some(Verdict::Rollback) {
            self.concludes_unwritten(now, id, Verdict::Rollback, None, participants);
        }
        let Some(story) = self.stories.get_mut(&id) else {
            return self.blame(format!("a call left for {id}, which never began"));
        };
        let mut wrong = story.goes_elsewhere(call).or_else(|| story.bytes_differ(call));
        wrong = wrong.or_else(|| story.attempt_is_out_of_order(call, life));
        story.left = true;
        let story = &*story;
        if story.is_saga() {
            let wrong = wrong.or_else(|| story.step_is_wrong(id, call, life, durable, participants));
            return self.step_leaves(id, call, wrong);
        }
        let unwritten = story.is_unwritten() && operation.tells() != Some(Verdict::Commit);
        let stands = |stand: Option<Stand>| unwritten || stand.is_some_and(|stand| stand.is_durable(durable));
        if !stands(story.begun) {
            wrong = wrong.or(Some("a call left before the beginning was durable".to_owned()));
        }
        if story.names_the_first(branch) && !stands(story.wave) {
            wrong = wrong.or(Some("a call left before its wave was durable".to_owned()));
        }
        let verdict = story.concluded.as_ref().map(|concluded| (concluded.verdict, concluded.stand));
        let unfounded = match (operation.tells(), verdict) {
            (None, _) if story.life != life => Some("a first operation left after a replay".to_owned()),
            (None, Some((_, stand))) if unwritten || stand.is_durable(durable) => {
                Some("it was asked for a vote after the verdict".to_owned())
            }
            (None, _) => story.came_before_its_turn(id, branch, participants),
            (Some(Verdict::Commit), Some((Verdict::Commit, stand))) if stand.is_durable(durable) => None,
            (Some(Verdict::Commit), _) => Some("a commit left before its verdict was durable".to_owned()),
            (Some(Verdict::Rollback), Some((Verdict::Rollback, _))) => None,
            (Some(Verdict::Rollback), _) => Some("a rollback left without that verdict".to_owned()),
        };
        let number = story.number;
        if let Some(wrong) = wrong.or(unfounded) {
            self.blame(format!(
                "T{number}: {wrong} (branch {branch}, {operation}, attempt {})",
                call.attempt
            ));
        }
        if let Some(verdict) = operation.tells() {
            self.see(id, verdict, "a call");
        }
    }

    /// A participant has finished some work.
    pub(crate) fn worked(&mut self, share: Share, operation: Operation, participants: &[Participant]) {
        let (id, branch) = share;
        let Some(story) = self.stories.get(&id) else {
            return self.blame(format!("a participant worked for {id}, which never began"));
        };
        let marks = |other: BranchIndex| story.mark(id, other, participants);
        let wrong =
            if story.is_saga() { story.work_is_wrong(id, branch, operation, participants) } else { None };
        let wrong = wrong.or_else(|| match marks(branch) {
            Some(Mark::InForce) => story
                .branches()
                .find(|other| !story.has_voted(id, *other, participants))
                .map(|other| format!("branch {branch} was committed, and branch {other} never will be")),
            Some(Mark::Undone) => story
                .branches()
                .find(|other| marks(*other) == Some(Mark::InForce))
                .map(|other| format!("branch {branch} was rolled back, and branch {other} committed")),
            _ => None,
        });
        let again = story.participant(branch, participants).is_some_and(|participant| {
            let deeds = participant.deeds_of(share);
            deeds.done > 1 || deeds.in_force > 1 || deeds.undone > 1
        });
        let number = story.number;
        if let Some(wrong) = wrong {
            self.blame(format!("T{number}: {wrong} (S1)"));
        }
        if again {
            self.blame(format!("T{number}: branch {branch} did the same twice at its {operation}"));
        }
    }

    /// Somebody outside has learned a verdict.
    fn see(&mut self, id: Id, verdict: Verdict, by: &str) {
        let Some(story) = self.stories.get_mut(&id) else { return };
        let seen = *story.seen.get_or_insert(verdict);
        let number = story.number;
        if seen != verdict {
            self.blame(format!("T{number}: {by} says {verdict}, others have heard {seen} (S3)"));
        }
    }
}

/// How a transaction ends, in a word.
fn end_of(concluded: &Concluded) -> &'static str {
    concluded.cause.map_or("committed", Cause::as_str)
}
