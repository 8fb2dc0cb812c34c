//! What two-phase and tcc share: a ballot, a verdict, and telling it for ever.

use crate::planted::{Mistake, planted};
use crate::{
    BranchIndex, BranchSet, Cause, Concluded, Durability, Outcome, Progress, Record, Render, Transaction,
    Verdict,
};

/// The answer to a first operation, and the verdict where it is the last one needed.
///
/// An answer that comes after the verdict changes nothing: the branch is told the verdict in any case.
pub(crate) fn ballot(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let operation = transaction.outline().mode().first();
    let mut records = vec![Record::Answered { branch, operation, outcome }];
    if transaction.verdict().is_some() {
        return records;
    }
    match outcome {
        Outcome::Done | Outcome::ReadOnly => {
            let rest = transaction.indices().filter(|other| *other != branch);
            if rest.into_iter().all(|other| transaction.has_voted_yes(other)) {
                conclude_commit(transaction, branch, outcome, render, &mut records);
            }
        }
        Outcome::Refused => {
            let asked = transaction.branches[branch.at()].asked;
            let spared = asked == 1 || planted(Mistake::SparesAfterRetry);
            let tell = to_undo(transaction).filter(|other| *other != branch || !spared).collect();
            conclude_rollback(transaction, Cause::Refused(branch), tell, render, &mut records);
        }
        Outcome::Ongoing | Outcome::Unknown => {}
    }
    records
}

/// No verdict came in time, or a crash came first: roll back whatever may have been asked.
pub(crate) fn given_up(transaction: &Transaction, cause: Cause, render: &dyn Render) -> Vec<Record> {
    let mut records = Vec::new();
    if transaction.verdict().is_none() {
        let tell = to_undo(transaction).collect();
        conclude_rollback(transaction, cause, tell, render, &mut records);
    }
    records
}

/// The answer to a call that told the verdict.
pub(crate) fn acknowledged(
    transaction: &Transaction,
    branch: BranchIndex,
    told: Verdict,
    outcome: Outcome,
) -> Vec<Record> {
    let heard = match (told, outcome) {
        (_, Outcome::Done | Outcome::ReadOnly) => Record::Told { branch },
        (Verdict::Commit, Outcome::Refused) => Record::Heuristic { branch },
        (Verdict::Rollback, Outcome::Refused) | (_, Outcome::Ongoing | Outcome::Unknown) => {
            let operation = transaction.outline().mode().telling(told);
            return vec![Record::Answered { branch, operation, outcome }];
        }
    };
    let done = matches!(heard, Record::Told { .. });
    let others = transaction.concluded.map_or(BranchSet::EMPTY, |(_, _, tell)| tell);
    let all_told = others
        .iter()
        .filter(|other| *other != branch)
        .all(|other| transaction.branches[other.at()].progress == Progress::Told);
    let mut records = vec![heard];
    if done && all_told {
        records.push(Record::Ended);
    }
    records
}

/// Every branch that may have work to undo: asked, and not spared.
fn to_undo(transaction: &Transaction) -> impl Iterator<Item = BranchIndex> {
    transaction.indices().filter(|branch| match transaction.branches[branch.at()].progress {
        Progress::Idle | Progress::ReadOnly | Progress::Refused { spared: true } => false,
        Progress::Asked | Progress::Ready | Progress::Refused { spared: false } => true,
        Progress::Told | Progress::Heuristic => false,
    })
}

fn conclude_commit(
    transaction: &Transaction,
    last: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
    records: &mut Vec<Record>,
) {
    let tell: BranchSet = transaction
        .indices()
        .filter(|branch| match *branch == last {
            true => outcome != Outcome::ReadOnly,
            false => transaction.branches[branch.at()].progress == Progress::Ready,
        })
        .collect();
    records.push(Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell,
        answer: render.answer(Verdict::Commit, None),
        durability: Durability::Forced,
    }));
    end_if_nobody_is_told(tell, records);
}

fn conclude_rollback(
    transaction: &Transaction,
    cause: Cause,
    tell: BranchSet,
    render: &dyn Render,
    records: &mut Vec<Record>,
) {
    let forced = transaction.keyed && !planted(Mistake::KeyedRollbackLazy);
    records.push(Record::Concluded(Concluded {
        verdict: Verdict::Rollback,
        cause: Some(cause),
        tell,
        answer: render.answer(Verdict::Rollback, Some(cause)),
        durability: if forced { Durability::Forced } else { Durability::Lazy },
    }));
    end_if_nobody_is_told(tell, records);
}

fn end_if_nobody_is_told(tell: BranchSet, records: &mut Vec<Record>) {
    if tell.is_empty() {
        records.push(Record::Ended);
    }
}
