//! The open connections of one worker to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use http::header::HOST;
use http::{Request, Response};
use tokio::net::TcpStream;

use crate::affinity::Lot;
use crate::aside::Aside;
use crate::circuit::Pass;
use crate::connection::{Connection, Delivery};
use crate::multiplex::Multiplex;
use crate::services::{Endpoint, Limits};
use crate::standing::{Passage, Standing};
use crate::stats::Counters;
use crate::stream::{Shared, Stream};
use crate::{Answer, Body, CircuitConfig, Error, Kind, Protocol, Tunnel, clock, connect, framing};

/// The open connections of one worker to one endpoint.
///
/// Invariant, where requests share none: `under_way` + `idle.len()` ≤ `limits.connections`, where a connection that is being made is under way; after
/// a change of the limits this may have to wait for what is under way.
pub(crate) struct Pool {
    endpoint: Endpoint,
    limits: Cell<Limits>,
    /// In the order in which they were given back.
    idle: RefCell<Vec<Idle>>,
    /// Those that requests share.
    multiplex: Multiplex,
    counters: Arc<Counters>,
    aside: Cell<Aside>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(endpoint: Endpoint, limits: Limits) -> Rc<Self> {
        let (idle, aside) = (RefCell::default(), Cell::default());
        let (multiplex, counters) = (Multiplex::default(), endpoint.meter.register());
        Rc::new(Self { endpoint, limits: Cell::new(limits), idle, multiplex, counters, aside })
    }

    /// From now on other limits hold. Connections beyond them are closed as they come back.
    pub(crate) fn limit(&self, limits: Limits) {
        let before = self.limits.replace(limits);
        let mut idle = self.idle.borrow_mut();
        if limits.protocol != before.protocol {
            idle.clear();
            self.multiplex.clear();
        }
        let most = limits.idle_connections.min(limits.connections.saturating_sub(self.under_way()));
        let beyond = idle.len().saturating_sub(most);
        // The oldest go.
        idle.drain(..beyond);
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn address(&self) -> &Arc<str> {
        &self.endpoint.address
    }

    pub(crate) fn is_aside(&self, now: Instant) -> bool {
        self.aside.get().is_aside(now)
    }

    /// A request's way past the circuit, if it may pass. Where it `is_last`, no other endpoint lets any pass.
    pub(crate) fn ask(self: &Rc<Self>, now: Instant, is_last: bool) -> Option<Passage> {
        match self.circuit() {
            None => Some(Passage::new(self, None)),
            Some(config) => {
                let pass = self.standing().ask(now, &config, is_last)?;
                Some(Passage::new(self, Some(pass)))
            }
        }
    }

    /// Whether the circuit lets no request pass.
    pub(crate) fn withholds(&self, now: Instant) -> bool {
        self.circuit().is_some_and(|config| self.standing().withholds(now, &config))
    }

    /// Whether checks have found the endpoint ill.
    pub(crate) fn is_ill(&self) -> bool {
        self.endpoint.standing.is_ill() && self.limits.get().is_checked
    }

    pub(crate) fn circuit(&self) -> Option<CircuitConfig> {
        self.limits.get().circuit
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.endpoint.standing
    }

    /// The endpoint's part in choosing it.
    pub(crate) fn lot(&self) -> Lot {
        self.endpoint.lot
    }

    /// How many requests are under way to it.
    pub(crate) fn under_way(&self) -> usize {
        usize::try_from(self.counters().under_way.read()).unwrap_or(usize::MAX)
    }

    /// A connection that is there already, for one request.
    pub(crate) fn take(self: &Rc<Self>, now: Instant, wanted: Wanted) -> Option<Lease> {
        let line = match (self.limits.get().protocol, wanted) {
            (Protocol::Http1, Wanted::Any) => Line::Own(self.take_idle(now)?),
            (Protocol::Http1, Wanted::New | Wanted::Since(_)) => return None,
            (Protocol::H2c, wanted) => Line::Shared(self.room(now, wanted)?),
        };
        self.counters().reused.count();
        Some(Lease { line, slot: Slot::new(self) })
    }

    fn room(&self, now: Instant, wanted: Wanted) -> Option<Stream> {
        let since = match wanted {
            Wanted::Any | Wanted::New => None,
            Wanted::Since(since) => Some(since),
        };
        self.multiplex.room(now, since, &self.limits.get())
    }

    /// An idle connection: the one that was used last, so that in quiet times the others grow old.
    fn take_idle(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, since }) = idle.pop() {
            if now.saturating_duration_since(since) >= self.limits.get().idle_timeout {
                // Those below it are older still.
                idle.clear();
                return None;
            }
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// A new connection, or room on one that somebody else was making.
    pub(crate) async fn open(self: &Rc<Self>, now: Instant, wanted: Wanted) -> Result<Lease, Error> {
        let slot = self.free_slot()?;
        let line = match self.limits.get().protocol {
            Protocol::Http1 => Line::Own(self.connect(Connection::new).await?),
            Protocol::H2c => Line::Shared(self.stream(now, wanted).await?),
        };
        Ok(Lease { line, slot })
    }

    fn free_slot(self: &Rc<Self>) -> Result<Slot, Error> {
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        let most = match limits.protocol {
            Protocol::Http1 => limits.connections,
            Protocol::H2c => limits.connections.saturating_mul(limits.streams),
        };
        if self.under_way() + idle.len() >= most {
            if idle.is_empty() {
                return Err(self.overloaded());
            }
            // The oldest one gives way.
            idle.remove(0);
        }
        Ok(Slot::new(self))
    }

    fn overloaded(&self) -> Error {
        self.counters().overloads.count();
        Error::new(Kind::Overloaded, self.endpoint.address.clone())
    }

    async fn stream(&self, now: Instant, wanted: Wanted) -> Result<Stream, Error> {
        let turn = self.multiplex.turn().await;
        if let Some(stream) = self.room(now, wanted) {
            return Ok(stream);
        }
        let _turn = turn.map_err(|kind| Error::new(kind, self.endpoint.address.clone()))?;
        let limits = self.limits.get();
        if self.multiplex.len() >= limits.connections {
            return Err(self.overloaded());
        }
        let made = self.connect(|stream| Shared::new(stream, limits.streams)).await;
        made.map(|shared| self.multiplex.add(shared, clock::now()))
            .inspect_err(|error| self.multiplex.failed(error.kind))
    }

    async fn connect<C>(&self, begin: impl AsyncFnOnce(TcpStream) -> hyper::Result<C>) -> Result<C, Error> {
        let (address, limit) = (&self.endpoint.address, self.limits.get().connect_timeout);
        self.note(|aside| aside.tried(clock::now() + limit));
        let connected = match connect::connect(address, limit).await {
            Ok(stream) => {
                begin(stream).await.map_err(|error| Error::new(Kind::Connect, address.clone()).because(error))
            }
            Err(error) => Err(error),
        };
        match &connected {
            Ok(_) => {
                self.counters().connects.count();
                self.note(Aside::succeeded);
            }
            Err(_) => {
                self.counters().connect_failures.count();
                self.note(|aside| aside.failed(clock::now()));
            }
        }
        connected
    }

    fn note(&self, change: impl FnOnce(&mut Aside)) {
        let mut aside = self.aside.get();
        change(&mut aside);
        self.aside.set(aside);
    }

    fn keep(&self, mut connection: Connection) {
        // It is not ready when the service closes it, or has answered before it had all of the request.
        if !connection.is_ready() || self.limits.get().protocol != Protocol::Http1 {
            return;
        }
        let since = clock::now();
        let mut idle = self.idle.borrow_mut();
        let is_old =
            |idle: &&Idle| since.saturating_duration_since(idle.since) >= self.limits.get().idle_timeout;
        let old = idle.iter().take_while(is_old).count();
        idle.drain(..old);
        if idle.len() < self.limits.get().idle_connections {
            idle.push(Idle { connection, since });
        }
    }
}

/// Which connection will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    /// None that is idle: it may have been closed as well.
    New,
    /// None that was made before: it may be about to give the request back as well.
    Since(Instant),
}

/// A connection in use, or a part of it. Dropping it ends the request, and closes a connection that no other shares.
pub(crate) struct Lease {
    line: Line,
    slot: Slot,
}

enum Line {
    /// A connection of its own.
    Own(Connection),
    /// A part of one that others share.
    Shared(Stream),
}

/// What became of a request that was to be sent.
pub(crate) enum Attempt {
    Answered(Response<Answer>),
    /// The request came back untouched, because the connection was closed or is about to be.
    Unsent(Request<Body>, Error),
}

impl Lease {
    /// Sends the request, with the endpoint as its host unless it names another.
    pub(crate) async fn send(
        mut self,
        mut request: Request<Body>,
        names_host: bool,
    ) -> Result<Attempt, Error> {
        framing::frame(&mut request);
        if !names_host {
            request.headers_mut().insert(HOST, self.slot.pool.endpoint.host.clone());
        }
        let broken = |error| Error::new(Kind::Broken, self.slot.pool.endpoint.address.clone()).because(error);
        let delivery = match &mut self.line {
            Line::Own(connection) => connection.send(request).await,
            Line::Shared(stream) => stream.send(request).await,
        };
        match delivery {
            Delivery::Answered(answer) => Ok(Attempt::Answered(Answer::new(answer, self))),
            Delivery::Unsent(request, error) => Ok(Attempt::Unsent(request, broken(error).unsent())),
            Delivery::Refused(error) => Err(broken(error).unsent()),
            Delivery::Lost(error) => {
                self.note_broken();
                Err(broken(error))
            }
        }
    }

    /// Reads and writes as much as can be now.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Line::Own(connection) = &mut self.line {
            connection.drive(cx);
        }
    }

    /// The answer was read to its end: the next request may use the connection.
    pub(crate) fn give_back(self) {
        let Lease { line, slot } = self;
        if let Line::Own(connection) = line {
            slot.pool.keep(connection);
        }
    }

    /// The service has changed the protocol: the connection carries something else from now on.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        let Lease { line, slot } = self;
        let Line::Own(connection) = line else { return None };
        let (stream, ahead) = connection.into_stream()?;
        Some(Tunnel { stream, ahead, slot })
    }

    /// Which connection will do if this one gives the request back.
    pub(crate) fn again(&self) -> Wanted {
        match &self.line {
            Line::Own(_) => Wanted::New,
            Line::Shared(stream) => Wanted::Since(stream.since),
        }
    }

    /// A request is about to be sent, and for the first time.
    pub(crate) fn count(&self) {
        self.slot.pool.counters().requests.count();
    }

    /// The connection broke with a request under way.
    fn note_broken(&self) {
        self.slot.pool.counters().broken.count();
    }

    /// It broke in the middle of an answer.
    pub(crate) fn note_broken_off(&self) {
        self.note_broken();
        // The head had passed as a success.
        if let Some(config) = self.slot.pool.circuit() {
            self.slot.pool.standing().failed(Pass::Free, &config);
        }
    }

    pub(crate) fn endpoint(&self) -> &Arc<str> {
        &self.slot.pool.endpoint.address
    }
}

/// The right to one connection in use, or to a request's place on one that is shared.
pub(crate) struct Slot {
    pool: Rc<Pool>,
}

impl Slot {
    fn new(pool: &Rc<Pool>) -> Self {
        pool.counters().under_way.count();
        Self { pool: pool.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.counters().under_way.uncount();
    }
}
