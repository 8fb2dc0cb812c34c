//! Requests that come when they come, whether or not those before them were answered.
//!
//! Each has its moment, and its time counts from there, also while it waits for a connection of its own: a gateway that
//! answers late is not asked less for it.

use super::histogram::Histogram;
use super::world::{News, World};
use crate::clock;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Connections at a time: beyond them, requests wait for one.
const CONNECTIONS: usize = 8000;

/// How many requests may wait for a connection. Beyond them one is lost, and counted as such.
const BACKLOG: usize = 100_000;

/// How long nobody tries to connect after a connection that did not come about, since the listener's queue was full.
const FULL: Duration = Duration::from_millis(50);

/// A request that leaves later than this after its moment is tardy.
const TARDY: Duration = Duration::from_millis(100);

/// How many requests leave at most until answers are looked at.
const BURST: usize = 32;

/// How often it is looked whose time has come.
const TURN: Duration = Duration::from_micros(200);

/// How long answers are waited for once the last request has left.
const LEFTOVERS: Duration = Duration::from_secs(10);

/// What is offered, second by second.
pub struct Offer<'a> {
    pub target: SocketAddr,
    /// What is asked for, in turns.
    pub requests: &'a [&'a [u8]],
    /// How many a second, in each second.
    pub rates: &'a [f64],
    /// After this, a client hangs up.
    pub patience: Duration,
}

/// What became of the requests of one second.
#[derive(Clone)]
pub struct Second {
    /// Requests whose moment was in this second.
    pub offered: u64,
    /// Those of them that were answered with success in time.
    pub good: u64,
    /// With 503.
    pub shed: u64,
    /// With something else, or not in time: then their clients have hung up.
    pub other: u64,
    /// Of all, those that left much too late, since whoever offers had no time or no connection for them: where there are
    /// many, it is the load that is measured.
    pub tardy: u64,
    /// How long it took until they were answered, or hung up.
    pub latencies: Histogram,
}

impl Second {
    fn give_up(&mut self, patience: Duration) {
        self.other += 1;
        self.latencies.add(patience);
    }
}

/// For each request, in the order of the offer, all its seconds.
pub type Seen = Vec<Vec<Second>>;

/// A request that has its moment.
#[derive(Clone, Copy)]
struct Asked {
    request: usize,
    second: usize,
    moment: Instant,
}

impl World {
    /// Offers, and tells when each second begins. What is done then must be short: everybody waits for it.
    pub fn offer(&mut self, offer: &Offer<'_>, mut tell: impl FnMut(usize)) -> io::Result<Seen> {
        let mut crowd = Crowd::new(offer);
        let begin = clock::now();
        let (mut told, mut next) = (0, Moments::new(offer.rates));
        while let Some((second, after)) = next.peek() {
            let now = clock::now();
            if told <= second && begin + Duration::from_secs(told as u64) <= now {
                tell(told);
                told += 1;
            }
            let moment = begin + after;
            let mut left = 0;
            if moment <= now {
                crowd.arrive(second, moment);
                next.advance();
                left = 1;
                while left < BURST
                    && let Some((second, after)) = next.peek()
                    && begin + after <= now
                {
                    crowd.arrive(second, begin + after);
                    next.advance();
                    left += 1;
                }
                crowd.dispatch(self)?;
            }
            let soon = if left > 0 { now } else { moment.min(now + TURN) };
            self.turn_until(soon.max(clock::now() + Duration::from_micros(1)), &mut |world, news| {
                crowd.hear(world, news)
            })?;
        }
        let late = clock::now() + LEFTOVERS;
        while !crowd.is_done() && clock::now() < late {
            crowd.dispatch(self)?;
            self.turn_until(clock::now() + TURN, &mut |world, news| crowd.hear(world, news))?;
        }
        crowd.leave(self);
        Ok(crowd.seen)
    }
}

/// The moments, evenly spread over each second.
struct Moments<'a> {
    rates: &'a [f64],
    second: usize,
    /// The share of the second that has passed.
    passed: f64,
}

impl<'a> Moments<'a> {
    fn new(rates: &'a [f64]) -> Moments<'a> {
        Moments { rates, second: 0, passed: 0.0 }
    }

    /// The next moment: in which second, and how long after the beginning.
    fn peek(&mut self) -> Option<(usize, Duration)> {
        while self.passed >= 1.0 {
            self.passed -= 1.0;
            self.second += 1;
        }
        self.rates.get(self.second)?;
        Some((self.second, Duration::from_secs_f64(self.second as f64 + self.passed)))
    }

    fn advance(&mut self) {
        let rate = self.rates.get(self.second).copied().unwrap_or(1.0);
        self.passed += 1.0 / rate.max(1.0);
    }
}

/// Everybody who has asked, or is about to.
struct Crowd<'a> {
    offer: &'a Offer<'a>,
    idle: Vec<usize>,
    asked: HashMap<usize, Asked>,
    /// Who has asked, in the order of their moments, until their patience ends.
    patient: VecDeque<(usize, Instant)>,
    backlog: VecDeque<Asked>,
    arrived: usize,
    /// When somebody may try to connect again.
    connects: Instant,
    seen: Seen,
}

impl<'a> Crowd<'a> {
    fn new(offer: &'a Offer<'a>) -> Crowd<'a> {
        let none =
            || Second { offered: 0, good: 0, shed: 0, other: 0, tardy: 0, latencies: Histogram::new() };
        let seconds: Vec<Second> = offer.rates.iter().map(|_| none()).collect();
        Crowd {
            offer,
            idle: Vec::new(),
            asked: HashMap::new(),
            patient: VecDeque::new(),
            backlog: VecDeque::new(),
            arrived: 0,
            connects: clock::now(),
            seen: vec![seconds; offer.requests.len()],
        }
    }

    fn arrive(&mut self, second: usize, moment: Instant) {
        let request = self.arrived % self.offer.requests.len();
        self.arrived += 1;
        let seen = &mut self.seen[request][second];
        seen.offered += 1;
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(Asked { request, second, moment });
        } else {
            seen.other += 1;
        }
    }

    /// Gives those that wait a connection each, as far as there are any. Whose patience has ended, hangs up.
    fn dispatch(&mut self, world: &mut World) -> io::Result<()> {
        let now = clock::now();
        while let Some((client, moment)) = self.patient.front().copied()
            && now > moment + self.offer.patience
        {
            self.patient.pop_front();
            if let Some(asked) = self.asked.get(&client).copied().filter(|asked| asked.moment == moment) {
                self.asked.remove(&client);
                self.seen[asked.request][asked.second].give_up(self.offer.patience);
                world.remove(client);
            }
        }
        while let Some(asked) = self.backlog.front().filter(|asked| now > asked.moment + self.offer.patience)
        {
            let seen = &mut self.seen[asked.request][asked.second];
            seen.give_up(self.offer.patience);
            seen.tardy += 1;
            self.backlog.pop_front();
        }
        let mut joins = 0;
        while let Some(asked) = self.backlog.front().copied() {
            let client = match self.idle.pop() {
                Some(idle) => idle,
                // Not more at once than a listener's queue takes.
                None if self.asked.len() < CONNECTIONS && joins < BURST && now >= self.connects => {
                    joins += 1;
                    match world.join(self.offer.target) {
                        Ok(client) => client,
                        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                            self.connects = now + FULL;
                            return Ok(());
                        }
                        Err(error) => return Err(error),
                    }
                }
                None => return Ok(()),
            };
            self.backlog.pop_front();
            self.asked.insert(client, asked);
            self.seen[asked.request][asked.second].tardy += u64::from(clock::now() > asked.moment + TARDY);
            self.patient.push_back((client, asked.moment));
            world.ask(client, self.offer.requests[asked.request], asked.moment)?;
        }
        Ok(())
    }

    fn hear(&mut self, world: &mut World, news: News) -> io::Result<()> {
        match news {
            News::Answered { client, status, took } => {
                let Some(asked) = self.asked.remove(&client) else { return Ok(()) };
                let seen = &mut self.seen[asked.request][asked.second];
                seen.latencies.add(took);
                match status {
                    200..300 if status != 202 => seen.good += 1,
                    503 => seen.shed += 1,
                    _ => seen.other += 1,
                }
                if world.is_open(client) {
                    self.idle.push(client);
                }
                self.dispatch(world)
            }
            News::Closed { client } => {
                self.idle.retain(|idle| *idle != client);
                if let Some(asked) = self.asked.remove(&client) {
                    self.seen[asked.request][asked.second].other += 1;
                }
                Ok(())
            }
            News::Turned => Ok(()),
        }
    }

    fn is_done(&self) -> bool {
        self.asked.is_empty() && self.backlog.is_empty()
    }

    fn leave(&mut self, world: &mut World) {
        for asked in self.asked.values().chain(&self.backlog) {
            self.seen[asked.request][asked.second].other += 1;
        }
        self.asked.drain().for_each(|(client, _)| world.remove(client));
        self.idle.drain(..).for_each(|client| world.remove(client));
    }
}

/// Adds seconds up.
pub fn sum<'a>(seconds: impl IntoIterator<Item = &'a Second>) -> Second {
    let mut sum = Second { offered: 0, good: 0, shed: 0, other: 0, tardy: 0, latencies: Histogram::new() };
    for second in seconds {
        sum.offered += second.offered;
        sum.good += second.good;
        sum.shed += second.shed;
        sum.other += second.other;
        sum.tardy += second.tardy;
        sum.latencies.merge(&second.latencies);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_over_their_seconds() {
        let mut moments = Moments::new(&[4.0, 2.0]);
        let mut all = Vec::new();
        while let Some((second, after)) = moments.peek() {
            all.push((second, after.as_millis()));
            moments.advance();
        }
        assert_eq!(all, [(0, 0), (0, 250), (0, 500), (0, 750), (1, 1000), (1, 1500)]);
    }
}
