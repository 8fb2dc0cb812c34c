//! One client's connection, from its first byte to its last.
//!
//! Each begins as one of HTTP/1.1, which costs those nothing: what hyper finds to be HTTP/2 begins again as such.

use crate::answer::Body;
use crate::pulse::{Pulse, Returned, Socket};
use crate::server::{Door, Shared, Stage};
use crate::{Limits, clock, dispatch, multiplexed, tunnel};
use http::HeaderValue;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Connection};
use hyper::server::conn::http2;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::sleep_until;
use unanimo_contract::Transactions;
use unanimo_upstream::Tunnel;

/// The smallest buffer that hyper takes, in bytes.
const SMALLEST_BUFFER: usize = 64 * 1024;

/// When to look again where nothing is waited for.
const LATER: Duration = Duration::from_secs(3600);

/// Who is at the other end, and who serves it.
pub(crate) struct Client<T> {
    pub(crate) worker: Rc<Shared<T>>,
    pub(crate) door: Door,
    pub(crate) pulse: Rc<Pulse>,
    /// Its address, as a header says it.
    pub(crate) address: HeaderValue,
    /// Where the connection leads on, once a service has changed its protocol.
    pub(crate) tunnel: Cell<Option<Tunnel>>,
}

/// How a connection ended.
enum End {
    /// As HTTP has it.
    Ended,
    /// By something that is no request. It was answered with a status.
    Malformed,
    /// By the words with which a connection of HTTP/2 begins. Nothing was answered.
    Multiplexed,
    /// Broken, expired or cut off: there is nothing more to say.
    Broken,
}

/// How requests are read from connections.
fn protocol(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(SMALLEST_BUFFER))
        // The pulse measures it, with one timer for each connection instead of one for each request.
        .header_read_timeout(None);
    builder
}

/// Serves one connection until it ends.
pub(crate) async fn serve<T: Transactions>(
    worker: Rc<Shared<T>>,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let _open = worker.tally.open.one();
    // Without it, small answers wait for acknowledgements of earlier ones. It fails where the client has gone.
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(address) = HeaderValue::try_from(peer.ip().to_canonical().to_string()) else { return };
    let pulse = Pulse::new(clock::now());
    let (socket, returned) = Socket::new(stream, pulse.clone());
    let (pulse_of_client, tunnel) = (pulse.clone(), Cell::default());
    let client = Rc::new(Client { worker: worker.clone(), door, pulse: pulse_of_client, address, tunnel });
    let service = service_fn(|request| dispatch::answer(client.clone(), request));
    // Between its requests a connection keeps the limits with which it began.
    let limits = worker.governed.now().rules.limits.clone();
    let mut protocol = protocol(&limits);
    // A connection that comes while the worker drains is served once.
    protocol.keep_alive(worker.stages.is_before(Stage::Draining));
    let mut connection = protocol.serve_connection(TokioIo::new(socket), service);
    let leave = Connection::graceful_shutdown;
    // One that begins later is served once.
    let last = if worker.stages.is_before(Stage::Parting) { Stage::Parting } else { Stage::Closing };
    let end = drive(Pin::new(&mut connection), leave, last, &pulse, &limits, &worker).await;
    if let End::Multiplexed = end {
        let http1::Parts { io, read_buf, service, .. } = connection.into_parts();
        if let Some(socket) = io.into_inner().once_more(read_buf) {
            // Boxed, so that it takes no room where there is none of it.
            let end = Box::pin(share(socket, service, &pulse, &limits, &worker)).await;
            part(end, &pulse, returned, &worker).await;
        }
        return;
    }
    if let (End::Ended, Some(service)) = (&end, client.tunnel.take()) {
        let http1::Parts { io, read_buf, .. } = connection.into_parts();
        if let Some(stream) = io.into_inner().into_stream() {
            tunnel::carry(&worker, stream, read_buf, service).await;
        }
        return;
    }
    drop(connection);
    part(end, &pulse, returned, &worker).await;
}

/// Lets the client have what was sent to it, where it may still be sending itself.
async fn part<T>(end: End, pulse: &Pulse, returned: Returned, worker: &Shared<T>) {
    let lingers = match end {
        End::Ended => pulse.may_be_sending(),
        End::Malformed => true,
        End::Broken | End::Multiplexed => false,
    };
    if lingers {
        worker.stages.before(Stage::Closing, returned.linger()).await;
    }
}

/// Serves the requests that share the connection, until it ends.
async fn share<S, T>(socket: Socket, service: S, pulse: &Pulse, limits: &Limits, worker: &Shared<T>) -> End
where
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: 'static,
{
    pulse.share(clock::now());
    let mut connection = pin!(multiplexed::serve(limits, socket, service));
    let leave = http2::Connection::graceful_shutdown;
    drive(connection.as_mut(), leave, Stage::Draining, pulse, limits, worker).await
}

/// Lets hyper serve the connection, until it ends, expires or the worker closes. From the stage on it takes no further
/// request.
async fn drive<C: Future<Output = hyper::Result<()>>, T>(
    mut connection: Pin<&mut C>,
    leave: impl Fn(Pin<&mut C>),
    last: Stage,
    pulse: &Pulse,
    limits: &Limits,
    worker: &Shared<T>,
) -> End {
    let mut timer = pin!(sleep_until((clock::now() + LATER).into()));
    let mut next = last;
    let mut stage = pin!(worker.stages.reached(next));
    poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(End::of(result));
        }
        if stage.as_mut().poll(cx).is_ready() {
            if next == Stage::Closing {
                return Poll::Ready(End::Broken);
            }
            next = Stage::Closing;
            stage.set(worker.stages.reached(next));
            leave(connection.as_mut());
            pulse.leaves(clock::now());
            // Both have to be asked, to be heard of.
            cx.waker().wake_by_ref();
        }
        let expires = pulse.expires(limits);
        if let Some(at) = expires.filter(|at| *at < timer.deadline().into_std()) {
            timer.as_mut().reset(at.into());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = clock::now();
            match expires {
                Some(at) if at <= now && pulse.leaves(now) => {
                    leave(connection.as_mut());
                    cx.waker().wake_by_ref();
                    break;
                }
                Some(at) if at <= now => return Poll::Ready(End::Broken),
                Some(at) => timer.as_mut().reset(at.into()),
                None => timer.as_mut().reset((now + LATER).into()),
            }
        }
        Poll::Pending
    })
    .await
}

impl End {
    fn of(result: Result<(), hyper::Error>) -> End {
        match result {
            Ok(()) => End::Ended,
            Err(error) => {
                tracing::debug!(%error, "a client's connection ended early");
                if error.is_parse_version_h2() {
                    End::Multiplexed
                } else if error.is_parse() {
                    End::Malformed
                } else {
                    End::Broken
                }
            }
        }
    }
}
