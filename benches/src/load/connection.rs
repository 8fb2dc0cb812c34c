//! One connection: whole messages in, whole messages out.

use super::message;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What one read takes at most, in bytes; more than any message of a measurement.
pub const BUFFER: usize = 64 * 1024;

/// How long a connection may take: on this machine no time at all, but for a listener whose queue is full.
const CONNECT: Duration = Duration::from_millis(5);

/// What becomes of a whole message.
pub type Take<'a> = dyn FnMut(&mut TcpStream, &[u8]) -> io::Result<()> + 'a;

/// A connection, and the beginning of a message that has not come whole.
pub struct Connection {
    pub stream: TcpStream,
    rest: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Connection { stream, rest: Vec::new() })
    }

    pub fn open(target: SocketAddr) -> io::Result<Connection> {
        Connection::new(TcpStream::connect_timeout(&target, CONNECT)?)
    }

    /// Reads what has come, and gives every whole message away. `false` when the connection has ended.
    pub fn read(&mut self, buffer: &mut [u8], ended: bool, take: &mut Take<'_>) -> bool {
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
pub fn send(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    if stream.write(bytes)? == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
