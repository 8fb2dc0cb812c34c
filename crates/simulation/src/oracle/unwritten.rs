//! Transactions of which nothing need be written: everybody who has prepared asks, and whoever is unknown was rolled back.

use super::{Oracle, Stand, Story};
use crate::participant::{Mark, Participant};
use crate::scenario::Errand;
use std::sync::Arc;
use unanimo_contract::{ClientAnswer, Id, Inquiry, Mode, Plan, Token, Verdict};
use unanimo_coordinator::Entropy;
use unanimo_journal::Watermark;
use unanimo_protocol::{Begun, Time};

/// An id carries so many of the random bits.
const RANDOM: u32 = (1 << 24) - 1;

/// What a client submitted whose beginning need not be written.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    plan: Arc<Plan>,
    token: Token,
}

/// Whether all participants of a plan ask, so that its beginnings need not be written.
fn everybody_asks(plan: &Plan) -> bool {
    plan.mode == Mode::TwoPhase.as_str() && plan.branches.iter().all(|branch| branch.asks)
}

impl Story {
    /// Whether it is known to the process, and to no disk.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.begun == Some(Stand::Unwritten)
    }

    /// Whether it is known, and was written.
    pub(crate) fn is_written(&self) -> bool {
        self.begun.is_some() && !self.is_unwritten()
    }

    /// Whether a crash may have forgotten it: nobody was promised anything that it would contradict.
    pub(super) fn may_be_presumed(&self) -> bool {
        let lost_commit = self.seen == Some(Verdict::Commit) && !self.only_read;
        everybody_asks(&self.plan) && self.key.is_none() && !self.promised && !lost_commit
    }

    /// Whether a participant still holds what it prepared.
    pub(super) fn holds_somewhere(&self, id: Id, participants: &[Participant]) -> bool {
        self.branches().any(|branch| self.mark(id, branch, participants) == Some(Mark::Held))
    }

    /// Why this verdict may not be told, if nothing of it is written.
    fn unfounded(&self, now: Time, id: Id, verdict: Verdict, participants: &[Participant]) -> Option<String> {
        let only_read = |branch: &_| self.mark(id, *branch, participants) == Some(Mark::ReadOnly);
        match verdict {
            Verdict::Commit => {
                let holds = self.branches().find(|branch| !only_read(branch));
                holds
                    .map(|branch| format!("branch {branch} did not only read, and its commit is not written"))
            }
            Verdict::Rollback => {
                let refused = self.branches().any(|branch| !self.never_refused(id, branch, participants));
                let late = now.since(self.began_at) >= self.deadline();
                let unfounded = !refused && !late;
                unfounded
                    .then(|| "it was rolled back, nobody refused, and its deadline had not come".to_owned())
            }
        }
    }
}

impl Oracle {
    /// A client submits. What begins with that carries the same random bits in its id.
    pub(crate) fn submitted(&mut self, errand: &Errand, plan: &Arc<Plan>, entropy: Entropy) {
        if errand.key.is_none() && everybody_asks(plan) {
            let submitted = Submitted { plan: plan.clone(), token: Token(entropy.token) };
            self.submissions.insert(entropy.random & RANDOM, submitted);
        }
    }

    /// A call leaves for a transaction: where nobody has seen its beginning, that is not written, and need not be.
    pub(super) fn begins_unwritten(&mut self, now: Time, id: Id) {
        let submitted = self.submissions.get(&(id.bits() as u32 & RANDOM)).cloned();
        let Some(Submitted { plan, token }) = submitted.filter(|_| !self.stories.contains_key(&id)) else {
            return;
        };
        self.saw("began unwritten");
        let number = self.stories.len() as u32 + 1;
        let mut story = Story::new(number, self.life, now, plan, Stand::Unwritten);
        story.token = token;
        self.stories.insert(id, story);
    }

    /// The beginning of a transaction is written whose calls have left before. Says whether that is so.
    pub(super) fn begins_late(&mut self, id: Id, begun: &Begun, stand: Stand) -> bool {
        let Some(story) = self.stories.get_mut(&id).filter(|story| story.is_unwritten()) else {
            return false;
        };
        story.begun = Some(stand);
        story.wave = (begun.waves > 1).then_some(stand);
        let another = begun.token != story.token || begun.key.is_some();
        let number = story.number;
        self.saw("written late");
        if another {
            self.blame(format!("T{number}: the beginning that was written late is another one's"));
        }
        true
    }

    /// Somebody is about to hear of a verdict; where nothing of it is written, nothing need be.
    pub(super) fn concludes_unwritten(
        &mut self,
        now: Time,
        id: Id,
        verdict: Verdict,
        answer: Option<&ClientAnswer>,
        participants: &[Participant],
    ) {
        let Some(story) = self.stories.get_mut(&id).filter(|story| story.is_unwritten()) else { return };
        let unfounded = story.unfounded(now, id, verdict, participants);
        story.conclude_unwritten(verdict, answer);
        let wrong = unfounded.or_else(|| match verdict {
            Verdict::Commit => story.false_receipt(id, participants),
            Verdict::Rollback => None,
        });
        let number = story.number;
        self.saw(if verdict == Verdict::Commit { "only read, unwritten" } else { "rolled back, unwritten" });
        if let Some(wrong) = wrong {
            self.blame(format!("T{number}: {wrong}"));
        }
    }

    /// A participant asks, which holds what it has prepared.
    pub(crate) fn answers_inquiry(
        &mut self,
        now: Time,
        id: Id,
        inquiry: Inquiry,
        durable: Watermark,
        participants: &[Participant],
    ) {
        let (sight, verdict) = match inquiry {
            Inquiry::Known(Verdict::Commit) => ("asked: commit", Some(Verdict::Commit)),
            Inquiry::Known(Verdict::Rollback) => ("asked: rollback", Some(Verdict::Rollback)),
            Inquiry::Pending | Inquiry::NotMine => ("asked: pending", None),
        };
        self.saw(sight);
        if verdict == Some(Verdict::Rollback) {
            self.concludes_unwritten(now, id, Verdict::Rollback, None, participants);
        }
        let Some(story) = self.stories.get(&id) else { return };
        let written = story.concluded.as_ref().map(|written| (written.verdict, written.stand));
        let wrong = match (verdict, written) {
            (Some(Verdict::Commit), Some((Verdict::Commit, stand))) if stand.is_durable(durable) => None,
            (Some(Verdict::Commit), _) => Some("a participant heard a commit before it was durable (S4)"),
            (Some(Verdict::Rollback), Some((Verdict::Rollback, _))) => None,
            (Some(Verdict::Rollback), _) if story.begun.is_none() => None,
            (Some(Verdict::Rollback), _) => {
                Some("it was presumed to be rolled back while its votes are collected")
            }
            (None, _) => None,
        };
        let number = story.number;
        if let Some(wrong) = wrong {
            self.blame(format!("T{number}: {wrong}"));
        }
        self.inquired(id, inquiry);
    }
}
