//! A request's body on its way in: no longer than allowed, and never silent for long.

use crate::clock;
use crate::idle::Idle;
use crate::pulse::Pulse;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use unanimo_contract::{ClientAnswer, Problem};
use unanimo_upstream::Broken;

/// Why a body did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It is longer than allowed.
    TooLarge,
    /// The client was silent for too long.
    Silent,
    /// The client broke off, or does not keep to HTTP.
    Broken,
}

impl Failure {
    /// What the client is told. Where its body ends nobody knows, so the connection is closed.
    pub(crate) fn answer(self) -> ClientAnswer {
        let answer = match self {
            Failure::TooLarge => {
                Problem::TooLarge.answer("the request's body is longer than this route takes")
            }
            Failure::Silent => Problem::RequestTimeout.answer("the request's body stopped coming"),
            Failure::Broken => Problem::BadRequest.answer("the request's body broke off, or is malformed"),
        };
        answer.with_header("connection", "close")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Failure::TooLarge => "the request's body is too long",
            Failure::Silent => "the client fell silent",
            Failure::Broken => "the request's body broke off",
        })
    }
}

impl std::error::Error for Failure {}

/// A body on its way in.
pub(crate) struct Upload {
    incoming: Incoming,
    /// How many bytes may still come.
    left: u64,
    idle: Idle,
    pulse: Rc<Pulse>,
    progress: Rc<Progress>,
}

/// How far a body has come, for whoever gave it away.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Set when it failed.
    failure: Cell<Option<Failure>>,
    /// Whether the client is being waited for.
    waits: Cell<bool>,
    /// When the last part of it came.
    moved: Cell<Instant>,
}

impl Upload {
    /// Fails at once where the client says itself that too much will come.
    pub(crate) fn new(
        incoming: Incoming,
        limit: u64,
        patience: Duration,
        pulse: &Rc<Pulse>,
    ) -> Result<Upload, Failure> {
        if incoming.size_hint().lower() > limit {
            return Err(Failure::TooLarge);
        }
        let progress =
            Progress { failure: Cell::default(), waits: Cell::default(), moved: Cell::new(clock::now()) };
        Ok(Upload {
            incoming,
            left: limit,
            idle: Idle::new(patience),
            pulse: pulse.clone(),
            progress: Rc::new(progress),
        })
    }

    pub(crate) fn progress(&self) -> Rc<Progress> {
        self.progress.clone()
    }

    /// All of it.
    pub(crate) async fn collect(mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        if self.incoming.is_end_stream() {
            // A copy: what came is a piece of the connection's buffer, which would live as long as the body is kept.
            return Ok(Bytes::copy_from_slice(&first));
        }
        let expected = self.incoming.size_hint().lower().min(self.left);
        let mut whole = BytesMut::with_capacity(first.len() + usize::try_from(expected).unwrap_or_default());
        whole.extend_from_slice(&first);
        while let Some(data) = self.next().await? {
            whole.extend_from_slice(&data);
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = poll_fn(|cx| self.poll_part(cx)).await.transpose()?;
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => return Ok(Some(data)),
                // Trailers end a body, and say nothing here.
                Some(Err(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let Poll::Ready(part) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            self.progress.waits.set(true);
            ready!(self.idle.poll_over(cx));
            return self.fail(Failure::Silent);
        };
        self.idle.moved();
        self.progress.waits.set(false);
        self.progress.moved.set(clock::now());
        let part = match part {
            None => {
                self.pulse.expects_body(false);
                return Poll::Ready(None);
            }
            Some(Err(_)) => return self.fail(Failure::Broken),
            Some(Ok(part)) => part,
        };
        let length = part.data_ref().map_or(0, Bytes::len) as u64;
        match self.left.checked_sub(length) {
            Some(left) => self.left = left,
            None => return self.fail(Failure::TooLarge),
        }
        self.pulse.expects_body(!self.incoming.is_end_stream());
        Poll::Ready(Some(Ok(part)))
    }

    fn fail(&self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        self.progress.failure.set(Some(failure));
        Poll::Ready(Some(Err(failure)))
    }
}

impl Progress {
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.get()
    }

    /// Since when it has been the service's turn: `None` while the client is being waited for.
    pub(crate) fn waited_for_service_since(&self) -> Option<Instant> {
        (!self.waits.get()).then(|| self.moved.get())
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        // Trailers stay here: services that merge them into the head would let a client add there what is removed.
        while let Some(part) = ready!(self.poll_part(cx)) {
            if !part.as_ref().is_ok_and(Frame::is_trailers) {
                return Poll::Ready(Some(part.map_err(Broken::from)));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
