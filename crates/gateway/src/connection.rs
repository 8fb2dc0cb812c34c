//! One client's connection, from its first byte to its last.

use crate::answer::Body;
use crate::pulse::{Pulse, Socket};
use crate::server::{Door, Shared, Stage};
use crate::{Limits, clock, dispatch, tunnel};
use http::HeaderValue;
use hyper::server::conn::http1::{self, Connection};
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
    let end = drive(&mut connection, &pulse, &limits, &worker).await;
    if let (End::Ended, Some(service)) = (&end, client.tunnel.take()) {
        let http1::Parts { io, read_buf, .. } = connection.into_parts();
        if let Some(stream) = io.into_inner().into_stream() {
            tunnel::carry(&worker, stream, read_buf, service).await;
        }
        return;
    }
    drop(connection);
    let lingers = match end {
        End::Ended => pulse.may_be_sending(),
        End::Malformed => true,
        End::Broken => false,
    };
    if lingers {
        worker.stages.before(Stage::Closing, returned.linger()).await;
    }
}

/// Lets hyper serve the connection, until it ends, expires or the worker closes.
async fn drive<S, T>(
    connection: &mut Connection<TokioIo<Socket>, S>,
    pulse: &Pulse,
    limits: &Limits,
    worker: &Shared<T>,
) -> End
where
    S: HttpService<hyper::body::Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut connection = Pin::new(connection);
    let mut timer = pin!(sleep_until((clock::now() + LATER).into()));
    let mut next = if worker.stages.is_before(Stage::Parting) { Stage::Parting } else { Stage::Closing };
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
            connection.as_mut().graceful_shutdown();
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
                if error.is_parse() { End::Malformed } else { End::Broken }
            }
        }
    }
}
