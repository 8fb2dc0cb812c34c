//! Which endpoint belongs to what must stay together.
//!
//! Rendezvous hashing: every endpoint draws a number from its own address and what is asked for, and the largest wins.
//! Nothing is kept, so every worker and every later process comes to the same end; an endpoint that is added or taken
//! away moves only what it gets or had: one endpoint's share.

use std::hash::Hasher;

/// What must stay together: requests with the same one reach the same endpoint of a service that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity(u64);

/// An endpoint's part in the choice: a hash of its address alone, and never of its place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lot(u64);

impl Affinity {
    /// Of what these bits name.
    pub fn new(bits: u128) -> Affinity {
        Affinity(mixed(mixed((bits >> 64) as u64) ^ bits as u64))
    }

    /// The place of the lot that wins; 0 where there is none.
    pub(crate) fn choose(self, lots: impl Iterator<Item = Lot>) -> usize {
        let drawn = lots.enumerate().max_by_key(|(_, lot)| (mixed(self.0 ^ lot.0), *lot));
        drawn.map_or(0, |(at, _)| at)
    }
}

impl Lot {
    /// Of the endpoint with this address, as it is configured.
    pub(crate) fn new(address: &str) -> Lot {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        hash.write(address.as_bytes());
        Lot(mixed(hash.finish()))
    }
}

/// FNV-1a: the hash of the standard library may be another one in the next version.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
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
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn chosen<'a>(bits: u128, endpoints: &[&'a str]) -> &'a str {
        endpoints[Affinity::new(bits).choose(endpoints.iter().map(|address| Lot::new(address)))]
    }

    fn endpoints() -> impl Strategy<Value = BTreeSet<String>> {
        prop::collection::btree_set("(10\\.0\\.0|bank)\\.[0-9]{1,3}:80[0-9]{2}", 1..12)
    }

    proptest! {
        #[test]
        fn whoever_is_not_at_an_endpoint_that_goes_stays(all in endpoints(), bits in any::<u128>()) {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let before = chosen(bits, &all);
            for gone in &all {
                let left: Vec<&str> = all.iter().filter(|other| *other != gone).copied().collect();
                if before != *gone {
                    prop_assert_eq!(chosen(bits, &left), before);
                }
            }
        }

        #[test]
        fn the_order_of_the_list_says_nothing(all in endpoints(), bits in any::<u128>(), turn in 0..12_usize) {
            let mut all: Vec<&str> = all.iter().map(String::as_str).collect();
            let before = chosen(bits, &all);
            let turn = turn % all.len();
            all.rotate_left(turn);
            prop_assert_eq!(chosen(bits, &all), before);
        }

        #[test]
        fn every_endpoint_has_an_even_share(all in endpoints(), node in any::<u32>(), shard in 0..64_u128) {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            // As ids are: the same node, shard and epoch, and a counter.
            let ids = (0..4000).map(|counter| u128::from(node) << 96 | shard << 88 | 1 << 64 | counter << 24);
            let mut shares = vec![0_u32; all.len()];
            for id in ids {
                shares[Affinity::new(id).choose(all.iter().map(|address| Lot::new(address)))] += 1;
            }
            let even = 4000.0 / all.len() as f64;
            // Six times the deviation that chance has: beyond it once in half a billion.
            prop_assert!(shares.iter().all(|share| (f64::from(*share) - even).abs() <= 6.0 * even.sqrt()), "{:?}", shares);
        }
    }

    #[test]
    fn the_next_version_comes_to_the_same_end() {
        let endpoints = ["10.0.0.1:80", "10.0.0.2:80", "bank-2.bank:8080"];
        let places: String = (0..24)
            .map(|bits| chosen(bits << 60, &endpoints))
            .map(|chosen| {
                char::from(b'0' + endpoints.iter().position(|endpoint| *endpoint == chosen).unwrap() as u8)
            })
            .collect();
        assert_eq!(places, "102010111200111100021220");
    }
}
