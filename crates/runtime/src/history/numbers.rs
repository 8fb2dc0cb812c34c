//! Causes and resolutions as numbers: those that the journal writes.

use unanimo_contract::Verdict;
use unanimo_protocol::{BranchIndex, Cause, Resolution};

/// A cause, and the branch at fault.
pub(crate) fn of_cause(cause: Cause) -> (u8, Option<u8>) {
    match cause {
        Cause::Refused(branch) => (1, Some(branch.0)),
        Cause::Deadline => (2, None),
        Cause::Interrupted => (3, None),
        Cause::Unusable(branch) => (4, Some(branch.0)),
        Cause::Unwritable => (5, None),
        Cause::Unanswered(branch) => (6, Some(branch.0)),
        Cause::ByHand => (7, None),
    }
}

pub(crate) fn cause(cause: u8, branch: Option<u8>) -> Option<Cause> {
    match (cause, branch.map(BranchIndex)) {
        (1, Some(branch)) => Some(Cause::Refused(branch)),
        (2, None) => Some(Cause::Deadline),
        (3, None) => Some(Cause::Interrupted),
        (4, Some(branch)) => Some(Cause::Unusable(branch)),
        (5, None) => Some(Cause::Unwritable),
        (6, Some(branch)) => Some(Cause::Unanswered(branch)),
        (7, None) => Some(Cause::ByHand),
        _ => None,
    }
}

/// A resolution; its branch stands elsewhere.
pub(crate) fn of_resolution(what: Resolution) -> u64 {
    match what {
        Resolution::SignOff(_) => 1,
        Resolution::Told(_) => 2,
        Resolution::Choose(Verdict::Commit) => 3,
        Resolution::Choose(Verdict::Rollback) => 4,
        Resolution::Release => 5,
    }
}

pub(crate) fn resolution(what: u64, branch: Option<BranchIndex>) -> Option<Resolution> {
    match (what, branch) {
        (1, Some(branch)) => Some(Resolution::SignOff(branch)),
        (2, Some(branch)) => Some(Resolution::Told(branch)),
        (3, None) => Some(Resolution::Choose(Verdict::Commit)),
        (4, None) => Some(Resolution::Choose(Verdict::Rollback)),
        (5, None) => Some(Resolution::Release),
        _ => None,
    }
}
