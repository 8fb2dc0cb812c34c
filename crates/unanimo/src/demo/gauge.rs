//! What is measured while orders are placed: how many clients learn how their order ended, when, and how long it took.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Pieces into which the time of the load is cut.
const SLOTS: usize = 480;
/// What counts as the present: long enough for a p99, short enough to follow a crash.
const RECENT: Duration = Duration::from_secs(3);
/// Beyond it the oldest of the present are forgotten sooner.
const RECENT_MOST: usize = 65_536;

/// As many buckets as reach beyond an hour.
const BUCKETS: usize = 512;
const BUCKET_WIDENS: f64 = 1.05;

/// The measurements. Each moment is given.
#[derive(Debug)]
pub struct Gauge {
    began: Instant,
    span: Duration,
    slots: Vec<u64>,
    recent: VecDeque<(Instant, Duration)>,
    /// How many orders took about how long, over the whole time: each bucket is a twentieth wider than the one before.
    took: Vec<u64>,
    marks: Vec<(Duration, &'static str)>,
}

/// The present in figures; once the time is over, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Orders of which a client learned in the last second, or in every second.
    pub per_second: u64,
    /// How long half of them took at most; `None` where there were none.
    pub p50: Option<Duration>,
    /// How long ninety-nine of a hundred took at most.
    pub p99: Option<Duration>,
}

impl Gauge {
    /// Nothing has happened yet. Orders will be placed for this long.
    pub fn new(began: Instant, span: Duration) -> Gauge {
        Gauge {
            began,
            span,
            slots: vec![0; SLOTS],
            recent: VecDeque::new(),
            took: vec![0; BUCKETS],
            marks: Vec::new(),
        }
    }

    /// A client has learned how its order ended, which took so long.
    pub fn note(&mut self, now: Instant, took: Duration) {
        if let Some(slot) = self.slot(now).and_then(|slot| self.slots.get_mut(slot)) {
            *slot += 1;
        }
        if let Some(bucket) = self.took.get_mut(bucket(took)) {
            *bucket += 1;
        }
        if self.recent.len() == RECENT_MOST {
            self.recent.pop_front();
        }
        self.recent.push_back((now, took));
    }

    /// Something was killed.
    pub fn mark(&mut self, now: Instant, what: &'static str) {
        self.marks.push((now - self.began, what));
    }

    /// The figures of the last moments; once the time is over, those of all of it.
    pub fn present(&mut self, now: Instant) -> Present {
        if self.slot(now).is_none() {
            return self.whole();
        }
        while self.recent.front().is_some_and(|(at, _)| now - *at > RECENT) {
            self.recent.pop_front();
        }
        let second = Duration::from_secs(1);
        let per_second = self.recent.iter().rev().take_while(|(at, _)| now - *at <= second).count() as u64;
        let mut took: Vec<Duration> = self.recent.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let rank = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Present { per_second, p50: rank(50), p99: rank(99) }
    }

    fn whole(&self) -> Present {
        let told: u64 = self.slots.iter().sum();
        let all: u64 = self.took.iter().sum();
        let rank = |percent: u64| {
            let (wanted, mut seen) = ((all * percent).div_ceil(100).max(1), 0);
            let reaches = |count: &u64| {
                seen += count;
                seen >= wanted
            };
            self.took.iter().position(reaches).map(longest)
        };
        let per_second = (told as f64 / self.span.as_secs_f64()).round() as u64;
        Present { per_second, p50: rank(50), p99: rank(99) }
    }

    /// Orders per second over the whole time in so many columns; `None` where its time has not come.
    pub fn columns(&self, now: Instant, columns: usize) -> Vec<Option<f64>> {
        let reached = self.slot(now).unwrap_or(SLOTS);
        let seconds = self.span.as_secs_f64() / SLOTS as f64;
        let rate = |column: usize| {
            let (from, to) = (column * SLOTS / columns, ((column + 1) * SLOTS / columns).min(reached));
            let told: u64 = self.slots.get(from..to)?.iter().sum();
            (to > from).then(|| told as f64 / (seconds * (to - from) as f64))
        };
        (0..columns).map(rate).collect()
    }

    /// The column in which each mark stands, of so many.
    pub fn marks(&self, columns: usize) -> Vec<(usize, &'static str)> {
        let column = |at: Duration| (at.as_secs_f64() / self.span.as_secs_f64() * columns as f64) as usize;
        self.marks.iter().map(|(at, what)| (column(*at).min(columns.saturating_sub(1)), *what)).collect()
    }

    /// How long orders have been placed, and how long they are to be.
    pub fn progress(&self, now: Instant) -> (Duration, Duration) {
        ((now - self.began).min(self.span), self.span)
    }

    /// The slot of a moment; `None` when the time is over.
    fn slot(&self, now: Instant) -> Option<usize> {
        let share = (now - self.began).as_secs_f64() / self.span.as_secs_f64();
        (share < 1.0).then_some((share * SLOTS as f64) as usize)
    }
}

/// The bucket of a duration.
fn bucket(took: Duration) -> usize {
    let micros = took.as_secs_f64() * 1e6;
    (micros.max(1.0).ln() / BUCKET_WIDENS.ln()) as usize
}

/// The longest duration of a bucket.
fn longest(bucket: usize) -> Duration {
    Duration::from_secs_f64(BUCKET_WIDENS.powf(bucket as f64 + 1.0) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::super::clock;
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_present_forgets() {
        let began = clock::now();
        let mut gauge = Gauge::new(began, 20 * 1000 * MILLISECOND);
        assert_eq!(gauge.present(began), Present { per_second: 0, p50: None, p99: None });
        for at in 0..200u32 {
            gauge.note(began + at * 10 * MILLISECOND, (at + 1) * MILLISECOND);
        }
        let now = began + 2000 * MILLISECOND;
        let expected =
            Present { per_second: 100, p50: Some(100 * MILLISECOND), p99: Some(198 * MILLISECOND) };
        assert_eq!(gauge.present(now), expected);
        assert_eq!(gauge.present(now + 10_000 * MILLISECOND).p50, None);
    }

    #[test]
    fn in_the_end_all_of_it_counts() {
        let began = clock::now();
        let mut gauge = Gauge::new(began, 4000 * MILLISECOND);
        let over = began + 4000 * MILLISECOND;
        assert_eq!(gauge.present(over), Present { per_second: 0, p50: None, p99: None });
        for at in 0..200u32 {
            gauge.note(began + at * 10 * MILLISECOND, (at + 1) * MILLISECOND);
        }
        let Present { per_second, p50: Some(p50), p99: Some(p99) } = gauge.present(over) else {
            panic!("figures")
        };
        assert_eq!(per_second, 50);
        assert!(p50 >= 100 * MILLISECOND && p50 <= 106 * MILLISECOND, "{p50:?}");
        assert!(p99 >= 198 * MILLISECOND && p99 <= 208 * MILLISECOND, "{p99:?}");
    }

    #[test]
    fn columns_are_rates_and_end_with_the_present() {
        let began = clock::now();
        let mut gauge = Gauge::new(began, 8000 * MILLISECOND);
        for at in 0..40u32 {
            gauge.note(began + at * 50 * MILLISECOND, MILLISECOND);
        }
        gauge.mark(began + 4000 * MILLISECOND, "payment");
        let columns = gauge.columns(began + 3500 * MILLISECOND, 8);
        assert_eq!(columns[..4], [Some(20.0), Some(20.0), Some(0.0), Some(0.0)]);
        assert_eq!(columns[4..], [None; 4]);
        assert_eq!(gauge.marks(8), [(4, "payment")]);
        // What comes after the time is not drawn.
        gauge.note(began + 9000 * MILLISECOND, MILLISECOND);
        assert_eq!(gauge.columns(began + 9000 * MILLISECOND, 1), [Some(5.0)]);
    }
}
