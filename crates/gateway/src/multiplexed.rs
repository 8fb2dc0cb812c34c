//! HTTP/2 on a client's connection: its requests share it.

use crate::Limits;
use crate::answer::Body;
use crate::pulse::Socket;
use http::header::{CONNECTION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::{Builder, Connection};
use hyper::service::HttpService;
use hyper_util::rt::TokioIo;
use std::future::Future;
use tokio::task::spawn_local;

/// How a connection of this kind begins, so that it can be told from one of HTTP/1.1.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many requests of a connection are under way at a time.
const STREAMS: u32 = 100;
/// How much of one body, and of all bodies of a connection, may come before somebody takes it, in bytes. Who sends much
/// that nobody takes is in their own way alone.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How much of an answer waits to be written, in bytes.
const SENT_AHEAD: usize = 64 * 1024;
/// How many requests may be taken back before they were looked at, and how many may be malformed, until the connection is
/// closed: to ask and to take back costs a client nothing.
const TAKEN_BACK: usize = 20;
const MALFORMED: usize = 100;

/// Runs what belongs to a connection on the worker's own thread.
#[derive(Clone, Copy)]
pub(crate) struct Local;

impl<F: Future<Output = ()> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

/// Serves the requests of the connection. A head that goes on and on is bounded as any other: hyper closes the connection.
pub(crate) fn serve<S>(limits: &Limits, socket: Socket, service: S) -> Connection<TokioIo<Socket>, S, Local>
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
{
    let mut builder = Builder::new(Local);
    builder
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SENT_AHEAD)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(MALFORMED);
    builder.serve_connection(TokioIo::new(socket), service)
}

/// Cookies may come in pieces; everywhere else they are one line.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return };
    let mut whole = [first.as_bytes(), b"; ", second.as_bytes()].concat();
    for line in lines {
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(line.as_bytes());
    }
    // Its parts were headers, and so is the whole.
    if let Ok(whole) = HeaderValue::try_from(whole) {
        headers.insert(COOKIE, whole);
    }
}

/// What an answer says of its connection has no meaning here. That a connection ends is said to all of its requests at once.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(HeaderName::from_static("keep-alive"));
}
