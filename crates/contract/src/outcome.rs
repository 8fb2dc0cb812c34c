//! What a participant's HTTP answer means. One function, so that there is one meaning.
//!
//! Bodies never decide. `Unknown` is never a refusal: what cannot be known is asked again.

use crate::{Operation, Outcome, Step};
use std::time::Duration;
use unanimo_protocol::planted::{Mistake, planted};

/// How many 409s to repeated attempts, before the verdict, are a refusal. An idempotency layer answers 409 while the
/// first attempt still runs; one that goes on saying so means it.
pub const CONFLICTS_THAT_REFUSE: u32 = 3;

/// The longest `Retry-After` that is heeded.
pub const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(30);

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The operation.
    pub operation: Operation,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How many of the earlier attempts after the first were answered with 409.
    pub conflicts: u32,
    /// What the branch is to a saga; elsewhere each one is compensatable.
    pub step: Step,
    /// Whether the service keeps none of a participant's duties.
    pub unfenced: bool,
}

impl Asked {
    /// Whether the answer may be a refusal: it is a vote, and not a step that only goes forward.
    fn may_refuse(self) -> bool {
        self.operation.tells().is_none() && self.step != Step::Retriable
    }
}

/// What the answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The meaning for the protocol.
    pub outcome: Outcome,
    /// A 409 that was read as "still running".
    pub conflict: bool,
    /// The participant says no where it may not: retried all the same, and shown to people.
    pub stuck: bool,
    /// How long the participant asks us to wait; at most [`RETRY_AFTER_LIMIT`].
    pub retry_after: Option<Duration>,
}

impl Reading {
    /// A plain meaning.
    pub fn of(outcome: Outcome) -> Reading {
        Reading { outcome, conflict: false, stuck: false, retry_after: None }
    }

    fn stuck() -> Reading {
        Reading { stuck: true, ..Reading::of(Outcome::Unknown) }
    }
}

/// Reads an answer. `outcome` is the `Unanimo-Outcome` header, `retry_after` the `Retry-After` header, as sent.
pub fn read(asked: Asked, status: u16, outcome: Option<&str>, retry_after: Option<&str>) -> Reading {
    let reading = match outcome {
        Some(word) => read_word(asked, word),
        None => read_status(asked, status, retry_after.is_some()),
    };
    Reading { retry_after: retry_after.and_then(seconds), ..reading }
}

/// The participant's own word decides, whatever the status.
fn read_word(asked: Asked, word: &str) -> Reading {
    match word.trim() {
        "done" => Reading::of(Outcome::Done),
        "read-only" => Reading::of(Outcome::ReadOnly),
        "ongoing" => Reading::of(Outcome::Ongoing),
        // An undo may not be refused: it is asked again, and a person is told.
        "refused" if asked.operation.tells() == Some(crate::Verdict::Rollback) => Reading::stuck(),
        // Neither may a step that comes after the verdict.
        "refused" if asked.step == Step::Retriable => Reading::stuck(),
        "refused" => Reading::of(Outcome::Refused),
        _ => Reading::of(Outcome::Unknown),
    }
}

fn read_status(asked: Asked, status: u16, says_when: bool) -> Reading {
    let may_refuse = asked.may_refuse();
    match status {
        202 | 425 | 429 => Reading::of(Outcome::Ongoing),
        503 if says_when => Reading::of(Outcome::Ongoing),
        200..=299 => Reading::of(Outcome::Done),
        409 if asked.attempt > 1 && !planted(Mistake::ConflictRefuses) => {
            // A pivot has no undo: what could mean that it has acted is no refusal.
            let in_earnest = asked.conflicts + 1 >= CONFLICTS_THAT_REFUSE && asked.step != Step::Pivot;
            if may_refuse && in_earnest {
                Reading::of(Outcome::Refused)
            } else {
                Reading { conflict: true, ..Reading::of(Outcome::Ongoing) }
            }
        }
        408 => Reading::of(Outcome::Unknown),
        // Who remembers nothing has nothing there to compensate.
        404 | 410 if asked.unfenced && asked.operation == Operation::Compensate => Reading::of(Outcome::Done),
        // A gate before it that turns a later attempt away says nothing of what the first has done.
        400..=499 if asked.step == Step::Pivot && asked.attempt > 1 => Reading::stuck(),
        400..=499 if may_refuse => Reading::of(Outcome::Refused),
        400..=499 => Reading::stuck(),
        _ => Reading::of(Outcome::Unknown),
    }
}

/// `Retry-After` in its form of seconds; a date says nothing between two clocks that nobody compared.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::{Act, Cancel, Commit, Compensate, Confirm, Prepare, Rollback, Try};

    const DONE: Reading =
        Reading { outcome: Outcome::Done, conflict: false, stuck: false, retry_after: None };
    const READ_ONLY: Reading = Reading { outcome: Outcome::ReadOnly, ..DONE };
    const REFUSED: Reading = Reading { outcome: Outcome::Refused, ..DONE };
    const ONGOING: Reading = Reading { outcome: Outcome::Ongoing, ..DONE };
    const CONFLICT: Reading = Reading { conflict: true, ..ONGOING };
    const UNKNOWN: Reading = Reading { outcome: Outcome::Unknown, ..DONE };
    const STUCK: Reading = Reading { stuck: true, ..UNKNOWN };

    /// status, `Unanimo-Outcome`, attempt, earlier conflicts → before the verdict, commit, undo.
    type Row = (u16, Option<&'static str>, u32, u32, [Reading; 3]);

    const ROWS: &[Row] = &[
        (200, None, 1, 0, [DONE; 3]),
        (201, None, 1, 0, [DONE; 3]),
        (204, None, 2, 0, [DONE; 3]),
        (202, None, 1, 0, [ONGOING; 3]),
        (425, None, 1, 0, [ONGOING; 3]),
        (429, None, 9, 0, [ONGOING; 3]),
        (503, None, 1, 0, [UNKNOWN; 3]),
        (409, None, 1, 0, [REFUSED, STUCK, STUCK]),
        (409, None, 2, 0, [CONFLICT; 3]),
        (409, None, 3, 1, [CONFLICT; 3]),
        (409, None, 4, 2, [REFUSED, CONFLICT, CONFLICT]),
        (409, None, 9, 7, [REFUSED, CONFLICT, CONFLICT]),
        (408, None, 1, 0, [UNKNOWN; 3]),
        (400, None, 1, 0, [REFUSED, STUCK, STUCK]),
        (401, None, 1, 0, [REFUSED, STUCK, STUCK]),
        (404, None, 2, 0, [REFUSED, STUCK, STUCK]),
        (422, None, 1, 0, [REFUSED, STUCK, STUCK]),
        (100, None, 1, 0, [UNKNOWN; 3]),
        (301, None, 1, 0, [UNKNOWN; 3]),
        (500, None, 1, 0, [UNKNOWN; 3]),
        (502, None, 1, 0, [UNKNOWN; 3]),
        (599, None, 1, 0, [UNKNOWN; 3]),
        // The participant's own word goes before its status.
        (500, Some("done"), 1, 0, [DONE; 3]),
        (200, Some("read-only"), 1, 0, [READ_ONLY; 3]),
        (200, Some("refused"), 1, 0, [REFUSED, REFUSED, STUCK]),
        (200, Some("ongoing"), 1, 0, [ONGOING; 3]),
        (409, Some("refused"), 2, 0, [REFUSED, REFUSED, STUCK]),
        (200, Some(" done "), 1, 0, [DONE; 3]),
        (200, Some("Done"), 1, 0, [UNKNOWN; 3]),
        (200, Some("maybe"), 1, 0, [UNKNOWN; 3]),
    ];

    #[test]
    fn every_row_of_the_table() {
        for (status, word, attempt, conflicts, expected) in ROWS {
            for (operations, expected) in
                [&[Prepare, Try, Act][..], &[Commit, Confirm], &[Rollback, Cancel, Compensate]]
                    .iter()
                    .zip(expected)
            {
                for &operation in *operations {
                    let asked = Asked { attempt: *attempt, conflicts: *conflicts, ..asked(operation) };
                    let reading = read(asked, *status, *word, None);
                    assert_eq!(reading, *expected, "{operation} attempt {attempt}: {status} {word:?}");
                }
            }
        }
    }

    fn asked(operation: Operation) -> Asked {
        Asked { operation, attempt: 1, conflicts: 0, step: Step::Compensatable, unfenced: false }
    }

    #[test]
    fn a_pivot_is_only_refused_by_its_first_answer_or_its_own_word() {
        let pivot = |attempt| Asked { step: Step::Pivot, attempt, conflicts: 5, ..asked(Act) };
        assert_eq!(read(pivot(1), 422, None, None), REFUSED);
        assert_eq!(read(pivot(2), 422, None, None), STUCK);
        assert_eq!(read(pivot(2), 409, None, None), CONFLICT);
        assert_eq!(read(pivot(2), 200, Some("refused"), None), REFUSED);
    }

    #[test]
    fn a_retriable_step_may_not_refuse() {
        let retriable = |attempt| Asked { step: Step::Retriable, attempt, conflicts: 5, ..asked(Act) };
        for attempt in [1, 2] {
            assert_eq!(read(retriable(attempt), 422, None, None), STUCK);
            assert_eq!(read(retriable(attempt), 200, Some("refused"), None), STUCK);
            assert_eq!(read(retriable(attempt), 200, None, None), DONE);
        }
        assert_eq!(read(retriable(9), 409, None, None), CONFLICT);
    }

    #[test]
    fn who_remembers_nothing_has_nothing_left_to_compensate() {
        let unfenced = |operation| Asked { unfenced: true, ..asked(operation) };
        for gone in [404, 410] {
            assert_eq!(read(unfenced(Compensate), gone, None, None), DONE);
            assert_eq!(read(asked(Compensate), gone, None, None), STUCK);
            assert_eq!(read(unfenced(Act), gone, None, None), REFUSED);
        }
        assert_eq!(read(unfenced(Compensate), 403, None, None), STUCK);
    }

    #[test]
    fn a_503_that_says_when_is_ongoing() {
        let asked = asked(Prepare);
        let reading = read(asked, 503, None, Some("2"));
        assert_eq!(reading, Reading { retry_after: Some(Duration::from_secs(2)), ..ONGOING });
        assert_eq!(read(asked, 503, None, Some("1000000")).retry_after, Some(RETRY_AFTER_LIMIT));
        assert_eq!(read(asked, 503, None, Some("Wed, 21 Oct 2026 07:28:00 GMT")), ONGOING);
    }
}
