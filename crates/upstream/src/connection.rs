//! One connection to an endpoint.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, spawn_local};

use crate::Body;

/// One connection: dropping it closes it, whatever is under way.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
}

/// Who reads and writes.
enum Driver {
    /// Whoever waits for the answer: no other task has to wake up for it.
    Caller(Pin<Box<Wire>>),
    /// A task of its own, since a request's body goes on while nobody waits for the answer.
    Task(AbortHandle),
    /// Nobody any more: HTTP has ended on it. Whoever drove it has left the socket here.
    Ended(Option<Pin<Box<Wire>>>),
}

type Wire = http1::Connection<TokioIo<TcpStream>, Body>;

/// What became of a request.
pub(crate) enum Delivery {
    Answered(Response<Incoming>),
    /// It came back untouched.
    Unsent(Request<Body>, hyper::Error),
    /// The service says that it has not looked at it; but what was sent of its body is not there any more.
    Refused(hyper::Error),
    /// Nobody knows how far it got.
    Lost(hyper::Error),
}

impl Connection {
    pub(crate) async fn new(stream: TcpStream) -> Result<Self, hyper::Error> {
        let (sender, wire) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Driver::Caller(Box::pin(wire)) })
    }

    /// Whether a request can be sent now. It may turn out otherwise when it is sent.
    pub(crate) fn is_ready(&mut self) -> bool {
        // Nobody is woken by an idle connection: what has come since is seen when somebody asks.
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready()
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Delivery {
        if matches!(request.body(), Body::Streaming(_)) {
            self.give_to_task();
        }
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            drive(&mut self.driver, cx);
            let answered = answer.as_mut().poll(cx);
            // What has ended without an answer gives the request back when it is let go.
            if answered.is_pending()
                && let Driver::Ended(wire) = &mut self.driver
                && wire.take().is_some()
            {
                return answer.as_mut().poll(cx);
            }
            answered
        });
        match answered.await {
            Ok(answer) => Delivery::Answered(answer),
            Err(mut error) => match error.take_message() {
                Some(request) => Delivery::Unsent(request, error.into_error()),
                None => Delivery::Lost(error.into_error()),
            },
        }
    }

    /// Reads and writes as much as can be now, if that is the caller's part.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driver, cx);
    }

    /// The socket with what was already read of it, once the service has changed the protocol.
    pub(crate) fn into_stream(mut self) -> Option<(TcpStream, Bytes)> {
        self.drive(&mut Context::from_waker(Waker::noop()));
        let driver = std::mem::replace(&mut self.driver, Driver::Ended(None));
        let Driver::Ended(Some(wire)) = driver else { return None };
        let http1::Parts { io, read_buf, .. } = Pin::into_inner(wire).into_parts();
        Some((io.into_inner(), read_buf))
    }

    fn give_to_task(&mut self) {
        self.driver = match std::mem::replace(&mut self.driver, Driver::Ended(None)) {
            Driver::Caller(wire) => {
                let run = async move {
                    // As in `drive`.
                    let _ = wire.await;
                };
                Driver::Task(spawn_local(run).abort_handle())
            }
            other => other,
        };
    }
}

fn drive(driver: &mut Driver, cx: &mut Context<'_>) {
    // Who waits for an answer or a body is told of an error there; an idle connection has nobody.
    if let Driver::Caller(wire) = driver
        && wire.as_mut().poll(cx).is_ready()
        && let Driver::Caller(wire) = std::mem::replace(driver, Driver::Ended(None))
    {
        *driver = Driver::Ended(Some(wire));
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without the sender alone, the task would go on with a body that is still being sent.
        if let Driver::Task(task) = &self.driver {
            task.abort();
        }
    }
}
