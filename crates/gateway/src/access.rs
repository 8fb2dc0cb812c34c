//! A line in the log for each request, where the operator wants one. It names no query and no header: secrets may stand
//! there.

use http::{HeaderValue, Method, Request};
use hyper::body::Incoming;
use std::cell::{Cell, RefCell};
use std::time::Duration;
use unanimo_contract::trace::Trace;
use unanimo_contract::transactions::STATUS_ADDRESS;
use unanimo_contract::{Id, inquiry};

/// What the line says that nobody else keeps.
pub(crate) struct Line {
    client: String,
    method: Method,
    path: RefCell<String>,
    trace: Cell<Option<Trace>>,
    transaction: Cell<Option<Id>>,
    status: Cell<Option<u16>>,
}

impl Line {
    pub(crate) fn new(client: &HeaderValue, request: &Request<Incoming>) -> Line {
        Line {
            client: client.to_str().unwrap_or_default().to_owned(),
            method: request.method().clone(),
            path: RefCell::new(request.uri().path().to_owned()),
            trace: Cell::new(Trace::of_request(request.headers())),
            transaction: Cell::default(),
            status: Cell::default(),
        }
    }

    /// It asked for one of the gateway's own paths. A token in it is as good as a key, and is cut off.
    pub(crate) fn own_path(&self, path: &str) {
        let (shown, transaction) = match (path.strip_prefix(STATUS_ADDRESS), inquiry::parse(path)) {
            (Some(rest), _) => {
                let id = rest.split('.').next().unwrap_or_default();
                (&path[..STATUS_ADDRESS.len() + id.len()], id.parse().ok())
            }
            (None, transaction) => (path, transaction),
        };
        shown.clone_into(&mut self.path.borrow_mut());
        self.transaction.set(transaction);
    }

    /// The request went on as a step of this trace.
    pub(crate) fn trace(&self, trace: Trace) {
        self.trace.set(Some(trace));
    }

    /// It became this transaction, in the client's trace or in its own.
    pub(crate) fn transaction(&self, transaction: Id) {
        self.transaction.set(Some(transaction));
        self.trace.set(self.trace.get().or(Some(Trace::of_transaction(transaction))));
    }

    pub(crate) fn status(&self, status: u16) {
        self.status.set(Some(status));
    }

    /// Writes it. No status means that the connection ended without an answer.
    pub(crate) fn write(&self, route: &str, took: Duration) {
        tracing::info!(
            client = self.client,
            method = self.method.as_str(),
            path = *self.path.borrow(),
            route,
            status = self.status.get(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            transaction = self.transaction.get().map(display),
            trace = self.trace.get().map(display),
            "request"
        );
    }
}
