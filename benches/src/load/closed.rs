//! Clients that ask again as soon as they have their answer: never more is under way than there are of them.

use super::histogram::Histogram;
use super::world::{News, World};
use crate::clock;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a number of requests may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the loop goes on before it is looked at who is idle.
const SHORT: Duration = Duration::from_micros(500);

/// How long a run waits for what is under way, once it has ended.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// A number of clients that ask for the same thing for a while.
pub struct Run<'a> {
    /// Whom.
    pub target: SocketAddr,
    /// What, as it goes over the wire.
    pub request: &'a [u8],
    /// How many of them.
    pub clients: usize,
    /// What comes before the window, and is not counted.
    pub warm: Duration,
    /// What is counted.
    pub window: Duration,
}

/// What is told of a run while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// From now on it counts.
    Begins,
    /// It counts no more.
    Ends,
}

/// What came of a run, within its window.
#[derive(Clone)]
pub struct Outcome {
    /// Answers with a status below 300.
    pub answered: u64,
    /// All other answers.
    pub failed: u64,
    /// How long the window was.
    pub seconds: f64,
    /// How long the answers took.
    pub latencies: Histogram,
}

impl World {
    /// Lets the clients ask for as long as the run says, and tells when its window begins and ends.
    pub fn run(&mut self, run: &Run<'_>, mut tell: impl FnMut(Moment)) -> io::Result<Outcome> {
        let mut outcome = Outcome { answered: 0, failed: 0, seconds: 0.0, latencies: Histogram::new() };
        let mut clients = Vec::with_capacity(run.clients);
        for _ in 0..run.clients {
            let client = self.join(run.target)?;
            self.ask(client, run.request, clock::now())?;
            clients.push(client);
        }
        self.turn_until(clock::now() + run.warm, &mut |world, news| {
            let Some((client, ..)) = answered(news)? else { return Ok(()) };
            world.ask(client, run.request, clock::now())
        })?;
        tell(Moment::Begins);
        let begin = clock::now();
        self.turn_until(begin + run.window, &mut |world, news| {
            let Some((client, success, took)) = answered(news)? else { return Ok(()) };
            outcome.answered += u64::from(success);
            outcome.failed += u64::from(!success);
            outcome.latencies.add(took);
            world.ask(client, run.request, clock::now())
        })?;
        outcome.seconds = (clock::now() - begin).as_secs_f64();
        tell(Moment::Ends);
        let late = clock::now() + LEFTOVERS;
        while clients.iter().any(|client| self.waits(*client)) && clock::now() < late {
            self.turn_until(clock::now() + Duration::from_millis(1), &mut |_, _| Ok(()))?;
        }
        clients.into_iter().for_each(|client| self.remove(client));
        Ok(outcome)
    }

    /// Asks for the same thing so many times, with so many clients, and says how many answers were no success.
    pub fn ask_times(
        &mut self,
        target: SocketAddr,
        request: &[u8],
        clients: usize,
        times: u64,
    ) -> io::Result<u64> {
        let (mut left, mut failed) = (times, 0);
        let mut all = Vec::with_capacity(clients);
        for _ in 0..clients {
            all.push(self.join(target)?);
        }
        let mut count = |_: &mut World, news| {
            failed += u64::from(answered(news)?.is_some_and(|(_, success, _)| !success));
            Ok(())
        };
        let late = clock::now() + PATIENCE;
        while left > 0 {
            let idle: Vec<usize> = all.iter().copied().filter(|client| !self.waits(*client)).collect();
            for client in idle.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                self.ask(client, request, clock::now())?;
                left -= 1;
            }
            self.turn_until(clock::now() + SHORT, &mut count)?;
            if clock::now() > late {
                return Err(io::Error::other("the gateway does not take so many requests"));
            }
        }
        while all.iter().any(|client| self.waits(*client)) && clock::now() < late {
            self.turn_until(clock::now() + SHORT, &mut count)?;
        }
        all.into_iter().for_each(|client| self.remove(client));
        Ok(failed)
    }
}

/// Which client has its answer, whether it is a success, and how long it took. A connection that ends without one is an
/// error: nothing here gives a reason for it.
fn answered(news: News) -> io::Result<Option<(usize, bool, Duration)>> {
    match news {
        News::Answered { client, status, took } => Ok(Some((client, status < 300, took))),
        News::Turned => Ok(None),
        News::Closed { .. } => Err(io::Error::other("the gateway closed a connection without an answer")),
    }
}
