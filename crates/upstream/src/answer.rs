//! What a service answers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::pool::Lease;
use crate::{Error, Kind, Tunnel};

/// The body of an answer. When it has been read to its end the connection serves other requests; when it is
/// dropped before, the connection is closed.
pub struct Answer {
    incoming: Incoming,
    /// None once it has been read to its end.
    lease: Option<Lease>,
}

impl Answer {
    pub(crate) fn new(response: Response<Incoming>, lease: Lease) -> Response<Self> {
        let changes_protocol = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        response.map(|incoming| {
            let mut answer = Self { incoming, lease: Some(lease) };
            if answer.incoming.is_end_stream() && !changes_protocol {
                answer.give_back();
            }
            answer
        })
    }

    /// The connection itself, if this is the body of a 101: HTTP has ended on it.
    pub fn into_tunnel(mut self) -> Option<Tunnel> {
        self.lease.take()?.into_tunnel()
    }

    /// What has come already, or comes when the connection is driven on.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        match &mut self.lease {
            Some(lease) if frame.is_pending() => {
                lease.drive(cx);
                Pin::new(&mut self.incoming).poll_frame(cx)
            }
            _ => frame,
        }
    }

    fn give_back(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let answer = self.get_mut();
        let frame = ready!(answer.poll_incoming(cx));
        if frame.is_none() || answer.incoming.is_end_stream() && matches!(frame, Some(Ok(_))) {
            answer.give_back();
        }
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| {
                let endpoint = answer.lease.take().map(|lease| {
                    lease.note_broken_off();
                    lease.endpoint().clone()
                });
                Error::new(Kind::Broken, endpoint).because(error)
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
