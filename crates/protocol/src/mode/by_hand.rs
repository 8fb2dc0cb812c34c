//! What a person ends by hand, the same in every mode.
//!
//! ```text
//!  heuristic ──signed off──▶ over          untold ──brought to the verdict──▶ told
//!  quarantined, no verdict ──commit or rollback──▶ committing or undoing
//!  quarantined, a verdict ──released──▶ told as ever
//! ```
//!
//! With the last branch that is over the transaction ends, as it does with a branch's own word.

use crate::mode::{others_are_over, rolled_back_by_hand, saga};
use crate::{
    BranchSet, Cause, Concluded, Durability, Mode, Progress, Record, Render, Resolution, Resolved,
    Transaction, Unresolvable, Verdict,
};
use bytes::Bytes;

/// Whether this may be ended by hand; else why not.
pub(crate) fn may_resolve(transaction: &Transaction, what: Resolution) -> Result<(), Unresolvable> {
    if !transaction.has_begun() || transaction.ended {
        return Err(Unresolvable::NotOpen);
    }
    if !transaction.written {
        return Err(Unresolvable::Unwritten);
    }
    if what.branch().is_some_and(|branch| transaction.progress(branch).is_none()) {
        return Err(Unresolvable::NoBranch);
    }
    let refused = match what {
        Resolution::SignOff(branch) => {
            (transaction.progress(branch) != Some(Progress::Heuristic)).then_some(Unresolvable::NotHeuristic)
        }
        Resolution::Told(_) if transaction.verdict().is_none() => Some(Unresolvable::NoVerdict),
        Resolution::Told(branch) => {
            (!transaction.untold().any(|untold| untold == branch)).then_some(Unresolvable::Heard)
        }
        Resolution::Choose(_) if transaction.verdict().is_some() => Some(Unresolvable::HasVerdict),
        // A pivot that may have acted, and does not say so: somebody has to look, and knows.
        Resolution::Choose(_) if transaction.is_past_return() => not_asked(transaction, what),
        Resolution::Choose(_) | Resolution::Release if !transaction.is_quarantined() => {
            Some(Unresolvable::NotQuarantined)
        }
        Resolution::Choose(_) => not_asked(transaction, what),
        Resolution::Release => transaction.verdict().is_none().then_some(Unresolvable::NoVerdict),
    };
    refused.map_or(Ok(()), Err)
}

/// What nobody was asked for cannot be committed.
fn not_asked(transaction: &Transaction, what: Resolution) -> Option<Unresolvable> {
    let all = BranchSet::first(transaction.outline().branches().len());
    let some_unasked = transaction.outline().rendered(transaction.waves()) != all;
    (what == Resolution::Choose(Verdict::Commit) && some_unasked).then_some(Unresolvable::NotAsked)
}

/// What follows from an operator's word: its record, and what it brings with it.
pub(crate) fn resolved(transaction: &Transaction, what: Resolution, render: &dyn Render) -> Vec<Record> {
    if may_resolve(transaction, what).is_err() {
        return Vec::new();
    }
    let mut records = vec![Record::Resolved(Resolved { what, word: render.word() })];
    match what {
        Resolution::SignOff(branch) | Resolution::Told(branch) => {
            if others_are_over(transaction, branch) {
                records.push(Record::Ended);
            }
        }
        Resolution::Choose(Verdict::Commit) => records.extend(commit(transaction, render)),
        Resolution::Choose(Verdict::Rollback) => records.extend(rolled_back_by_hand(transaction, render)),
        Resolution::Release => {}
    }
    records
}

/// The commit that an operator vouches for: votes are not kept, so every branch is told.
fn commit(transaction: &Transaction, render: &dyn Render) -> impl Iterator<Item = Record> {
    let tell = match transaction.outline().mode() {
        Mode::TwoPhase | Mode::Tcc => transaction.indices().collect(),
        Mode::Saga => saga::to_act(transaction),
    };
    let concluded = Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell,
        answer: render.answer(Verdict::Commit, Some(Cause::ByHand)),
        calls: Bytes::new(),
        durability: Durability::Forced,
    });
    std::iter::once(concluded).chain(tell.is_empty().then_some(Record::Ended))
}
