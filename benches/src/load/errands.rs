//! Clients that each run one errand after another: the requests that one transaction takes, in order.
//!
//! A manager that answers at the end of a transaction is done with its last answer. One that answers before is done when
//! the last branch was called: the participants, who are in the same loop, tell.

use super::calls::{Asked, Call, Calls, DIGITS};
use super::closed::Moment;
use super::histogram::Histogram;
use super::world::{News, World};
use crate::clock;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a run waits for what is under way, once it has ended.
const LEFTOVERS: Duration = Duration::from_secs(2);

/// How long what was under way may still come in once whoever was asked is gone.
const ECHOES: Duration = Duration::from_millis(200);

/// After this a transaction counts as failed, and its client begins another one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both branches, a bit each.
pub const BOTH: u8 = 3;

/// Stands in a step's text where the transaction's number comes.
const NUMBER: &str = "################";

/// What a transaction takes.
#[derive(Clone)]
pub struct Errand {
    pub steps: Vec<Step>,
    /// What the branches are called for last, where that ends it; `None` where the last answer does.
    pub ends_with: Option<Asked>,
}

/// One request of it.
#[derive(Clone)]
pub struct Step {
    target: SocketAddr,
    text: Vec<u8>,
    /// Where the number stands in the text.
    numbers: Vec<usize>,
}

impl Step {
    /// A POST of this JSON, in which [`Step::number`] stands for the transaction's number, as in the path.
    pub fn post(target: SocketAddr, path: &str, headers: &str, body: &str) -> Step {
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: {target}\r\nuser-agent: bench\r\naccept: */*\r\n{headers}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let numbers = text.match_indices(NUMBER).map(|(at, _)| at).collect();
        Step { target, text: text.into_bytes(), numbers }
    }

    pub fn number() -> &'static str {
        NUMBER
    }

    fn write(&self, transaction: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&self.text);
        let digits = format!("{transaction:0DIGITS$}");
        for at in &self.numbers {
            into[*at..at + DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

/// A run of errands.
pub struct Errands<'a> {
    pub errand: &'a Errand,
    pub clients: usize,
    /// The number of the first transaction; later ones follow.
    pub first: u64,
    pub warm: Duration,
    pub window: Duration,
}

/// What came of it, within its window.
pub struct Run {
    pub ended: u64,
    pub failed: u64,
    /// Those that had not come to their end some seconds later.
    pub unfinished: u64,
    pub seconds: f64,
    pub latencies: Histogram,
    /// The number of the next transaction.
    pub next: u64,
}

/// One client.
struct Client {
    /// Its connections, one for each target of the steps, in the order of the steps.
    connections: Vec<usize>,
    transaction: u64,
    began: Instant,
    step: usize,
    /// The branches that were called for what ends the transaction.
    called: u8,
}

/// What is seen of transactions.
#[derive(Clone, Copy, Debug)]
pub enum Seen {
    /// Every request of it was answered with success.
    Acknowledged(u64),
    /// A branch was called, of this run or of one before.
    Called(Call),
    /// It has ended, after so long.
    Done(Duration),
    /// A request of it was answered with a failure, or its end took too long.
    Failed,
    /// A client has lost its connection, and is gone.
    Lost,
}

type See<'a> = dyn FnMut(Seen) -> io::Result<()> + 'a;

/// All clients, while they run.
struct Crew<'a> {
    errand: &'a Errand,
    calls: &'a Calls,
    clients: Vec<Client>,
    /// Which client has which connection, and which transaction.
    by_connection: HashMap<usize, usize>,
    by_transaction: HashMap<u64, usize>,
    next: u64,
    scratch: Vec<u8>,
    /// Whether whoever is done begins another one.
    goes_on: bool,
}

impl World {
    /// Lets the clients run their errands, and tells when the window begins and ends. `calls` is where the participants
    /// of this world write down what they are asked.
    pub fn run_errands(
        &mut self,
        errands: &Errands<'_>,
        calls: &Calls,
        mut tell: impl FnMut(Moment),
    ) -> io::Result<Run> {
        let mut run =
            Run { ended: 0, failed: 0, unfinished: 0, seconds: 0.0, latencies: Histogram::new(), next: 0 };
        let mut crew = Crew::gather(self, errands, calls)?;
        let begin = clock::now() + errands.warm;
        self.turn_until(begin, &mut |world, news| crew.hear(world, news, &mut alive))?;
        tell(Moment::Begins);
        let begin = clock::now();
        self.turn_until(begin + errands.window, &mut |world, news| {
            crew.hear(world, news, &mut |seen| {
                match seen {
                    Seen::Done(took) => {
                        run.ended += 1;
                        run.latencies.add(took);
                    }
                    Seen::Failed => run.failed += 1,
                    Seen::Acknowledged(_) | Seen::Called(_) | Seen::Lost => alive(seen)?,
                }
                Ok(())
            })
        })?;
        run.seconds = (clock::now() - begin).as_secs_f64();
        tell(Moment::Ends);
        crew.goes_on = false;
        let late = clock::now() + LEFTOVERS;
        while !crew.by_transaction.is_empty() && clock::now() < late {
            let soon = clock::now() + Duration::from_millis(1);
            self.turn_until(soon, &mut |world, news| crew.hear(world, news, &mut alive))?;
        }
        (run.next, run.unfinished) = (crew.next, crew.by_transaction.len() as u64);
        crew.leave(self);
        Ok(run)
    }

    /// Lets the clients run their errands for the window, then does something to whom they ask, and lets them see what
    /// comes of it for a moment more.
    pub fn run_into(
        &mut self,
        errands: &Errands<'_>,
        calls: &Calls,
        strike: impl FnOnce(),
        mut see: impl FnMut(Seen),
    ) -> io::Result<()> {
        let mut see = |seen| {
            see(seen);
            Ok(())
        };
        let mut crew = Crew::gather(self, errands, calls)?;
        let end = clock::now() + errands.window;
        self.turn_until(end, &mut |world, news| crew.hear(world, news, &mut see))?;
        crew.goes_on = false;
        strike();
        let end = clock::now() + ECHOES;
        self.turn_until(end, &mut |world, news| crew.hear(world, news, &mut see))?;
        crew.leave(self);
        Ok(())
    }

    /// Lets the participants answer until this moment, and sees what they are asked.
    pub fn serve_calls(
        &mut self,
        until: Instant,
        calls: &Calls,
        mut see: impl FnMut(Call),
    ) -> io::Result<()> {
        self.turn_until(until, &mut |_, _| {
            calls.take().into_iter().for_each(&mut see);
            Ok(())
        })
    }
}

/// Nobody may lose a connection.
fn alive(seen: Seen) -> io::Result<()> {
    match seen {
        Seen::Lost => Err(io::Error::other("a manager closed a connection without an answer")),
        Seen::Acknowledged(_) | Seen::Called(_) | Seen::Done(_) | Seen::Failed => Ok(()),
    }
}

impl<'a> Crew<'a> {
    fn gather(world: &mut World, errands: &Errands<'a>, calls: &'a Calls) -> io::Result<Crew<'a>> {
        let errand = errands.errand;
        let mut crew = Crew {
            errand,
            calls,
            clients: Vec::with_capacity(errands.clients),
            by_connection: HashMap::new(),
            by_transaction: HashMap::new(),
            next: errands.first,
            scratch: Vec::new(),
            goes_on: true,
        };
        for at in 0..errands.clients {
            let mut connections: Vec<usize> = Vec::with_capacity(errand.steps.len());
            for (step, to) in errand.steps.iter().enumerate() {
                let known = errand.steps.iter().take(step).position(|other| other.target == to.target);
                let connection = match known {
                    Some(known) => connections[known],
                    None => world.join(to.target)?,
                };
                crew.by_connection.insert(connection, at);
                connections.push(connection);
            }
            let began = clock::now();
            crew.clients.push(Client { connections, transaction: 0, began, step: 0, called: 0 });
            crew.begin(world, at)?;
        }
        Ok(crew)
    }

    fn hear(&mut self, world: &mut World, news: News, see: &mut See<'_>) -> io::Result<()> {
        match news {
            News::Answered { client, status, .. } => {
                let Some(at) = self.by_connection.get(&client).copied() else { return Ok(()) };
                if status >= 300 {
                    see(Seen::Failed)?;
                    return self.begin(world, at);
                }
                self.clients[at].step += 1;
                if self.clients[at].step < self.errand.steps.len() {
                    return self.send(world, at);
                }
                see(Seen::Acknowledged(self.clients[at].transaction))?;
                self.end_if_done(world, at, see)
            }
            News::Turned => {
                let mut calls = self.calls.take();
                for call in calls.drain(..) {
                    see(Seen::Called(call))?;
                    self.note(world, call, see)?;
                }
                // Its room is kept.
                *self.calls.borrow_mut() = calls;
                Ok(())
            }
            News::Closed { client } => {
                self.by_connection.remove(&client);
                see(Seen::Lost)
            }
        }
    }

    /// A branch was called.
    fn note(&mut self, world: &mut World, call: Call, see: &mut See<'_>) -> io::Result<()> {
        if self.errand.ends_with != Some(call.asked) {
            return Ok(());
        }
        let Some(at) = self.by_transaction.get(&call.transaction).copied() else { return Ok(()) };
        self.clients[at].called |= call.branch;
        self.end_if_done(world, at, see)
    }

    fn end_if_done(&mut self, world: &mut World, at: usize, see: &mut See<'_>) -> io::Result<()> {
        let client = &self.clients[at];
        let answered = client.step == self.errand.steps.len();
        let called = self.errand.ends_with.is_none() || client.called == BOTH;
        if !answered || !called {
            return Ok(());
        }
        let took = clock::now() - client.began;
        see(if took < PATIENCE { Seen::Done(took) } else { Seen::Failed })?;
        self.begin(world, at)
    }

    /// Begins the next transaction of a client.
    fn begin(&mut self, world: &mut World, at: usize) -> io::Result<()> {
        let client = &mut self.clients[at];
        self.by_transaction.remove(&client.transaction);
        if !self.goes_on {
            return Ok(());
        }
        (client.transaction, client.step, client.called) = (self.next, 0, 0);
        client.began = clock::now();
        self.by_transaction.insert(self.next, at);
        self.next += 1;
        self.send(world, at)
    }

    fn send(&mut self, world: &mut World, at: usize) -> io::Result<()> {
        let client = &self.clients[at];
        let mut scratch = std::mem::take(&mut self.scratch);
        self.errand.steps[client.step].write(client.transaction, &mut scratch);
        let sent = world.ask(client.connections[client.step], &scratch, clock::now());
        self.scratch = scratch;
        sent
    }

    fn leave(self, world: &mut World) {
        self.by_connection.into_keys().for_each(|connection| world.remove(connection));
    }
}
