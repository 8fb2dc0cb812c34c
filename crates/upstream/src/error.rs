//! What can go wrong on the way to a service and back.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why there is no answer, or only part of one.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: Kind,
    /// Whether the service may have acted upon the request.
    pub sent: Sent,
    /// The endpoint, as configured: with several, the last one that was tried.
    pub endpoint: Option<Arc<str>>,
    source: Option<Source>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The endpoint's name leads to no address.
    Resolve,
    /// The endpoint refused the connection, or cannot be reached.
    Connect,
    /// The endpoint did not accept the connection in time.
    ConnectTimeout,
    /// As many connections as are allowed are in use.
    Overloaded,
    /// The endpoint has failed too often lately, and is left alone for a while.
    CircuitOpen,
    /// The connection broke before the answer was complete, or what came was not HTTP; or the request's own
    /// body broke off while it was sent.
    Broken,
}

/// Whether a service may have acted upon a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// No byte of the request has left, or the service says that it has not looked at it: it may be sent again, and
    /// elsewhere.
    No,
    /// Nobody knows.
    Perhaps,
}

impl Error {
    pub(crate) fn new(kind: Kind, endpoint: impl Into<Option<Arc<str>>>) -> Self {
        let sent = match kind {
            Kind::Broken => Sent::Perhaps,
            Kind::Resolve | Kind::Connect | Kind::ConnectTimeout | Kind::Overloaded | Kind::CircuitOpen => {
                Sent::No
            }
        };
        Self { kind, sent, endpoint: endpoint.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn unsent(mut self) -> Self {
        self.sent = Sent::No;
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.as_deref().unwrap_or("the service");
        match self.kind {
            Kind::Resolve => write!(f, "the name of {endpoint} cannot be resolved"),
            Kind::Connect => write!(f, "{endpoint} cannot be connected to"),
            Kind::ConnectTimeout => write!(f, "{endpoint} did not accept a connection in time"),
            Kind::Overloaded => write!(f, "all connections to {endpoint} are in use"),
            Kind::CircuitOpen => write!(f, "{endpoint} has failed too often lately"),
            Kind::Broken => write!(f, "the connection to {endpoint} broke"),
        }?;
        f.write_str(match self.sent {
            Sent::No => "; nothing was sent",
            Sent::Perhaps => "; the request may have been acted upon",
        })
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
