//! What history has taken over: it must be what was written, once, and nothing may go that it has not got.

use super::{Oracle, Stand, Story};
use crate::world::Taken;
use unanimo_contract::Id;

impl Oracle {
    /// History has taken the end of a transaction.
    pub(crate) fn handed_over(&mut self, id: Id, taken: &Taken) {
        self.saw("handed over");
        let Some(story) = self.stories.get_mut(&id) else {
            return self.blame(format!("history has taken {id}, which never began"));
        };
        let number = story.number;
        let again = std::mem::replace(&mut story.handed, story.concluded.clone()).is_some();
        let written = story.concluded.as_ref();
        let same = written.is_some_and(|written| {
            written.verdict == taken.verdict && written.answer.as_ref() == Some(&taken.answer)
        });
        let wrong = match () {
            () if again => Some("history has taken it twice"),
            () if !story.ended => Some("history has taken it, and it has not ended"),
            () if !same || story.key != taken.key => {
                Some("history has taken something else than was written")
            }
            () => None,
        };
        if let Some(wrong) = wrong {
            self.blame(format!("T{number}: {wrong}"));
        }
    }
}

impl Story {
    /// The journal does not hold it any more, and history does.
    pub(super) fn comes_from_history(&mut self) {
        if let Some(handed) = self.handed.clone().filter(|_| self.begun.is_none()) {
            (self.begun, self.ended) = (Some(Stand::Replayed), true);
            self.concluded = Some(super::story::Written { stand: Stand::Replayed, ..handed });
        }
    }
}
