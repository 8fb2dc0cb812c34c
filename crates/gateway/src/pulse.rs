//! What a connection waits for, and since when: one timer for each connection, and none for each request.

use crate::multiplexed::PREFACE;
use crate::{Limits, clock};
use bytes::{Buf, Bytes};
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection's state, as far as time matters to it.
#[derive(Debug)]
pub(crate) struct Pulse {
    waiting: Cell<Waiting>,
    /// How many requests are being answered.
    answers: Cell<usize>,
    /// Whether requests share the connection.
    is_shared: Cell<bool>,
    /// Whether the client was told that no further request is taken.
    has_left: Cell<bool>,
    /// Where requests share the connection: how many answers could go on if the client took more of them, and since when
    /// it has not.
    handed: Cell<usize>,
    taken: Cell<Instant>,
    /// Since when the client has not taken what was sent to it.
    stalled: Cell<Option<Instant>>,
    hung_up: Cell<bool>,
    /// Whether a request's body may still be coming.
    unread: Cell<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// For the next request.
    Idle(Instant),
    /// For the rest of a request's head.
    Head(Instant),
    /// For the answer to a request, which has its own limits.
    Answer,
}

impl Pulse {
    /// A new connection owes us a request's head.
    pub(crate) fn new(now: Instant) -> Rc<Pulse> {
        let waiting = Cell::new(Waiting::Head(now));
        Rc::new(Pulse {
            waiting,
            answers: Cell::default(),
            is_shared: Cell::default(),
            has_left: Cell::default(),
            handed: Cell::default(),
            taken: Cell::new(now),
            stalled: Cell::default(),
            hung_up: Cell::default(),
            unread: Cell::default(),
        })
    }

    /// A request is being answered, until the guard is dropped.
    pub(crate) fn answering(self: &Rc<Pulse>) -> Answering {
        self.waiting.set(Waiting::Answer);
        self.answers.set(self.answers.get() + 1);
        Answering { pulse: self.clone(), is_handed: Cell::default() }
    }

    /// From now on requests share the connection. It owes us none at once: clients connect ahead.
    pub(crate) fn share(&self, now: Instant) {
        self.is_shared.set(true);
        self.waiting.set(Waiting::Idle(now));
    }

    /// Whether the client is to be told that no further request is taken: once, and where requests share the connection.
    /// One that has none has as long as a head may take to be gone.
    pub(crate) fn leaves(&self, now: Instant) -> bool {
        if !self.is_shared.get() || self.has_left.replace(true) {
            return false;
        }
        if self.answers.get() == 0 {
            self.waiting.set(Waiting::Head(now));
        }
        true
    }

    /// When the client will have been waited for too long, as things stand.
    pub(crate) fn expires(&self, limits: &Limits) -> Option<Instant> {
        let waiting = match self.waiting.get() {
            Waiting::Idle(since) => Some(since + limits.idle_timeout),
            Waiting::Head(since) => Some(since + limits.header_timeout),
            Waiting::Answer => None,
        };
        let stalled = self.stalled.get().map(|since| since + limits.body_idle_timeout);
        let untaken = (self.handed.get() > 0).then(|| self.taken.get() + limits.body_idle_timeout);
        waiting.into_iter().chain(stalled).chain(untaken).min()
    }

    /// A request's body begins, or has come whole.
    pub(crate) fn expects_body(&self, more: bool) {
        self.unread.set(more);
    }

    /// Whether the client may still be sending something that nobody reads.
    pub(crate) fn may_be_sending(&self) -> bool {
        (self.unread.get() || self.is_shared.get()) && !self.hung_up.get()
    }

    fn has_read(&self, bytes: usize) {
        match self.waiting.get() {
            _ if bytes == 0 => self.hung_up.set(true),
            // Where requests share the connection, much that comes is no request's.
            Waiting::Idle(_) if !self.is_shared.get() => self.waiting.set(Waiting::Head(clock::now())),
            Waiting::Idle(_) | Waiting::Head(_) | Waiting::Answer => {}
        }
    }

    fn has_written<R>(&self, result: Poll<R>) -> Poll<R> {
        match (result.is_pending(), self.stalled.get()) {
            (true, None) => self.stalled.set(Some(clock::now())),
            (false, Some(_)) => self.stalled.set(None),
            (true, Some(_)) | (false, None) => {}
        }
        result
    }
}

/// While it lives, its connection waits for an answer.
#[derive(Debug)]
pub(crate) struct Answering {
    pulse: Rc<Pulse>,
    /// Whether the client has a part of the answer before it, and we wait until it wants more.
    is_handed: Cell<bool>,
}

impl Answering {
    /// A part of the answer was handed over. Where requests share the connection, only this tells whether it is taken: the
    /// connection itself may well go on.
    pub(crate) fn handed(&self) {
        if self.pulse.is_shared.get() && !self.is_handed.replace(true) {
            if self.pulse.handed.get() == 0 {
                self.pulse.taken.set(clock::now());
            }
            self.pulse.handed.set(self.pulse.handed.get() + 1);
        }
    }

    /// More is wanted.
    pub(crate) fn taken(&self) {
        if self.is_handed.replace(false) {
            self.pulse.handed.set(self.pulse.handed.get() - 1);
            self.pulse.taken.set(clock::now());
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.taken();
        let left = self.pulse.answers.get() - 1;
        self.pulse.answers.set(left);
        if left == 0 {
            self.pulse.waiting.set(Waiting::Idle(clock::now()));
        }
    }
}

/// How long a client whose connection we close may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of that is read before the connection is closed all the same, in bytes.
const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// A client's socket, whose reads and writes are felt in the pulse.
pub(crate) struct Socket {
    /// `None` once it was handed back.
    stream: Option<TcpStream>,
    pulse: Rc<Pulse>,
    opening: Opening,
    /// What was read, and is still to be given out.
    ahead: Bytes,
    /// Where the stream goes when HTTP has done with it.
    returned: Rc<Cell<Option<TcpStream>>>,
}

/// The stream, after its [`Socket`] was dropped.
pub(crate) struct Returned(Rc<Cell<Option<TcpStream>>>);

impl Socket {
    pub(crate) fn new(stream: TcpStream, pulse: Rc<Pulse>) -> (Socket, Returned) {
        let returned = Rc::new(Cell::new(None));
        let (opening, ahead) = (Opening::Unknown, Bytes::new());
        let socket = Socket { stream: Some(stream), pulse, opening, ahead, returned: returned.clone() };
        (socket, Returned(returned))
    }

    /// The same with this given out once more, where it was the beginning of a connection of HTTP/2: else nothing.
    pub(crate) fn once_more(mut self, ahead: Bytes) -> Option<Socket> {
        self.ahead = ahead;
        (self.opening == Opening::Multiplexed).then_some(self)
    }

    /// The stream, when HTTP has done with it and something else begins.
    pub(crate) fn into_stream(mut self) -> Option<TcpStream> {
        self.stream.take()
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Returned {
    /// Lets the client read what was sent to it. To close a socket on which something unread has arrived would make
    /// the client's system forget the answer.
    pub(crate) async fn linger(self) {
        let Some(stream) = self.0.take() else { return };
        // Whatever happens, the connection is closed then.
        let _ = tokio::time::timeout(LINGER, read_on(&stream)).await;
    }
}

/// Says that nothing more comes from us, and reads what still comes from the client.
async fn read_on(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).shutdown(Shutdown::Write)?;
    let mut buffer = [0; 8 * 1024];
    let mut left = LINGER_BYTES;
    while left > 0 {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => left = left.saturating_sub(read),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.returned.set(self.stream.take());
    }
}

/// How a connection has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Not enough has come.
    Unknown,
    /// As one of HTTP/2.
    Multiplexed,
    Other,
}

impl Socket {
    /// Keeps back what may be the beginning of a connection of HTTP/2 until that is clear: read as a request, half of it is
    /// a malformed one. Any other is given out as it comes.
    fn poll_opening(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        buffer.put_slice(&std::mem::take(&mut self.ahead));
        loop {
            let before = buffer.filled().len();
            let read = self.stream()?.poll_read(cx, buffer);
            let begun = &buffer.filled()[start..];
            match read {
                Poll::Pending => {
                    self.ahead = Bytes::copy_from_slice(begun);
                    buffer.set_filled(start);
                    return Poll::Pending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {}
            }
            let has_ended = buffer.filled().len() == before;
            self.pulse.has_read(buffer.filled().len() - before);
            if begun.starts_with(PREFACE) {
                self.opening = Opening::Multiplexed;
            } else if has_ended || !PREFACE.starts_with(begun) {
                self.opening = Opening::Other;
            } else {
                continue;
            }
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.opening == Opening::Unknown {
            return self.poll_opening(cx, buffer);
        }
        if !self.ahead.is_empty() {
            let part = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..part]);
            self.ahead.advance(part);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(self.stream()?.poll_read(cx, buffer))?;
        self.pulse.has_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write(cx, bytes);
        self.pulse.has_written(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = self.stream()?.poll_write_vectored(cx, slices);
        self.pulse.has_written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_has_its_limit() {
        let limits = Limits::default();
        let start = clock::now();
        let pulse = Pulse::new(start);
        assert_eq!(pulse.expires(&limits), Some(start + limits.header_timeout));
        let answering = pulse.answering();
        assert_eq!(pulse.expires(&limits), None);
        drop(answering);
        assert!(pulse.expires(&limits) >= Some(start + limits.idle_timeout));
        pulse.has_read(1);
        let head = pulse.expires(&limits).unwrap();
        assert!(head >= start + limits.header_timeout && head < start + limits.idle_timeout);
        pulse.has_read(1);
        assert_eq!(pulse.expires(&limits), Some(head), "further bytes buy no time");
    }

    #[test]
    fn a_client_that_takes_nothing_runs_out_of_time() {
        let limits = Limits::default();
        let start = clock::now();
        let pulse = Pulse::new(start);
        let _answering = pulse.answering();
        let _ = pulse.has_written(Poll::<()>::Pending);
        let first = pulse.expires(&limits).unwrap();
        assert!(first >= start + limits.body_idle_timeout);
        let _ = pulse.has_written(Poll::<()>::Pending);
        assert_eq!(pulse.expires(&limits), Some(first));
        let _ = pulse.has_written(Poll::Ready(()));
        assert_eq!(pulse.expires(&limits), None);
    }
}
