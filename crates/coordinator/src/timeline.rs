//! What is noted of a transaction while it is open, for people: its records, and when they were applied.

use crate::open::Open;
use crate::owner::Owner;
use crate::{Action, Now};
use std::sync::Arc;
use unanimo_contract::operations::{Moment, MomentKind, Watched, Word};
use unanimo_contract::{BranchIndex, Id, Operation, Verdict};
use unanimo_protocol::{Outcome, Record};

/// The moment of a record; `None` of one that nobody needs to see.
///
/// `at_unix_ms` is when it was applied; at replay nobody knows that any more, but of what the record itself says.
pub(crate) fn moment(open: &Open, record: &Record, at_unix_ms: Option<u64>) -> Option<Moment> {
    let of = |kind| Moment::of(kind, at_unix_ms);
    let status = |branch: BranchIndex| {
        open.branches.get(branch.at()).and_then(|side| side.last_answer).and_then(|answer| answer.status)
    };
    Some(match record {
        // Written late, it says nothing new.
        Record::Begun(_) if open.core.has_begun() => return None,
        Record::Begun(begun) => Moment::of(MomentKind::Begun, Some(begun.began_unix_ms)),
        Record::Wave(_) => of(MomentKind::Wave),
        Record::Sent { branch, operation, attempt } => Moment {
            branch: Some(*branch),
            operation: Some(*operation),
            attempt: Some(*attempt),
            ..of(MomentKind::Sent)
        },
        Record::Answered { branch, operation, outcome } => Moment {
            branch: Some(*branch),
            operation: Some(*operation),
            outcome: Some(*outcome),
            status: status(*branch),
            ..of(MomentKind::Answered)
        },
        Record::Acted { branch, outcome, .. } => Moment {
            branch: Some(*branch),
            operation: Some(Operation::Act),
            outcome: Some(*outcome),
            status: status(*branch),
            ..of(MomentKind::Answered)
        },
        Record::Concluded(concluded) => {
            Moment { verdict: Some(concluded.verdict), cause: concluded.cause, ..of(MomentKind::Verdict) }
        }
        Record::Told { branch } => Moment {
            branch: Some(*branch),
            operation: telling(open),
            outcome: Some(Outcome::Done),
            status: status(*branch),
            ..of(MomentKind::Told)
        },
        Record::Heuristic { branch } => Moment {
            branch: Some(*branch),
            operation: telling(open),
            outcome: Some(Outcome::Refused),
            status: status(*branch),
            ..of(MomentKind::Heuristic)
        },
        Record::Resolved(resolved) => {
            let word = Word::decode(resolved.word.clone()).ok();
            Moment {
                branch: resolved.what.branch(),
                resolution: Some(resolved.what),
                at_unix_ms: word.as_ref().map(|word| word.at_unix_ms).or(at_unix_ms),
                word: word.map(Arc::new),
                ..of(MomentKind::Resolved)
            }
        }
        Record::Ended | Record::Forgotten => of(MomentKind::Ended),
    })
}

fn telling(open: &Open) -> Option<Operation> {
    open.core.verdict().map(|verdict: Verdict| open.ready.outline.mode().telling(verdict))
}

impl Owner {
    /// Notes a moment, and tells it to the watchers, if there are any. Called after the record was applied.
    pub(crate) fn note_moment(&mut self, id: Id, moment: Moment) {
        let watched = self.watched;
        let Some(open) = self.open.get_mut(&id) else { return };
        if watched {
            let change = Watched {
                id,
                plan: open.ready.plan.clone(),
                mode: open.ready.outline.mode(),
                state: open.core.state(),
                verdict: open.core.verdict(),
                flags: open.flags(),
                key: open.key.map(|key| key.scope),
                began_unix_ms: open.began_unix_ms,
                moment: moment.clone(),
            };
            self.actions.push_back(Action::Watched(Box::new(change)));
        }
        open.timeline.push(moment);
    }

    /// It counts as stuck from now on.
    pub(crate) fn note_stuck_moment(&mut self, now: Now, id: Id, branch: BranchIndex) {
        let moment = Moment { branch: Some(branch), ..Moment::of(MomentKind::Stuck, Some(now.unix_ms)) };
        self.note_moment(id, moment);
    }

    /// Whether somebody watches: only then is every change told.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }
}
