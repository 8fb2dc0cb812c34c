//! How long answers took.

use std::time::Duration;

/// Buckets for each power of two: a value is known to within 2 %.
const STEPS: u64 = 32;

/// Counts durations, in nanoseconds, by their size.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub fn new() -> Histogram {
        Histogram { counts: vec![0; 64 * STEPS as usize] }
    }

    pub fn add(&mut self, took: Duration) {
        let at = index(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
    }

    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
    }

    /// The time, in microseconds, within which this share of all answers came; 0 where there were none.
    pub fn quantile_us(&self, share: f64) -> f64 {
        let all: u64 = self.counts.iter().sum();
        let wanted = (all as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= wanted {
                return value(at) as f64 / 1000.0;
            }
        }
        0.0
    }
}

fn index(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let power = u64::from(nanos.ilog2());
    let step = (nanos >> (power - u64::from(STEPS.ilog2()))) - STEPS;
    ((power - u64::from(STEPS.ilog2()) + 1) * STEPS + step) as usize
}

/// The smallest value of a bucket.
fn value(at: usize) -> u64 {
    let (row, step) = (at as u64 / STEPS, at as u64 % STEPS);
    if row == 0 { step } else { (STEPS + step) << (row - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_again_within_a_few_percent() {
        for nanos in [0, 1, 31, 32, 33, 63, 64, 1000, 123_456, 987_654_321, u64::MAX] {
            let found = value(index(nanos));
            assert!(found <= nanos && nanos - found <= nanos / STEPS, "{nanos} {found}");
        }
    }

    #[test]
    fn quantiles_are_in_order() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        assert!((490.0..=500.0).contains(&histogram.quantile_us(0.5)));
        assert!((970.0..=990.0).contains(&histogram.quantile_us(0.99)));
        assert_eq!(Histogram::new().quantile_us(0.5), 0.0);
    }
}
