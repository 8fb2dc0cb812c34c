//! How transactions may end.

use super::{Oracle, Story};
use crate::participant::{Mark, Participant};
use unanimo_contract::{Id, Verdict};

impl Oracle {
    /// The gateway has nothing more to do for a transaction.
    pub(crate) fn ends(&mut self, id: Id, participants: &[Participant]) {
        let Some(story) = self.stories.get_mut(&id) else {
            return self.blame(format!("{id} ended, and never began"));
        };
        story.ended = true;
        story.end = story.verdict();
        let story = &*story;
        let untold = |mark| matches!(mark, Some(Mark::Held | Mark::Broken));
        let untold = story.branches().find(|branch| {
            untold(story.mark(id, *branch, participants)) || story.is_undone_saga(id, *branch, participants)
        });
        let number = story.number;
        if let Some(branch) = untold {
            self.blame(format!("T{number} ended, and branch {branch} has not done what it was told"));
        }
    }

    /// How many transactions stay open until a person resolves them: a branch broke its word, and all others have done
    /// theirs.
    pub(crate) fn left_to_people(&self, participants: &[Participant]) -> usize {
        let stories =
            self.stories.iter().filter(|(_, story)| story.begun.is_some() && story.heuristic.is_some());
        let told = |id, story: &Story, branch| {
            matches!(
                story.mark(id, branch, participants),
                Some(Mark::InForce | Mark::ReadOnly | Mark::Broken)
            )
        };
        stories.filter(|(id, story)| story.branches().all(|branch| told(**id, story, branch))).count()
    }

    /// Whether every transaction has ended, or is left to people.
    pub(crate) fn all_ended(&self) -> bool {
        self.stories.values().all(|story| !story.is_written() || story.ended || story.heuristic.is_some())
    }

    /// Which transactions have not ended, for people.
    pub(crate) fn unended(&self) -> String {
        let open = self.stories.values().filter(|story| story.is_written() && !story.ended);
        open.map(|story| format!("T{} ", story.number)).collect()
    }

    /// Everything is over: what participants did must be what the verdicts said.
    pub(crate) fn settle_accounts(&mut self, participants: &[Participant]) {
        let mut wrong = None;
        for (id, story) in &self.stories {
            let verdict = story.verdict().or(story.end).or(story.seen);
            for branch in story.branches() {
                let mark = story.mark(*id, branch, participants);
                let deeds = story.deeds(*id, branch, participants);
                let right = match verdict {
                    _ if story.is_saga() => story.ends_right(verdict, *id, branch, participants),
                    Some(Verdict::Commit) => match mark {
                        Some(Mark::InForce) => (deeds.done, deeds.in_force, deeds.undone) == (1, 1, 0),
                        Some(Mark::ReadOnly) => deeds.done == 0,
                        Some(Mark::Broken) => story.heuristic.is_some(),
                        _ => false,
                    },
                    Some(Verdict::Rollback) => {
                        mark != Some(Mark::Held) && deeds.in_force == 0 && deeds.done == deeds.undone
                    }
                    // It was lost before anybody heard of it.
                    None => mark.is_none(),
                };
                if !right {
                    wrong = wrong.or(Some(format!(
                        "T{} ended as {verdict:?}, and branch {branch} as {mark:?}: {deeds:?}",
                        story.number
                    )));
                }
            }
        }
        let shares = participants.iter().flat_map(|participant| participant.marks.keys());
        let unknown = shares.map(|(id, _)| id).find(|id| !self.stories.contains_key(id));
        if let Some(id) = unknown {
            wrong = wrong.or(Some(format!("a participant knows {id}, and the gateway does not")));
        }
        if let Some(wrong) = wrong {
            self.blame(wrong);
        }
    }
}
