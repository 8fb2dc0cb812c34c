//! What clients are told, and whether it is true.

use super::{Oracle, Story};
use crate::participant::{Mark, Participant};
use crate::scenario::Errand;
use unanimo_contract::transactions::{STATUS_ADDRESS, parse_status_address};
use unanimo_contract::{ClientAnswer, Id, Problem, Reply, Status, Token, Verdict};
use unanimo_journal::Watermark;
use unanimo_protocol::Time;

/// What an answer means to the client that gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing is known yet: ask again.
    AskAgain,
    /// It stands, and its end will be found at its status address.
    LookAt(Id, Token),
    /// This is the end of it.
    Ended,
    /// Nothing was begun, and asking again would not help.
    TurnedAway,
}

impl Oracle {
    /// The gateway answers a client.
    pub(crate) fn replied(
        &mut self,
        now: Time,
        reply: &Reply,
        errand: &Errand,
        durable: Watermark,
        participants: &[Participant],
    ) -> Heard {
        let waits = problem_of(&reply.answer) == Some(Problem::InProgress);
        let Some(id) = reply.transaction.filter(|_| !waits) else {
            return self.turned_away(&reply.answer, errand);
        };
        let Some(story) = self.stories.get_mut(&id) else {
            self.blame(format!("a client was told of {id}, which never began"));
            return Heard::TurnedAway;
        };
        let number = story.number;
        let stands = story.begun.is_some_and(|stand| stand.is_durable(durable));
        let unwritten = story.is_unwritten() && reply.answer.status != 202;
        if !stands && !unwritten {
            self.blame(format!("T{number}: a client was told of it before its beginning was durable"));
            return Heard::TurnedAway;
        }
        story.promised |= !unwritten;
        if reply.answer.status == 202 {
            story.saga.left_alone = true;
            *self.sights.entry("accepted").or_default() += 1;
            return match address_of(&reply.answer) {
                Some((named, token)) if named == id && token == story.token => Heard::LookAt(id, token),
                _ => {
                    self.blame(format!("T{number}: its status address is not its own"));
                    Heard::TurnedAway
                }
            };
        }
        if story.key != errand.key {
            self.blame(format!("T{number}: a client got the answer of another key"));
        }
        if unwritten {
            let committed = reply.answer.status < 300;
            let verdict = if committed { Verdict::Commit } else { Verdict::Rollback };
            self.concludes_unwritten(now, id, verdict, Some(&reply.answer), participants);
        }
        let verdict = self.told(id, &reply.answer, durable);
        if reply.finished == Some(true) {
            self.says_finished(id, participants);
        }
        if let Some(verdict) = verdict {
            self.see(id, verdict, "an answer");
        }
        Heard::Ended
    }

    /// The gateway shows where a transaction stands.
    pub(crate) fn showed(
        &mut self,
        id: Id,
        status: Option<&Status>,
        durable: Watermark,
        participants: &[Participant],
    ) {
        let Some(story) = self.stories.get(&id) else { return };
        let number = story.number;
        let Some(status) = status else {
            return self.blame(format!("T{number} was promised, and has no status"));
        };
        if status.heuristic != story.heuristic.is_some() {
            self.blame(format!("T{number} does not show whether its end is heuristic"));
        }
        let (Some(verdict), Some(answer)) = (status.verdict, &status.answer) else { return };
        if self.told(id, answer, durable) != Some(verdict) {
            self.blame(format!("T{number}: its status says {verdict}, and its answer does not"));
        }
        if status.finished {
            self.says_finished(id, participants);
        }
        self.see(id, verdict, "a status");
    }

    /// An answer under a verdict: it must be the one that was written, and durable where a crash could take it back.
    fn told(&mut self, id: Id, answer: &ClientAnswer, durable: Watermark) -> Option<Verdict> {
        let story = self.stories.get_mut(&id)?;
        let number = story.number;
        let Some(written) = &story.concluded else {
            self.blame(format!("T{number}: a client was told its end, and it has no verdict"));
            return None;
        };
        let verdict = written.verdict;
        // What was decided before the owner knew may be said just after.
        if story.heuristic_told
            || (story.heuristic.is_some() && problem_of(answer) == Some(Problem::Heuristic))
        {
            story.heuristic_shown = true;
            if problem_of(answer) != Some(Problem::Heuristic) {
                self.blame(format!(
                    "T{number}: its end is heuristic, and a client was told {}",
                    answer.status
                ));
            }
            return Some(verdict);
        }
        let mut wrong = None;
        if written.answer.as_ref() != Some(answer) {
            wrong = Some("an answer is not the one that was written with the verdict");
        }
        // What may go unwritten was looked at as it was concluded.
        let binding = (verdict == Verdict::Commit && !story.is_unwritten()) || story.key.is_some();
        let binding = binding || story.is_saga();
        if binding && !written.stand.is_durable(durable) {
            wrong = Some("an answer left before its verdict was durable (S4)");
        }
        if (verdict == Verdict::Commit) != (answer.status < 300) {
            wrong = Some("an answer says another end than the verdict");
        }
        if story.key.is_some() {
            if story.told.is_some() && story.life != self.life {
                *self.sights.entry("the same answer after a crash").or_default() += 1;
            }
            if story.told.get_or_insert_with(|| answer.clone()) != answer {
                wrong = Some("two answers under one key differ");
            }
        }
        if let Some(wrong) = wrong {
            self.blame(format!("T{number}: {wrong}"));
        }
        Some(verdict)
    }

    fn says_finished(&mut self, id: Id, participants: &[Participant]) {
        let Some(story) = self.stories.get(&id) else { return };
        let number = story.number;
        let in_force = |story: &Story, branch| {
            let in_force =
                matches!(story.mark(id, branch, participants), Some(Mark::InForce | Mark::ReadOnly));
            in_force || story.is_saga() && story.has_voted(id, branch, participants)
        };
        let untrue = match story.verdict() {
            Some(Verdict::Rollback) if story.is_unwritten() => story.holds_somewhere(id, participants),
            _ if story.is_written() && !story.ended => true,
            Some(Verdict::Commit) => !story.branches().all(|branch| in_force(story, branch)),
            _ => false,
        };
        if untrue {
            self.blame(format!("T{number} was said to be finished, and is not"));
        }
    }

    fn turned_away(&mut self, answer: &ClientAnswer, errand: &Errand) -> Heard {
        let standing = errand.key.and_then(|key| self.keys.get(&key.scope));
        let standing = standing.and_then(|id| self.stories.get(id)).and_then(|story| story.key);
        let complete = errand.body.windows(6).any(|window| window == b"amount");
        let problem = problem_of(answer);
        problem.into_iter().for_each(|problem| self.saw(problem.slug()));
        let (right, heard) = match problem {
            Some(Problem::Overloaded | Problem::NotReady) => (true, Heard::AskAgain),
            Some(Problem::InProgress) => (standing.is_some() && standing == errand.key, Heard::AskAgain),
            Some(Problem::KeyReused) => (standing.is_some() && standing != errand.key, Heard::TurnedAway),
            Some(Problem::Unrenderable) => (!complete, Heard::TurnedAway),
            _ => (false, Heard::TurnedAway),
        };
        if !right {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            self.blame(format!("a client was wrongly turned away: {body}"));
        }
        heard
    }
}

fn address_of(answer: &ClientAnswer) -> Option<(Id, Token)> {
    let (_, address) = answer.headers.iter().find(|(name, _)| name == "location")?;
    parse_status_address(address.strip_prefix(STATUS_ADDRESS)?)
}

fn problem_of(answer: &ClientAnswer) -> Option<Problem> {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let slug = body.get("type")?.as_str()?.rsplit('/').next()?;
    Problem::by_slug(slug)
}
