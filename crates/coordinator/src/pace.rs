//! How fast the clients of each plan get their answers, and whether one more would still get its in time.
//!
//! More requests than can be done make every one of them wait, until none is answered while its client still cares. By
//! Little's law a new one will wait for as long as those before it take at their present pace: where that is more than
//! half of the route's deadline, it is better turned away at once, which costs next to nothing. A route whose participant
//! is slow or silent turns away its own requests, and nobody else's.

use std::collections::BTreeMap;
use std::time::Duration;
use unanimo_contract::Digest;
use unanimo_protocol::Time;

/// So many may wait, however slow they are: a few say nothing about a pace.
const FEW: u32 = 64;

/// Over so much time answers are counted before the pace follows.
const WINDOW: Duration = Duration::from_millis(100);

/// The pace of every plan for which somebody waits, and of no other.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    plans: BTreeMap<Digest, Pace>,
}

#[derive(Debug, Default)]
struct Pace {
    waiting: u32,
    /// Answers for each second, once a window has passed.
    rate: Option<f64>,
    /// With the answer that ends one window the next begins; the first begins with the first answer.
    window_began: Option<Time>,
    answers: u32,
    /// When the last one was answered; when waiting began, where none was.
    moved: Time,
}

impl Paces {
    /// One more client waits.
    pub(crate) fn joined(&mut self, plan: Digest, now: Time) {
        self.plans.entry(plan).or_insert_with(|| Pace { moved: now, ..Pace::default() }).waiting += 1;
    }

    /// A client has its answer.
    pub(crate) fn answered(&mut self, plan: Digest, now: Time) {
        let Some(pace) = self.left(plan) else { return };
        pace.moved = now;
        let Some(began) = pace.window_began else {
            pace.window_began = Some(now);
            return;
        };
        pace.answers += 1;
        let window = now.since(began);
        if window >= WINDOW {
            let seen = f64::from(pace.answers) / window.as_secs_f64();
            pace.rate = Some(pace.rate.map_or(seen, |rate| (rate + seen) / 2.0));
            (pace.window_began, pace.answers) = (Some(now), 0);
        }
    }

    /// A client waits no more, for a reason that says nothing about the pace.
    pub(crate) fn gone(&mut self, plan: Digest) {
        self.left(plan);
    }

    /// One less waits: with the last of them the pace is forgotten, so that former plans leave nothing behind.
    fn left(&mut self, plan: Digest) -> Option<&mut Pace> {
        let pace = self.plans.get_mut(&plan)?;
        pace.waiting = pace.waiting.saturating_sub(1);
        if pace.waiting == 0 {
            self.plans.remove(&plan);
        }
        self.plans.get_mut(&plan)
    }

    /// How long one more would wait, where that is more than half of its deadline.
    pub(crate) fn too_long(&self, plan: Digest, deadline: Duration, now: Time) -> Option<Duration> {
        let pace = self.plans.get(&plan).filter(|pace| pace.waiting >= FEW)?;
        let by_rate = pace.rate.map(|rate| f64::from(pace.waiting) / rate.max(1e-3));
        let by_rate = Duration::from_secs_f64(by_rate.unwrap_or_default().min(3600.0));
        // While nobody is answered at all the pace is older than what it says.
        let wait = by_rate.max(now.since(pace.moved));
        (wait > deadline / 2).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Digest = Digest([1; 16]);
    const OTHER: Digest = Digest([2; 16]);
    const DEADLINE: Duration = Duration::from_secs(2);
    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_first_crowd_is_let_in_since_nobody_knows_how_fast_it_goes() {
        let mut paces = Paces::default();
        for _ in 0..10_000 {
            assert_eq!(paces.too_long(PLAN, DEADLINE, Time(0)), None);
            paces.joined(PLAN, Time(0));
        }
    }

    #[test]
    fn who_would_wait_for_more_than_half_of_the_deadline_is_turned_away() {
        let (mut paces, mut now) = (Paces::default(), Time(0));
        let (mut turned_away, mut most) = (0, 0);
        // A hundred answers a second, and three hundred requests.
        for step in 0..30_000u32 {
            now = now + MILLISECOND;
            if step % 10 == 0 {
                paces.answered(PLAN, now);
            }
            if step % 10 < 3 {
                match paces.too_long(PLAN, DEADLINE, now) {
                    Some(_) => turned_away += 1,
                    None => paces.joined(PLAN, now),
                }
            }
            most = most.max(paces.plans.get(&PLAN).map_or(0, |pace| pace.waiting));
        }
        assert!((90..=110).contains(&most), "{most} waited, who are answered within a second");
        assert!((5_500..6_500).contains(&turned_away), "{turned_away}");
        assert_eq!(paces.too_long(OTHER, DEADLINE, now), None);
    }

    #[test]
    fn a_slow_participant_that_keeps_its_deadline_turns_nobody_away() {
        let (mut paces, mut now) = (Paces::default(), Time(0));
        // Each takes nine tenths of a second, a thousand begin in each.
        for step in 0..5_000 {
            now = now + MILLISECOND;
            if step >= 900 {
                paces.answered(PLAN, now);
            }
            assert_eq!(paces.too_long(PLAN, DEADLINE, now), None, "at {now:?}");
            paces.joined(PLAN, now);
        }
    }

    #[test]
    fn silence_is_noticed_and_its_end_too() {
        let (mut paces, mut now) = (Paces::default(), Time(0));
        for _ in 0..1_000 {
            now = now + MILLISECOND;
            paces.joined(PLAN, now);
            paces.answered(PLAN, now);
        }
        (0..100).for_each(|_| paces.joined(PLAN, now));
        now = now + Duration::from_millis(1_001);
        assert!(paces.too_long(PLAN, DEADLINE, now).is_some());
        for _ in 0..40 {
            now = now + MILLISECOND;
            paces.answered(PLAN, now);
        }
        assert_eq!(paces.too_long(PLAN, DEADLINE, now), None);
        (0..100).for_each(|_| paces.gone(PLAN));
        assert!(paces.plans.is_empty(), "what nobody waits for is forgotten");
    }
}
