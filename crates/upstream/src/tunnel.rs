//! A connection to a service that speaks another protocol than HTTP by now.

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::pool::Slot;

/// A connection on which the service has changed the protocol. It counts as one that is in use.
pub struct Tunnel {
    pub(crate) stream: TcpStream,
    pub(crate) ahead: Bytes,
    pub(crate) slot: Slot,
}

/// Keeps a tunnel's place among the connections in use.
pub struct Place {
    _slot: Slot,
}

impl Tunnel {
    /// The socket; what the service had already sent on it in the new protocol; and the connection's place, to be held
    /// as long as the socket is open.
    pub fn into_parts(self) -> (TcpStream, Bytes, Place) {
        let Tunnel { stream, ahead, slot } = self;
        (stream, ahead, Place { _slot: slot })
    }
}
