//! What two-phase and tcc share: a ballot, and the verdict.

use super::{end, to_undo};
use crate::planted::{Mistake, planted};
use crate::{
    BranchIndex, BranchSet, Cause, Concluded, Durability, Outcome, Progress, Record, Render, Transaction,
    Verdict, Wave,
};
use bytes::Bytes;

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
            } else {
                next_wave(transaction, branch, outcome, render, &mut records);
            }
        }
        Outcome::Refused => {
            let asked = transaction.branches[branch.at()].asked;
            let spared = asked == 1 || planted(Mistake::SparesAfterRetry);
            let tell = to_undo(transaction).iter().filter(|other| *other != branch || !spared).collect();
            conclude_rollback(transaction, Cause::Refused(branch), tell, render, &mut records);
        }
        Outcome::Ongoing | Outcome::Unknown => {}
    }
    records
}

/// Renders the next wave, where this vote is the last that it has waited for.
fn next_wave(
    transaction: &Transaction,
    last: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
    records: &mut Vec<Record>,
) {
    let Some(wave) = transaction.outline.waves().get(usize::from(transaction.waves)) else { return };
    let missing = |branch: &BranchIndex| *branch != last && !transaction.has_voted_yes(*branch);
    let gate = transaction.outline.gate(transaction.waves.into());
    if !gate.contains(last) || gate.iter().any(|branch| missing(&branch)) {
        return;
    }
    match render.wave(*wave) {
        Ok(calls) => {
            let durability = if transaction.written { Durability::Forced } else { Durability::Volatile };
            records.push(Record::Wave(Wave { calls, durability }));
        }
        Err(at) => {
            let spared = outcome == Outcome::ReadOnly;
            let tell = to_undo(transaction).iter().filter(|branch| *branch != last || !spared).collect();
            conclude_rollback(transaction, Cause::Unusable(at), tell, render, records);
        }
    }
}

/// No verdict came in time, or a crash came first: roll back whatever may have been asked.
pub(crate) fn given_up(transaction: &Transaction, cause: Cause, render: &dyn Render) -> Vec<Record> {
    let mut records = Vec::new();
    if transaction.verdict().is_none() {
        conclude_rollback(transaction, cause, to_undo(transaction), render, &mut records);
    }
    records
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
    let written = transaction.written || !tell.is_empty();
    if written && !transaction.written && !planted(Mistake::ForgetsBegun) {
        // It settles together with the verdict: one forced record carries both.
        records.push(Record::Begun(render.begun(transaction.waves, Durability::Lazy)));
    }
    records.push(Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell,
        answer: render.answer(Verdict::Commit, None),
        calls: Bytes::new(),
        durability: if written { Durability::Forced } else { Durability::Volatile },
    }));
    if tell.is_empty() {
        records.push(end(written));
    }
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
        calls: Bytes::new(),
        durability: match (transaction.written, forced) {
            (true, true) => Durability::Forced,
            (true, false) => Durability::Lazy,
            (false, _) => Durability::Volatile,
        },
    }));
    if tell.is_empty() {
        records.push(end(transaction.written));
    }
}
