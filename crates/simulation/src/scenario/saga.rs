//! What the sagas of a seed are made of: steps that can be compensated, perhaps a pivot, perhaps steps that only go forward.

use super::{PARTICIPANTS, PLAIN, draw_branch, service};
use crate::dice::Dice;
use serde_json::json;
use std::num::NonZeroU32;
use unanimo_contract::plan::CallPlan;
use unanimo_contract::{BranchPlan, Step};

/// What the compensation of an action says that nobody has heard of.
pub(crate) const NOT_HEARD_OF: &str = "whatever is there";

/// The branches of a saga.
pub(super) fn draw(dice: &mut Dice) -> Vec<BranchPlan> {
    let pivots = dice.below(2);
    let compensatable = dice.within(1 - pivots, 3);
    let retriable = dice.pick([0, 0, 1, 2]);
    let (unfenced, needs_client) = (dice.pick([0, 0, 0, 400]), dice.pick([0, 0, 0, 400]));
    (0..compensatable + pivots + retriable)
        .map(|at| {
            let branch = draw_branch(at, dice.below(PARTICIPANTS), dice);
            match at.checked_sub(compensatable) {
                None => draw_compensatable(branch, at, unfenced, needs_client, dice),
                Some(0) if pivots == 1 => pivot(branch, at),
                Some(_) => BranchPlan { step: Step::Retriable, ..branch },
            }
        })
        .collect()
}

/// The point of no return comes when everything before it has acted.
pub(crate) fn pivot(branch: BranchPlan, at: u64) -> BranchPlan {
    BranchPlan { step: Step::Pivot, after: (0..at as u8).collect(), ..branch }
}

fn draw_compensatable(
    mut branch: BranchPlan,
    at: u64,
    unfenced: u32,
    needs_client: u32,
    dice: &mut Dice,
) -> BranchPlan {
    if dice.chance(unfenced) {
        branch = without_marks(branch);
    }
    if dice.chance(400) {
        branch.compensate = Some(compensation(at));
        branch.exact = dice.chance(500);
        branch.method = branch.exact.then(|| "PUT".to_owned());
    }
    branch.needs_client = dice.chance(needs_client);
    let attempts = dice.pick([1, 2, 3]);
    branch.attempts = NonZeroU32::new(attempts).filter(|_| dice.chance(250));
    branch
}

/// The same branch at the service that keeps no marks.
pub(crate) fn without_marks(branch: BranchPlan) -> BranchPlan {
    BranchPlan { unfenced: true, service: service(PLAIN), ..branch }
}

/// A compensation that is a call of its own, and names what it makes good where that was heard of.
pub(crate) fn compensation(at: u64) -> CallPlan {
    let receipt = format!("branches.b{at}.response.receipt");
    let undo = format!("${{has({receipt}) ? {receipt} : '{NOT_HEARD_OF}'}}");
    CallPlan {
        path: format!("/{at}/undo/${{request.body.account}}"),
        body: Some(json!({ "undo": undo })),
        ..CallPlan::default()
    }
}
