//! What goes back to a client.

use crate::hygiene;
use crate::idle::Idle;
use crate::pulse::Answering;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use unanimo_contract::problem::MEDIA_TYPE;
use unanimo_contract::{ClientAnswer, Problem};
use unanimo_upstream::Answer;

/// The body of an answer.
pub(crate) enum Body {
    Full(Bytes),
    Download(Download),
}

/// An answer of the gateway's own.
pub(crate) fn own(answer: ClientAnswer) -> Response<Body> {
    let mut response = Response::new(Body::Full(answer.body));
    let Ok(status) = StatusCode::from_u16(answer.status) else {
        return own_mistake("its status is no status");
    };
    *response.status_mut() = status;
    for (name, value) in answer.headers {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
            return own_mistake("it has a header that is none");
        };
        response.headers_mut().append(name, value);
    }
    response
}

/// An answer that somebody else described: what cannot be sent over this connection is left out.
pub(crate) fn foreign(mut answer: ClientAnswer) -> Response<Body> {
    if !(200..=599).contains(&answer.status) {
        return own_mistake("its status is no final one");
    }
    answer.headers.retain(|(name, value)| {
        let name = HeaderName::try_from(name.as_str());
        let may_pass = name.is_ok_and(|name| !hygiene::is_hop_by_hop(&name) && name != CONTENT_LENGTH);
        let is_valid = may_pass && HeaderValue::from_str(value).is_ok();
        if !is_valid {
            tracing::debug!(
                "left a header out of an answer: it is malformed, or concerns one connection only"
            );
        }
        is_valid
    });
    own(answer)
}

/// Something that must not happen; it is logged, since the client cannot do anything about it.
fn own_mistake(what: &str) -> Response<Body> {
    tracing::error!("an answer could not be sent: {what}");
    let answer = Problem::Internal.answer("the gateway made an answer that cannot be sent");
    let mut response = Response::new(Body::Full(answer.body));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// A service's answer on its way out, never silent for long.
pub(crate) struct Download {
    answer: Answer,
    idle: Idle,
    /// Why it broke off, told at the next look: what came before leaves first, since an error throws away what waits.
    broke: Option<unanimo_upstream::Error>,
    /// The client's connection waits for an answer until the body has gone.
    answering: Answering,
}

impl Download {
    pub(crate) fn new(answer: Answer, patience: Duration, answering: Answering) -> Download {
        Download { answer, idle: Idle::new(patience), broke: None, answering }
    }
}

/// Why a body ended before its end. The connection is closed, so that the client sees that it did.
#[derive(Debug)]
pub(crate) enum Error {
    Service(unanimo_upstream::Error),
    Silent,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Service(error) => write!(f, "{error}"),
            Error::Silent => f.write_str("the service fell silent"),
        }
    }
}

impl std::error::Error for Error {}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let download = match self.get_mut() {
            Body::Download(download) => download,
            Body::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
        };
        download.answering.taken();
        if let Some(error) = download.broke.take() {
            return Poll::Ready(Some(Err(Error::Service(error))));
        }
        let Poll::Ready(frame) = Pin::new(&mut download.answer).poll_frame(cx) else {
            ready!(download.idle.poll_over(cx));
            return Poll::Ready(Some(Err(Error::Silent)));
        };
        download.idle.moved();
        match frame {
            Some(Err(error)) => {
                download.broke = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Ok(frame)) => {
                download.answering.handed();
                Poll::Ready(Some(Ok(frame)))
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_empty(),
            Body::Download(download) => download.answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Download(download) => download.answer.size_hint(),
        }
    }
}
