//! What must come back after a crash.

use super::{Oracle, Stand, Story};
use crate::secrets;
use unanimo_contract::{Id, Inquiry, Verdict, View};
use unanimo_protocol::{Record, Settled};

impl Oracle {
    /// A new process begins: it knows what it finds in the journal, and nothing else.
    pub(crate) fn life_begins(&mut self, life: u32) {
        self.life = life;
        for story in self.stories.values_mut() {
            story.begun = None;
            story.concluded = None;
            story.wave = None;
            story.saga.life_begins();
            story.ended = false;
            story.heuristic = None;
            story.heuristic_told = false;
        }
    }

    /// The journal gives a record back.
    pub(crate) fn replayed(&mut self, id: Id, record: &Settled) {
        let Some(story) = self.stories.get_mut(&id) else {
            return self.blame(format!("the journal holds {id}, which nobody began"));
        };
        match &*secrets::clear(self.keyring.as_deref(), id, record.record()) {
            Record::Begun(begun) => {
                story.begun = Some(Stand::Replayed);
                story.wave = (begun.waves > 1).then_some(Stand::Replayed);
                story.writes(&begun.calls, Stand::Replayed);
            }
            Record::Concluded(concluded) => {
                story.conclude(concluded, Stand::Replayed);
                story.writes(&concluded.calls, Stand::Replayed);
            }
            Record::Ended => story.ended = true,
            Record::Heuristic { branch } => story.heuristic = Some(*branch),
            Record::Wave(wave) => {
                story.wave = Some(Stand::Replayed);
                story.writes(&wave.calls, Stand::Replayed);
            }
            Record::Sent { .. }
            | Record::Answered { .. }
            | Record::Acted { .. }
            | Record::Told { .. }
            | Record::Resolved(_)
            | Record::Forgotten => {}
        }
    }

    /// The journal has given everything back.
    pub(crate) fn replay_is_over(&mut self) {
        let mut wrong = None;
        for story in self.stories.values_mut() {
            story.comes_from_history();
            let verdict = story.verdict();
            let told = story.told.as_ref().filter(|_| story.key.is_some());
            let trouble = match (story.begun, story.seen) {
                (None, _) if story.may_be_presumed() => {
                    // Nobody will ever hear anything else.
                    story.end = Some(story.seen.unwrap_or(Verdict::Rollback));
                    *self.sights.entry("forgotten, and presumed").or_default() += u64::from(story.left);
                    None
                }
                (None, Some(seen)) => Some(format!("was forgotten, and somebody has heard {seen} (S4)")),
                (None, None) if story.left => Some("was forgotten, and calls have left for it".to_owned()),
                (None, None) if story.promised => {
                    Some("was forgotten, and a client was told of it".to_owned())
                }
                (None, None) => None,
                (Some(_), Some(Verdict::Commit)) if verdict != Some(Verdict::Commit) => {
                    Some("lost its commit, and somebody has heard of it (S4)".to_owned())
                }
                (Some(_), Some(Verdict::Rollback)) if verdict == Some(Verdict::Commit) => {
                    Some("came back as committed, and somebody has heard a rollback (S3)".to_owned())
                }
                (Some(_), Some(Verdict::Rollback)) if verdict.is_none() && story.is_saga() => {
                    Some("lost its rollback, and somebody has heard of it".to_owned())
                }
                (Some(_), _) if story.heuristic_shown && story.heuristic.is_none() => {
                    Some("lost its heuristic end".to_owned())
                }
                (Some(_), _) => {
                    let kept = story.concluded.as_ref().and_then(|concluded| concluded.answer.as_ref());
                    let lost = told.is_some() && kept != told;
                    lost.then(|| "lost the answer that its key has got".to_owned())
                }
            };
            let number = story.number;
            wrong = wrong.or(trouble.map(|trouble| format!("T{number} {trouble}")));
        }
        let stories = &self.stories;
        self.keys.retain(|_, id| stories.get(id).is_some_and(|story| story.begun.is_some()));
        if let Some(wrong) = wrong {
            self.blame(wrong);
        }
    }

    /// The transactions of which participants may ask: calls have left for them.
    pub(crate) fn asked_about(&self) -> Vec<Id> {
        // What history has taken is asked of it, and nobody ever asks who only read.
        let holds = |story: &Story| story.left && !story.only_read && story.handed.is_none();
        let stories = self.stories.iter().filter(|(_, story)| holds(story));
        stories.map(|(id, _)| *id).collect()
    }

    /// What a participant hears that asks for a verdict.
    pub(crate) fn inquired(&mut self, id: Id, inquiry: Inquiry) {
        match inquiry {
            Inquiry::Known(verdict) => self.see(id, verdict, "an inquiry"),
            Inquiry::Pending => {}
            Inquiry::NotMine => self.blame(format!("{id} is said to be another node's")),
        }
    }

    /// The transactions that the gateway must know now.
    pub(crate) fn known(&self) -> impl Iterator<Item = Id> {
        self.stories
            .iter()
            .filter(|(_, story)| story.begun.is_some() && story.handed.is_none())
            .map(|(id, _)| *id)
    }

    /// What the gateway's owner knows of a transaction that came back.
    pub(crate) fn viewed(&mut self, id: Id, view: Option<View>) {
        let Some(story) = self.stories.get(&id) else { return };
        let (number, verdict) = (story.number, story.verdict());
        match view {
            None => {
                self.blame(format!("T{number} came back from the journal, and its owner does not know it"))
            }
            Some(view) if verdict.is_some() && view.verdict != verdict => {
                self.blame(format!(
                    "T{number} came back with {verdict:?}, and its owner says {:?}",
                    view.verdict
                ));
            }
            Some(_) => {}
        }
    }
}
