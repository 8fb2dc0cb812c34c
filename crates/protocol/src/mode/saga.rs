//! Saga: every step is final in itself, and made good again where the whole does not come to a good end.
//!
//! ```text
//!  initial ──Begun──▶ preparing ──all have acted──▶ committing ──retriable ones have acted──▶ committed
//!                        │   └────all have acted, none is retriable─────────────────────────▶ committed
//!                        │
//!                        ├──refused, or a crash without a way on──▶ undoing ──all compensated──▶ rolled-back
//!                        └──before the pivot: deadline, given up──▶ undoing      └──nothing to compensate──▶ rolled-back
//! ```
//!
//! Compensatable steps act first, then at most one pivot, then, after the verdict, retriable ones. Once the record of the
//! pivot's wave is durable the pivot may have acted: from there only its refusal leads back. What nobody can have done is
//! in no wave; what somebody may have done is compensated, in the reverse of its order.
//!
//! After a crash the actions without an answer are asked for again, byte for byte. Where that is not possible (a service
//! keeps no marks, or a credential was the client's) everything is compensated, unless the pivot may have acted.
//!
//! Cost with N branches in W waves: N calls and W+1 forced records to commit, one more before a pivot; a step of an
//! unfenced service is a wave of its own. A rollback is forced too: without it a crash would make the saga go on.

use super::{acknowledged, end, to_undo};
use crate::planted::{Mistake, planted};
use crate::{
    BranchIndex, BranchSet, Cause, Concluded, Durability, Operation, Outcome, Record, Render, Transaction,
    Verdict, Wave,
};
use bytes::Bytes;

/// What follows from an answer.
pub(crate) fn answered(
    transaction: &Transaction,
    branch: BranchIndex,
    operation: Operation,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    match (operation.tells(), transaction.concluded) {
        (None, None) => acted(transaction, branch, outcome, render),
        // Who acts after the verdict may not refuse: it is asked again.
        (None, Some((Verdict::Commit, _, tell))) if tell.contains(branch) => {
            acknowledged(transaction, branch, Verdict::Commit, forward(outcome))
        }
        // It is compensated, or somebody has vouched for it, whatever it says.
        (None, Some(_)) => vec![Record::Answered { branch, operation, outcome }],
        (Some(verdict), _) => acknowledged(transaction, branch, verdict, outcome),
    }
}

fn forward(outcome: Outcome) -> Outcome {
    if outcome == Outcome::Refused { Outcome::Unknown } else { outcome }
}

/// An action's answer before the verdict.
fn acted(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let answered = Record::Answered { branch, operation: Operation::Act, outcome };
    match outcome {
        Outcome::Done | Outcome::ReadOnly => {
            let rest = transaction.outline.voters().without(BranchSet::EMPTY.with(branch));
            if rest.iter().all(|other| transaction.has_voted_yes(other)) {
                commit(transaction, branch, outcome, render)
            } else {
                goes_on(transaction, branch, outcome, render)
            }
        }
        Outcome::Refused => {
            let spared = transaction.branches[branch.at()].asked == 1;
            let spare = if spared { BranchSet::EMPTY.with(branch) } else { BranchSet::EMPTY };
            rollback(transaction, answered, Cause::Refused(branch), spare, render)
        }
        Outcome::Ongoing | Outcome::Unknown if is_given_up(transaction, branch, outcome) => {
            rollback(transaction, answered, Cause::Unanswered(branch), BranchSet::EMPTY, render)
        }
        Outcome::Ongoing | Outcome::Unknown => vec![answered],
    }
}

/// Whether an action is not asked for again. Without a fence a second call could do the work a second time.
fn is_given_up(transaction: &Transaction, branch: BranchIndex, outcome: Outcome) -> bool {
    let outline = &transaction.outline.branches()[branch.at()];
    if !transaction.outline.compensatable().contains(branch) {
        return false;
    }
    let asked = transaction.branches[branch.at()].asked;
    let spent = outline.attempts.is_some_and(|most| asked >= most.get());
    (outline.unfenced && !planted(Mistake::RepeatsUnfenced)) || (spent && outcome == Outcome::Unknown)
}

/// A step is done, and others are not: the next wave, where this was the last answer that it waited for.
fn goes_on(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let acted = Record::Acted { branch, outcome, answer: render.kept(branch) };
    let at = usize::from(transaction.waves);
    let (wave, gate) = (transaction.outline.waves().get(at).copied(), transaction.outline.gate(at));
    let missing = |other: BranchIndex| other != branch && !transaction.has_voted_yes(other);
    // The wave of those who act after the verdict is rendered with it.
    let wave = wave.filter(|wave| !wave.intersection(transaction.outline.voters()).is_empty());
    let Some(wave) = wave.filter(|_| !gate.iter().any(missing)) else { return vec![acted] };
    match render.wave(wave) {
        Ok(calls) => vec![acted, intent(calls)],
        Err(at) => rollback(transaction, acted, Cause::Unusable(at), spare(branch, outcome), render),
    }
}

/// A branch that only read is spared its compensation.
fn spare(branch: BranchIndex, outcome: Outcome) -> BranchSet {
    if outcome == Outcome::ReadOnly { BranchSet::EMPTY.with(branch) } else { BranchSet::EMPTY }
}

/// What a crash must leave of the steps that are taken next.
fn intent(calls: Bytes) -> Record {
    let durability =
        if planted(Mistake::IntentUnrecorded) { Durability::Volatile } else { Durability::Forced };
    Record::Wave(Wave { calls, durability })
}

/// Everybody has acted who may refuse.
fn commit(
    transaction: &Transaction,
    branch: BranchIndex,
    outcome: Outcome,
    render: &dyn Render,
) -> Vec<Record> {
    let outline = &transaction.outline;
    let mut records = vec![Record::Answered { branch, operation: Operation::Act, outcome }];
    if let Some(wave) = outline.waves().get(usize::from(transaction.waves)) {
        match render.wave(*wave) {
            Ok(calls) => records.push(Record::Wave(Wave { calls, durability: Durability::Forced })),
            Err(_) if transaction.is_past_return() => return asks_again(branch),
            Err(at) => {
                let answered = records.remove(0);
                return rollback(transaction, answered, Cause::Unusable(at), spare(branch, outcome), render);
            }
        }
    }
    let tell = outline.retriable();
    records.push(Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell,
        answer: render.answer(Verdict::Commit, None),
        calls: Bytes::new(),
        durability: Durability::Forced,
    }));
    if tell.is_empty() {
        records.push(end(transaction.written));
    }
    records
}

/// An answer that is of no use where there is no way back counts as none.
fn asks_again(branch: BranchIndex) -> Vec<Record> {
    vec![Record::Answered { branch, operation: Operation::Act, outcome: Outcome::Unknown }]
}

/// Compensates what may have happened, but for what is spared.
fn rollback(
    transaction: &Transaction,
    answered: Record,
    cause: Cause,
    spare: BranchSet,
    render: &dyn Render,
) -> Vec<Record> {
    let mut records = vec![answered];
    records.extend(undo(transaction, cause, spare, render));
    records
}

/// The rollback, and the end where nothing is to be compensated.
pub(crate) fn undo(
    transaction: &Transaction,
    cause: Cause,
    spare: BranchSet,
    render: &dyn Render,
) -> impl Iterator<Item = Record> {
    let mut tell = to_undo(transaction).intersection(transaction.outline.compensatable()).without(spare);
    if planted(Mistake::SkipsUnknownAction) {
        tell = tell.iter().filter(|branch| transaction.has_voted_yes(*branch)).collect();
    }
    let lazy = planted(Mistake::SagaRollbackLazy);
    let concluded = Record::Concluded(Concluded {
        verdict: Verdict::Rollback,
        cause: Some(cause),
        tell,
        answer: render.answer(Verdict::Rollback, Some(cause)),
        calls: render.compensations(tell),
        durability: if lazy { Durability::Lazy } else { Durability::Forced },
    });
    std::iter::once(concluded).chain(tell.is_empty().then(|| end(transaction.written)))
}

/// No verdict came in time: back, while there is a way.
pub(crate) fn given_up(transaction: &Transaction, cause: Cause, render: &dyn Render) -> Vec<Record> {
    let forward = transaction.is_past_return() && !planted(Mistake::CompensatesPastPivot);
    if transaction.verdict().is_some() || forward {
        return Vec::new();
    }
    undo(transaction, cause, BranchSet::EMPTY, render).collect()
}

/// Who must act, or act again, so that a commit is true for which an operator vouches. Where the pivot may have acted
/// everybody before it has; a service without a fence is never asked twice.
pub(crate) fn to_act(transaction: &Transaction) -> BranchSet {
    let outline = &transaction.outline;
    if transaction.is_past_return() {
        return outline.retriable();
    }
    let again = |branch: &BranchIndex| !outline.branches()[branch.at()].unfenced;
    outline.voters().iter().filter(again).collect::<BranchSet>().union(outline.retriable())
}

/// What follows from the last answer is too large to be written.
pub(crate) fn unwritable(transaction: &Transaction, render: &dyn Render) -> Vec<Record> {
    if transaction.verdict().is_none() && transaction.is_past_return() {
        let acts = |branch: &BranchIndex| transaction.branches[branch.at()].in_flight.is_some();
        return transaction.indices().filter(acts).flat_map(asks_again).collect();
    }
    given_up(transaction, Cause::Unwritable, render)
}

/// A crash came before the verdict: on, where every step can be asked for again; else back.
pub(crate) fn recovered(transaction: &Transaction, render: &dyn Render) -> Vec<Record> {
    if transaction.outline.can_resume() {
        return Vec::new();
    }
    given_up(transaction, Cause::Interrupted, render)
}
