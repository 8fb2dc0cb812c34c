//! What a person ends by hand, the same in every mode.
//!
//! ```text
//!  heuristic ──signed off──▶ over          untold ──brought to the verdict──▶ told
//!  quarantined, no verdict ──commit or rollback──▶ committing or undoing
//!  quarantined, a verdict ──released──▶ told as ever
//! ```
//!
//! With the last branch that is over the transaction ends, as it does with a branch's own word.

use crate::mode::atomic;
use crate::{
    BranchIndex, BranchSet, Cause, Concluded, Durability, Progress, Record, Render, Resolution, Resolved,
    Transaction, Unresolvable, Verdict,
};

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
        Resolution::Choose(_) | Resolution::Release if !transaction.is_quarantined() => {
            Some(Unresolvable::NotQuarantined)
        }
        Resolution::Choose(Verdict::Commit) => {
            let all = BranchSet::first(transaction.outline().branches().len());
            (transaction.outline().rendered(transaction.waves()) != all).then_some(Unresolvable::NotAsked)
        }
        Resolution::Choose(Verdict::Rollback) => None,
        Resolution::Release => transaction.verdict().is_none().then_some(Unresolvable::NoVerdict),
    };
    refused.map_or(Ok(()), Err)
}

/// What follows from an operator's word: its record, and what it brings with it.
pub(crate) fn resolved(transaction: &Transaction, what: Resolution, render: &dyn Render) -> Vec<Record> {
    if may_resolve(transaction, what).is_err() {
        return Vec::new();
    }
    let mut records = vec![Record::Resolved(Resolved { what, word: render.word() })];
    match what {
        Resolution::SignOff(branch) | Resolution::Told(branch) => {
            if atomic::others_are_over(transaction, branch) {
                records.push(Record::Ended);
            }
        }
        Resolution::Choose(Verdict::Commit) => records.push(commit(transaction.indices(), render)),
        Resolution::Choose(Verdict::Rollback) => {
            let tell = atomic::to_undo(transaction).collect();
            atomic::conclude_rollback(transaction, Cause::ByHand, tell, render, &mut records);
        }
        Resolution::Release => {}
    }
    records
}

/// The commit that an operator vouches for: votes are not kept, so every branch is told.
fn commit(branches: impl Iterator<Item = BranchIndex>, render: &dyn Render) -> Record {
    Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell: branches.collect(),
        answer: render.answer(Verdict::Commit, Some(Cause::ByHand)),
        durability: Durability::Forced,
    })
}
