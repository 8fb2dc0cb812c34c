//! A connection whose protocol was changed: what one side sends, the other gets, and nobody looks at it.

use crate::idle::Idle;
use crate::server::{Shared, Stage};
use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use unanimo_upstream::Tunnel;

/// How much of each way is held while the other side does not take it, in bytes.
const HELD_BYTES: usize = 8 * 1024;

/// Carries everything both ways, until both sides have ended, one of them breaks, or nothing has moved for too long.
///
/// A tunnel has no end of its own that could be waited for, so it is ended as soon as the worker drains: nothing more
/// is read, what is held is passed on, and each side is told that it was all.
pub(crate) async fn carry<T>(worker: &Shared<T>, client: TcpStream, ahead: Bytes, service: Tunnel) {
    let _counted = worker.tally.tunnels.one();
    let (service, answered, _place) = service.into_parts();
    let both = Both { client, service, up: Way::new(ahead), down: Way::new(answered) };
    let patience = worker.governed.now().rules.limits.tunnel_idle_timeout;
    let carried = run(both, Idle::new(patience), worker.stages.reached(Stage::Draining));
    match worker.stages.before(Stage::Closing, carried).await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "a tunnel broke"),
        None => tracing::debug!("a tunnel was cut off"),
    }
}

/// The two sides, and what is on its way between them.
struct Both {
    client: TcpStream,
    service: TcpStream,
    up: Way,
    down: Way,
}

async fn run(mut both: Both, mut idle: Idle, draining: impl Future<Output = ()>) -> io::Result<()> {
    let mut draining = pin!(draining);
    let mut drains = false;
    poll_fn(|cx| {
        if !drains && draining.as_mut().poll(cx).is_ready() {
            drains = true;
            both.up.reads = false;
            both.down.reads = false;
        }
        let Both { client, service, up, down } = &mut both;
        let before = (up.passed, down.passed);
        let up_ended = up.poll_pass(cx, client, service)?.is_ready();
        let down_ended = down.poll_pass(cx, service, client)?.is_ready();
        if up_ended && down_ended {
            return Poll::Ready(Ok(()));
        }
        if before != (up.passed, down.passed) {
            idle.moved();
        }
        ready!(idle.poll_over(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    })
    .await
}

/// From one side to the other.
struct Way {
    held: Vec<u8>,
    /// How much of what is held was written.
    written: usize,
    /// Whether more may come.
    reads: bool,
    /// Whether the other side knows that nothing more comes.
    has_ended: bool,
    /// How often something was passed on.
    passed: u64,
}

impl Way {
    /// What was read already goes first.
    fn new(ahead: Bytes) -> Way {
        Way { held: ahead.into(), written: 0, reads: true, has_ended: false, passed: 0 }
    }

    /// Passes on what there is. Ready when all has been, and the other side was told so.
    fn poll_pass(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        while !self.has_ended {
            if let Some(rest) = self.held.get(self.written..).filter(|rest| !rest.is_empty()) {
                self.written += ready!(Pin::new(&mut *to).poll_write(cx, rest))?;
                self.passed += 1;
            } else if self.reads {
                ready!(self.poll_read(cx, from))?;
            } else {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.has_ended = true;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, from: &mut TcpStream) -> Poll<io::Result<()>> {
        self.written = 0;
        self.held.resize(HELD_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut self.held);
        let read = Pin::new(from).poll_read(cx, &mut buffer);
        let length = buffer.filled().len();
        self.held.truncate(length);
        ready!(read)?;
        self.reads = length > 0;
        Poll::Ready(Ok(()))
    }
}
