//! A line in the log for each request, where the operator wants one. It names no query and no header: secrets may stand
//! there.

use http::{HeaderValue, Method, Request};
use hyper::body::Incoming;
use std::cell::Cell;
use std::time::Duration;
use unanimo_contract::Id;
use unanimo_contract::trace::Trace;

/// What the line says that nobody else keeps.
pub(crate) struct Line {
    client: String,
    method: Method,
    path: String,
    trace: Cell<Option<Trace>>,
    transaction: Cell<Option<Id>>,
    status: Cell<Option<u16>>,
}

impl Line {
    pub(crate) fn new(client: &HeaderValue, request: &Request<Incoming>) -> Line {
        Line {
            client: client.to_str().unwrap_or_default().to_owned(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            trace: Cell::new(Trace::of_request(request.headers())),
            transaction: Cell::default(),
            status: Cell::default(),
        }
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
            path = self.path,
            route,
            status = self.status.get(),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            transaction = self.transaction.get().map(display),
            trace = self.trace.get().map(display),
            "request"
        );
    }
}
