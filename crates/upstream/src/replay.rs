//! A request's body that can be taken back, as long as little of it has left.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::{Body, Broken};

/// How much of a body is kept until the head of its answer is there, in bytes.
const KEPT_BYTES: usize = 64 * 1024;

/// A body on its way over a connection that gives requests back after it has begun to send them.
pub(crate) enum Replay {
    /// Nothing of it has to be remembered.
    Whole(Body),
    Taped(Rc<RefCell<Tape>>),
}

/// What was already read of a body, and where the rest comes from.
pub(crate) struct Tape {
    /// `None` once it was taken back, or nobody wants it back any more and it has ended.
    body: Option<Body>,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    /// Whether what was read is all there: it was not too much, and the body did not break.
    is_whole: bool,
    has_ended: bool,
}

/// Whoever may want a body back.
pub(crate) enum Handle {
    Whole(Body),
    Taped(Rc<RefCell<Tape>>),
}

impl Replay {
    /// The body as it is sent, and the way to have it back.
    pub(crate) fn new(body: Body) -> (Replay, Handle) {
        match body {
            Body::Empty => (Replay::Whole(Body::Empty), Handle::Whole(Body::Empty)),
            Body::Full(bytes) => (Replay::Whole(Body::Full(bytes.clone())), Handle::Whole(Body::Full(bytes))),
            streaming @ Body::Streaming(_) => {
                let tape = Tape {
                    body: Some(streaming),
                    kept: Vec::new(),
                    kept_bytes: 0,
                    is_whole: true,
                    has_ended: false,
                };
                let tape = Rc::new(RefCell::new(tape));
                (Replay::Taped(tape.clone()), Handle::Taped(tape))
            }
        }
    }
}

impl Handle {
    /// The body from its beginning, if that is still to be had. Whoever was sending it finds that it breaks off.
    pub(crate) fn take_back(self) -> Option<Body> {
        let tape = match self {
            Handle::Whole(body) => return Some(body),
            Handle::Taped(tape) => tape,
        };
        let mut tape = tape.borrow_mut();
        let body = tape.body.take().filter(|_| tape.is_whole)?;
        if tape.kept.is_empty() && !tape.has_ended {
            return Some(body);
        }
        let mut ahead = std::mem::take(&mut tape.kept);
        ahead.reverse();
        let body = (!tape.has_ended).then_some(body);
        Some(Body::Streaming(Box::pin(Again { ahead, body })))
    }

    /// Nobody will want it back: what was kept is let go.
    pub(crate) fn let_go(self) {
        if let Handle::Taped(tape) = self {
            tape.borrow_mut().forget();
        }
    }
}

impl Tape {
    fn forget(&mut self) {
        self.is_whole = false;
        self.kept = Vec::new();
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Some(body) = &mut self.body else {
            return Poll::Ready(Some(Err("the request is sent another way".into())));
        };
        let frame = ready!(Pin::new(body).poll_frame(cx)).transpose();
        match &frame {
            Ok(Some(frame)) => match frame.data_ref() {
                Some(data) if self.is_whole && self.kept_bytes + data.len() <= KEPT_BYTES => {
                    self.kept_bytes += data.len();
                    self.kept.push(data.clone());
                }
                _ => self.forget(),
            },
            Ok(None) => self.has_ended = true,
            Err(_) => self.forget(),
        }
        Poll::Ready(frame.transpose())
    }
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Replay::Whole(body) => Pin::new(body).poll_frame(cx),
            Replay::Taped(tape) => tape.borrow_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Replay::Whole(body) => body.is_end_stream(),
            Replay::Taped(tape) => {
                let tape = tape.borrow();
                tape.has_ended || tape.body.as_ref().is_some_and(http_body::Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Replay::Whole(body) => body.size_hint(),
            Replay::Taped(tape) => {
                tape.borrow().body.as_ref().map_or_else(SizeHint::default, http_body::Body::size_hint)
            }
        }
    }
}

/// A body that was taken back: first what was read of it already.
struct Again {
    /// The last one first.
    ahead: Vec<Bytes>,
    /// `None` where nothing comes after it.
    body: Option<Body>,
}

impl http_body::Body for Again {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(data) = self.ahead.pop() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.iter().map(|data| data.len() as u64).sum::<u64>();
        let rest = self.body.as_ref().map_or(SizeHint::with_exact(0), http_body::Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}
