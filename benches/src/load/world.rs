//! The loop: services answer at once, clients are told of their answers and ask again.

use super::connection::{BUFFER, Connection, send};
use super::message::{self, Target};
use crate::clock;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many events are taken at a time.
const EVENTS: usize = 1024;

/// How long it looks out for more before it sleeps: whoever wakes a sleeper pays for it, and how often the load sleeps is
/// nothing that the gateway is to be measured by.
const AWAKE: Duration = Duration::from_micros(50);

/// What a service answers to a request: the bytes, or `None` for never.
type Service = Rc<dyn Fn(Target<'_>) -> Option<&'static [u8]>>;

/// What a run does with what it is told.
pub(super) type Told<'a> = dyn FnMut(&mut World, News) -> io::Result<()> + 'a;

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

/// What a run is told while the loop turns.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// A client has its answer. It took so long since it had asked, or was to ask.
    Answered { client: usize, status: u16, took: Duration },
    /// A client's connection has ended without an answer to what it had asked. It has been removed.
    Closed { client: usize },
    /// Everything that had come has been looked at.
    Turned,
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

    /// Lets the services answer until this moment.
    pub fn serve_until(&mut self, until: Instant) -> io::Result<()> {
        self.turn_until(until, &mut |_, _| Ok(()))
    }

    /// Carries everything on until this moment.
    pub(super) fn turn_until(&mut self, until: Instant, told: &mut Told<'_>) -> io::Result<()> {
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
                self.ready(data.u64() as usize, ended, told)?;
            }
            self.events = events;
            told(self, News::Turned)?;
        }
        Ok(())
    }

    fn ready(&mut self, at: usize, ended: bool, told: &mut Told<'_>) -> io::Result<()> {
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
            Peer::Client { mut connection, asked, waits } => {
                let mut status = None;
                let mut take = |_: &mut TcpStream, answer: &[u8]| {
                    status = Some(message::status(answer));
                    Ok(())
                };
                let open = connection.read(&mut self.buffer, ended, &mut take);
                if open {
                    let waits = waits && status.is_none();
                    self.peers[at] = Some(Peer::Client { connection, asked, waits });
                } else {
                    self.free.push(at);
                }
                if let Some(status) = status {
                    told(self, News::Answered { client: at, status, took: clock::now() - asked })?;
                } else if !open {
                    told(self, News::Closed { client: at })?;
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

    /// Adds a client, which has asked for nothing yet.
    pub(super) fn join(&mut self, target: SocketAddr) -> io::Result<usize> {
        let connection = Connection::open(target)?;
        self.add(Peer::Client { connection, asked: clock::now(), waits: false })
    }

    /// Lets a client ask. Its time runs from this moment, which may be past. A client that is gone asks nobody.
    pub(super) fn ask(&mut self, at: usize, request: &[u8], asked: Instant) -> io::Result<()> {
        if let Some(Some(Peer::Client { connection, asked: since, waits })) = self.peers.get_mut(at) {
            (*since, *waits) = (asked, true);
            // Where the other side has gone, the connection's end says so.
            match send(&mut connection.stream, request) {
                Err(error) if error.kind() != io::ErrorKind::WriteZero => {}
                sent => sent?,
            }
        }
        Ok(())
    }

    pub(super) fn waits(&self, at: usize) -> bool {
        matches!(self.peers.get(at), Some(Some(Peer::Client { waits: true, .. })))
    }

    /// Whether a client has its connection still.
    pub(super) fn is_open(&self, at: usize) -> bool {
        matches!(self.peers.get(at), Some(Some(Peer::Client { .. })))
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

    pub(super) fn remove(&mut self, at: usize) {
        if let Some(peer) = self.peers.get_mut(at)
            && matches!(peer, Some(Peer::Client { .. }))
        {
            *peer = None;
            self.free.push(at);
        }
    }
}
