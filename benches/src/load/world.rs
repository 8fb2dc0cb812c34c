//! The loop: services answer at once, clients ask again as soon as they have their answer.

use super::histogram::Histogram;
use super::message::{self, Target};
use crate::clock;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many events are taken at a time.
const EVENTS: usize = 1024;

/// What one read takes at most, in bytes; more than any message of a measurement.
const BUFFER: usize = 64 * 1024;

/// How long it looks out for more before it sleeps: whoever wakes a sleeper pays for it, and how often the load sleeps is
/// nothing that the gateway is to be measured by.
const AWAKE: Duration = Duration::from_micros(50);

/// How long a number of requests may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the loop goes on before it is looked at who is idle.
const SHORT: Duration = Duration::from_micros(500);

/// How long a run waits for what is under way, once it has ended.
const LEFTOVERS: Duration = Duration::from_secs(5);

/// What a service answers to a request: the bytes, or `None` for never.
type Service = Rc<dyn Fn(Target<'_>) -> Option<&'static [u8]>>;

/// What becomes of a whole message.
type Take<'a> = dyn FnMut(&mut TcpStream, &[u8]) -> io::Result<()> + 'a;

/// All connections.
pub struct World {
    poll: OwnedFd,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

enum Peer {
    Listener(TcpListener, Service),
    Served(Connection, Service),
    Client { connection: Connection, asked: Instant, waits: bool },
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a message that has not come whole.
    rest: Vec<u8>,
}

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
    pub fn new() -> io::Result<World> {
        Ok(World {
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            peers: Vec::new(),
            free: Vec::new(),
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; BUFFER],
        })
    }

    /// Adds a service, and says where it listens.
    pub fn serve(
        &mut self,
        service: impl Fn(Target<'_>) -> Option<&'static [u8]> + 'static,
    ) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        self.add(Peer::Listener(listener, Rc::new(service)))?;
        Ok(address)
    }

    /// Lets the clients ask for as long as the run says, and tells when its window begins and ends.
    pub fn run(&mut self, run: &Run<'_>, mut tell: impl FnMut(Moment)) -> io::Result<Outcome> {
        let mut outcome = Outcome { answered: 0, failed: 0, seconds: 0.0, latencies: Histogram::new() };
        let mut clients = Vec::with_capacity(run.clients);
        for _ in 0..run.clients {
            let stream = TcpStream::connect(run.target)?;
            let connection = Connection::new(stream)?;
            let now = clock::now();
            let client = self.add(Peer::Client { connection, asked: now, waits: false })?;
            self.ask(client, run.request, now)?;
            clients.push(client);
        }
        let begin = clock::now() + run.warm;
        self.turn_until(begin, Some(run.request), &mut |_, _| {})?;
        tell(Moment::Begins);
        let begin = clock::now();
        self.turn_until(begin + run.window, Some(run.request), &mut |success, took| {
            outcome.answered += u64::from(success);
            outcome.failed += u64::from(!success);
            outcome.latencies.add(took);
        })?;
        outcome.seconds = (clock::now() - begin).as_secs_f64();
        tell(Moment::Ends);
        let late = clock::now() + LEFTOVERS;
        while clients.iter().any(|client| self.waits(*client)) && clock::now() < late {
            self.turn_until(clock::now() + Duration::from_millis(1), None, &mut |_, _| {})?;
        }
        for client in clients {
            self.remove(client);
        }
        Ok(outcome)
    }

    /// Lets the services answer until this moment.
    pub fn serve_until(&mut self, until: Instant) -> io::Result<()> {
        self.turn_until(until, None, &mut |_, _| {})
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
            let connection = Connection::new(TcpStream::connect(target)?)?;
            all.push(self.add(Peer::Client { connection, asked: clock::now(), waits: false })?);
        }
        let late = clock::now() + PATIENCE;
        while left > 0 {
            let idle: Vec<usize> = all.iter().copied().filter(|client| !self.waits(*client)).collect();
            for client in idle.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                self.ask(client, request, clock::now())?;
                left -= 1;
            }
            self.turn_until(clock::now() + SHORT, None, &mut |success, _| failed += u64::from(!success))?;
            if clock::now() > late {
                return Err(io::Error::other("the gateway does not take so many requests"));
            }
        }
        while all.iter().any(|client| self.waits(*client)) && clock::now() < late {
            self.turn_until(clock::now() + SHORT, None, &mut |success, _| failed += u64::from(!success))?;
        }
        all.into_iter().for_each(|client| self.remove(client));
        Ok(failed)
    }

    /// Carries everything on until this moment. A client that has its answer asks `again`, if there is something.
    fn turn_until(
        &mut self,
        until: Instant,
        again: Option<&[u8]>,
        answered: &mut dyn FnMut(bool, Duration),
    ) -> io::Result<()> {
        let mut now = clock::now();
        let mut busy = now;
        while now < until {
            let mut events = std::mem::take(&mut self.events);
            events.clear();
            let sleep = if now - busy < AWAKE { Duration::ZERO } else { until - now };
            let sleep = Timespec::try_from(sleep).map_err(io::Error::other)?;
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&sleep)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            now = clock::now();
            if !events.is_empty() {
                busy = now;
            }
            for event in &events {
                // Packed, so that it has to be copied.
                let (data, flags) = (event.data, event.flags);
                let ended = flags.contains(epoll::EventFlags::RDHUP);
                self.ready(data.u64() as usize, ended, again, answered)?;
            }
            self.events = events;
        }
        Ok(())
    }

    fn ready(
        &mut self,
        at: usize,
        ended: bool,
        again: Option<&[u8]>,
        answered: &mut dyn FnMut(bool, Duration),
    ) -> io::Result<()> {
        let Some(peer) = self.peers.get_mut(at).and_then(Option::take) else { return Ok(()) };
        match peer {
            Peer::Listener(listener, service) => {
                self.accept(&listener, &service)?;
                self.peers[at] = Some(Peer::Listener(listener, service));
            }
            Peer::Served(mut connection, service) => {
                let mut reply = |stream: &mut TcpStream, request: &[u8]| match service(Target::of(request)) {
                    Some(answer) => send(stream, answer),
                    None => Ok(()),
                };
                match connection.read(&mut self.buffer, ended, &mut reply) {
                    true => self.peers[at] = Some(Peer::Served(connection, service)),
                    false => self.free.push(at),
                }
            }
            Peer::Client { mut connection, asked, .. } => {
                let mut done = None;
                let mut take = |_: &mut TcpStream, answer: &[u8]| {
                    done = Some(message::is_success(answer));
                    Ok(())
                };
                let open = connection.read(&mut self.buffer, ended, &mut take);
                if !open && done.is_none() {
                    return Err(io::Error::other("the gateway closed a connection without an answer"));
                }
                self.peers[at] = Some(Peer::Client { connection, asked, waits: done.is_none() });
                if let Some(success) = done {
                    let now = clock::now();
                    answered(success, now - asked);
                    if let Some(again) = again {
                        self.ask(at, again, now)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self, listener: &TcpListener, service: &Service) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => drop(self.add(Peer::Served(Connection::new(stream)?, service.clone()))?),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn ask(&mut self, at: usize, request: &[u8], now: Instant) -> io::Result<()> {
        if let Some(Some(Peer::Client { connection, asked, waits })) = self.peers.get_mut(at) {
            (*asked, *waits) = (now, true);
            send(&mut connection.stream, request)?;
        }
        Ok(())
    }

    fn waits(&self, at: usize) -> bool {
        matches!(self.peers.get(at), Some(Some(Peer::Client { waits: true, .. })))
    }

    fn add(&mut self, peer: Peer) -> io::Result<usize> {
        let at = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let (data, edge) = (epoll::EventData::new_u64(at as u64), epoll::EventFlags::ET);
        let (input, hung_up) = (epoll::EventFlags::IN, epoll::EventFlags::RDHUP);
        match &peer {
            Peer::Listener(listener, _) => epoll::add(&self.poll, listener, data, input)?,
            Peer::Served(connection, _) | Peer::Client { connection, .. } => {
                epoll::add(&self.poll, &connection.stream, data, input | hung_up | edge)?;
            }
        }
        self.peers[at] = Some(peer);
        Ok(at)
    }

    fn remove(&mut self, at: usize) {
        if self.peers.get_mut(at).and_then(Option::take).is_some() {
            self.free.push(at);
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, rest: Vec::new() })
    }

    /// Reads what has come, and gives every whole message away. `false` when the connection has ended.
    fn read(&mut self, buffer: &mut [u8], ended: bool, take: &mut Take<'_>) -> bool {
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(count) => count,
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            };
            let fresh = buffer.get(..count).unwrap_or_default();
            if self.rest.is_empty() {
                let used = messages(&mut self.stream, fresh, take);
                self.rest.extend_from_slice(fresh.get(used..).unwrap_or_default());
            } else {
                self.rest.extend_from_slice(fresh);
                let used = messages(&mut self.stream, &self.rest, take);
                self.rest.drain(..used);
            }
            // A read that did not fill the buffer has emptied the socket: the next event tells of more. But of the
            // end nothing tells again.
            if count < buffer.len() && !ended {
                return true;
            }
        }
    }
}

/// Gives every whole message away, and says how many bytes they had.
fn messages(stream: &mut TcpStream, bytes: &[u8], take: &mut Take<'_>) -> usize {
    let mut used = 0;
    while let Some(rest) = bytes.get(used..)
        && let Some(length) = message::length(rest)
    {
        if take(stream, &rest[..length]).is_err() {
            return bytes.len();
        }
        used += length;
    }
    used
}

/// Messages are much smaller than a socket's buffer: one that is not taken whole is lost.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    if stream.write(bytes)? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
