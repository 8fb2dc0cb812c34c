//! The open connections of one worker to one endpoint.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use http::header::HOST;
use http::{Request, Response};

use crate::affinity::Lot;
use crate::aside::Aside;
use crate::circuit::Pass;
use crate::connection::{Connection, Delivery};
use crate::services::{Endpoint, Limits};
use crate::standing::{Passage, Standing};
use crate::stats::Counters;
use crate::{Answer, Body, CircuitConfig, Error, Kind, Tunnel, clock, connect};

/// The open connections of one worker to one endpoint.
///
/// Invariant: `under_way` + `idle.len()` ≤ `limits.connections`, where a connection that is being made is under way; after
/// a change of the limits this may have to wait for what is under way.
pub(crate) struct Pool {
    endpoint: Endpoint,
    limits: Cell<Limits>,
    /// In the order in which they were given back.
    idle: RefCell<Vec<Idle>>,
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
        let counters = endpoint.meter.register();
        Rc::new(Self { endpoint, limits: Cell::new(limits), idle, counters, aside })
    }

    /// From now on other limits hold. Connections beyond them are closed as they come back.
    pub(crate) fn limit(&self, limits: Limits) {
        self.limits.set(limits);
        let mut idle = self.idle.borrow_mut();
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

    /// How many requests are under way to it: each has a connection to itself.
    pub(crate) fn under_way(&self) -> usize {
        usize::try_from(self.counters().under_way.read()).unwrap_or(usize::MAX)
    }

    /// An idle connection: the one that was used last, so that in quiet times the others grow old.
    pub(crate) fn take_idle(self: &Rc<Self>, now: Instant) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, since }) = idle.pop() {
            if now.saturating_duration_since(since) >= self.limits.get().idle_timeout {
                // Those below it are older still.
                idle.clear();
                return None;
            }
            if connection.is_ready() {
                self.counters().reused.count();
                return Some(Lease { connection, slot: Slot::new(self) });
            }
        }
        None
    }

    /// A new connection.
    pub(crate) async fn open(self: &Rc<Self>) -> Result<Lease, Error> {
        let slot = self.free_slot()?;
        self.note(|aside| aside.tried(clock::now() + self.limits.get().connect_timeout));
        match self.connect().await {
            Ok(connection) => {
                self.counters().connects.count();
                self.note(Aside::succeeded);
                Ok(Lease { connection, slot })
            }
            Err(error) => {
                self.counters().connect_failures.count();
                self.note(|aside| aside.failed(clock::now()));
                Err(error)
            }
        }
    }

    fn free_slot(self: &Rc<Self>) -> Result<Slot, Error> {
        let mut idle = self.idle.borrow_mut();
        if self.under_way() + idle.len() >= self.limits.get().connections {
            if idle.is_empty() {
                self.counters().overloads.count();
                return Err(Error::new(Kind::Overloaded, self.endpoint.address.clone()));
            }
            // The oldest one gives way.
            idle.remove(0);
        }
        Ok(Slot::new(self))
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let address = &self.endpoint.address;
        let stream = connect::connect(address, self.limits.get().connect_timeout).await?;
        let connection = Connection::new(stream).await;
        connection.map_err(|error| Error::new(Kind::Connect, address.clone()).because(error))
    }

    fn note(&self, change: impl FnOnce(&mut Aside)) {
        let mut aside = self.aside.get();
        change(&mut aside);
        self.aside.set(aside);
    }

    fn keep(&self, mut connection: Connection) {
        // It is not ready when the service closes it, or has answered before it had all of the request.
        if !connection.is_ready() {
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

/// A connection in use. Dropping it closes it.
pub(crate) struct Lease {
    connection: Connection,
    slot: Slot,
}

/// What became of a request that was to be sent.
pub(crate) enum Attempt {
    Answered(Response<Answer>),
    /// The request came back untouched, because the connection was closed.
    Unsent(Request<Body>, Error),
}

impl Lease {
    /// Sends the request, with the endpoint as its host unless it names another.
    pub(crate) async fn send(
        mut self,
        mut request: Request<Body>,
        names_host: bool,
    ) -> Result<Attempt, Error> {
        if !names_host {
            request.headers_mut().insert(HOST, self.slot.pool.endpoint.host.clone());
        }
        let broken = |error| Error::new(Kind::Broken, self.slot.pool.endpoint.address.clone()).because(error);
        match self.connection.send(request).await {
            Delivery::Answered(answer) => Ok(Attempt::Answered(Answer::new(answer, self))),
            Delivery::Unsent(request, error) => Ok(Attempt::Unsent(request, broken(error).unsent())),
            Delivery::Lost(error) => {
                self.note_broken();
                Err(broken(error))
            }
        }
    }

    /// Reads and writes as much as can be now.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.connection.drive(cx);
    }

    /// The answer was read to its end: the next request may use the connection.
    pub(crate) fn give_back(self) {
        let Lease { connection, slot } = self;
        slot.pool.keep(connection);
    }

    /// The service has changed the protocol: the connection carries something else from now on.
    pub(crate) fn into_tunnel(self) -> Option<Tunnel> {
        let Lease { connection, slot } = self;
        let (stream, ahead) = connection.into_stream()?;
        Some(Tunnel { stream, ahead, slot })
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

/// The right to one connection in use.
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
