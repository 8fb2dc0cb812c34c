//! A map that is asked and never walked.

use crate::SegmentNumber;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use unanimo_protocol::Id;

/// In which segment each open transaction began.
#[derive(Debug, Default)]
pub(crate) struct Beginnings(HashMap<Id, SegmentNumber, BuildHasherDefault<Mixed>>);

impl Beginnings {
    /// Takes one more; `false` where it was known before.
    pub(crate) fn insert(&mut self, transaction: Id, segment: SegmentNumber) -> bool {
        self.0.insert(transaction, segment).is_none()
    }

    pub(crate) fn remove(&mut self, transaction: Id) -> Option<SegmentNumber> {
        self.0.remove(&transaction)
    }

    pub(crate) fn contains(&self, transaction: Id) -> bool {
        self.0.contains_key(&transaction)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Ids are minted by the gateway, with random bits of its own: nobody outside can choose those that collide, and one
/// multiplication spreads them.
#[derive(Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u128(u128::from(*byte));
        }
    }

    fn write_u128(&mut self, id: u128) {
        /// Odd, with bits all over: 2⁶⁴ over the golden ratio.
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        // The lower half has counter and random bits. The upper one has node, shard and epoch: turned by half, the shard
        // meets the counter's highest bits, which are never used.
        let bits = self.0 ^ id as u64 ^ ((id >> 64) as u64).rotate_left(32);
        let product = u128::from(bits) * u128::from(SPREAD);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::hash::{BuildHasher, BuildHasherDefault};
    use unanimo_protocol::{Epoch, Node, Shard};

    #[test]
    fn ids_in_a_row_are_spread_over_high_and_low_bits() {
        let hash = |counter: u64| {
            let id = Id::new(Node(7), Shard((counter % 64) as u8), Epoch(3), counter / 64, 0);
            BuildHasherDefault::<Mixed>::default().hash_one(id)
        };
        let hashes: Vec<u64> = (0..4096).map(hash).collect();
        let low: BTreeSet<u64> = hashes.iter().map(|hash| hash & 4095).collect();
        let high: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
        // Chance would leave 2,589 of 4,096 places with something in them.
        assert!(low.len() > 2200 && high.len() == 128, "{} and {}", low.len(), high.len());
    }
}
