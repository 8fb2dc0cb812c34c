//! Which step of its trace a call is: a number that no other call of the trace has, made without chance.

use unanimo_contract::Epoch;
use unanimo_contract::trace::Span;
use unanimo_protocol::{Call, Id};

/// The step of a call. Attempts are counted anew after a crash, so the present epoch tells them apart.
pub(crate) fn of_call(id: Id, epoch: Epoch, call: Call) -> Span {
    let [high, low] = [(id.bits() >> 64) as u64, id.bits() as u64];
    let place = u64::from(call.branch.0) << 8 | call.operation as u64;
    let time = u64::from(epoch.0) << 32 | u64::from(call.attempt);
    Span::new([low, place, time].into_iter().fold(mixed(high), |sum, part| mixed(sum ^ part)))
}

/// Every bit of the result depends on every bit that goes in, and no two numbers come to the same.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use unanimo_contract::{BranchIndex, Operation};

    #[test]
    fn no_two_calls_are_the_same_step() {
        let mut spans = BTreeSet::new();
        let mut calls = 0;
        for (id, epoch, branch) in
            (0..400).map(|n| (Id::from_bits(7 + n % 10), Epoch(1 + n as u32 / 200), (n / 10 % 20) as u8))
        {
            for operation in [Operation::Prepare, Operation::Commit, Operation::Rollback] {
                for attempt in 1..=5 {
                    calls += 1;
                    spans.insert(of_call(
                        id,
                        epoch,
                        Call { branch: BranchIndex(branch), operation, attempt },
                    ));
                }
            }
        }
        assert_eq!(spans.len(), calls);
    }
}
