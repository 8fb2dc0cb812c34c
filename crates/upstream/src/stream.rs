//! One connection of HTTP/2, and the requests that share it.

use std::cell::Cell;
use std::error::Error as _;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Parts, Scheme};
use http::{Request, Uri, Version};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::rt::Executor;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use crate::connection::Delivery;
use crate::replay::Replay;
use crate::{Body, clock};

/// How much of an answer may come before somebody reads it, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The largest head of an answer, in bytes as HTTP/2 counts them.
const HEAD_BYTES: u32 = 64 * 1024;
/// How much of a request's body waits to be written, in bytes.
const SENT_AHEAD: usize = 64 * 1024;
/// How long a connection with requests under way may be silent before it is asked whether it lives, and how long the
/// answer may take: one that has died would otherwise take all of them with it, again and again.
const SILENCE: Duration = Duration::from_secs(5);

/// A connection that requests share. When the last of them has gone, and the pool has let it go, it is closed.
pub(crate) struct Shared {
    sender: SendRequest<Replay>,
    pub(crate) made: Instant,
    streams: Cell<usize>,
    idle_since: Cell<Instant>,
    /// It has given a request back: it takes no other.
    is_leaving: Cell<bool>,
}

/// A request's place on a connection.
pub(crate) struct Stream {
    shared: Rc<Shared>,
    /// When it was given.
    pub(crate) since: Instant,
}

/// Runs what belongs to a connection on the worker's own thread.
#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

impl Shared {
    /// `streams`: how many requests will share it at most.
    pub(crate) async fn new(stream: TcpStream, streams: usize) -> Result<Rc<Self>, hyper::Error> {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        let mut builder = Builder::new(Local);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            // As much as all of them together, so that answers which nobody reads are in no other's way.
            .initial_connection_window_size(STREAM_WINDOW.saturating_mul(streams).min(i32::MAX as u32))
            .max_header_list_size(HEAD_BYTES)
            .max_send_buf_size(SENT_AHEAD)
            .keep_alive_interval(SILENCE)
            .keep_alive_timeout(SILENCE);
        let (sender, wire) = builder.handshake(TokioIo::new(stream)).await?;
        spawn_local(async move {
            // Whoever waits for an answer is told of an error there.
            let _ = wire.await;
        });
        let (streams, is_leaving, now) = (Cell::default(), Cell::default(), clock::now());
        Ok(Rc::new(Self { sender, made: now, streams, idle_since: Cell::new(now), is_leaving }))
    }

    /// Whether it takes requests, as far as anybody knows.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_leaving.get() && !self.sender.is_closed()
    }

    /// How many requests are under way on it.
    pub(crate) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// How long it has been without a request, where it is.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        (self.streams.get() == 0).then(|| now.saturating_duration_since(self.idle_since.get()))
    }

    /// One more request.
    pub(crate) fn begin(self: &Rc<Self>, now: Instant) -> Stream {
        self.streams.set(self.streams.get() + 1);
        Stream { shared: self.clone(), since: now }
    }
}

impl Stream {
    pub(crate) async fn send(&self, request: Request<Body>) -> Delivery {
        let (head, body) = request.into_parts();
        let (replay, handle) = Replay::new(body);
        let mut sent = Request::new(replay);
        *sent.method_mut() = head.method.clone();
        *sent.version_mut() = Version::HTTP_2;
        *sent.headers_mut() = head.headers.clone();
        // The host was checked where it came in; one that cannot be said here is the service's to refuse.
        *sent.uri_mut() = target(&head.uri, sent.headers_mut()).unwrap_or_else(|| head.uri.clone());
        clean(sent.headers_mut());
        let mut sender = self.shared.sender.clone();
        let mut error = match sender.try_send_request(sent).await {
            Ok(answer) => {
                handle.let_go();
                return Delivery::Answered(answer);
            }
            Err(error) => error,
        };
        let came_back = error.take_message().is_some();
        let error = error.into_error();
        if !came_back && !is_untouched(&error) {
            return Delivery::Lost(error);
        }
        self.shared.is_leaving.set(true);
        match handle.take_back() {
            Some(body) => Delivery::Unsent(Request::from_parts(head, body), error),
            None => Delivery::Refused(error),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let left = self.shared.streams.get() - 1;
        self.shared.streams.set(left);
        if left == 0 {
            self.shared.idle_since.set(clock::now());
        }
    }
}

/// Whether the service has said that it has not looked at the request: it is going away and the request came too late,
/// or has refused the stream before anything was done with it.
fn is_untouched(error: &hyper::Error) -> bool {
    let Some(error) = error.source().and_then(|source| source.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let is_refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || is_refused)
}

/// The whole target: the host is a part of it, and no header.
fn target(uri: &Uri, headers: &mut HeaderMap) -> Option<Uri> {
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(headers.remove(HOST)?.as_bytes()).ok()?);
    parts.path_and_query = uri.path_and_query().cloned();
    Uri::from_parts(parts).ok()
}

/// What says how a connection of HTTP/1.1 is used has no meaning here, and makes a request malformed.
fn clean(headers: &mut HeaderMap) {
    const OTHERS: [HeaderName; 2] =
        [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")];
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE].iter().chain(&OTHERS) {
        headers.remove(name);
    }
    let trailers = HeaderValue::from_static("trailers");
    if headers.get(TE).is_some_and(|te| *te != trailers) || headers.get_all(TE).iter().count() > 1 {
        headers.remove(TE);
    }
}
