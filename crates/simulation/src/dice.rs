//! Chance: everything that a run draws comes from its seed, in whole numbers, so that every machine draws the same.

use std::time::Duration;

/// A source of chance.
#[derive(Debug)]
pub(crate) struct Dice(fastrand::Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(fastrand::Rng::with_seed(seed))
    }

    /// True so many times of a thousand.
    pub(crate) fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.0.u32(..1000) < per_mille
    }

    /// A number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end.max(1))
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// A duration from `low` to `high` microseconds. Every doubling is as likely as any other: the short ones, in
    /// which things happen at the same time, must not be rare.
    pub(crate) fn micros(&mut self, low: u64, high: u64) -> Duration {
        let low = low.max(1);
        let doublings = (high / low).max(1).ilog2();
        let from = low << self.below(u64::from(doublings) + 1);
        Duration::from_micros(self.within(from, (from * 2 - 1).min(high)))
    }

    /// One of these; there is at least one.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, from: [T; N]) -> T {
        from[self.below(N as u64) as usize]
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0.u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_their_bounds() {
        let mut dice = Dice::new(7);
        for _ in 0..10_000 {
            let drawn = dice.micros(50, 20_000_000).as_micros();
            assert!((50..=20_000_000).contains(&drawn), "{drawn}");
        }
        assert_eq!(dice.micros(9, 9), Duration::from_micros(9));
    }
}
