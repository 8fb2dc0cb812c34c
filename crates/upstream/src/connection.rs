//! One connection to an endpoint.

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
    /// The task that reads and writes.
    task: AbortHandle,
}

/// What became of a request.
pub(crate) enum Delivery {
    Answered(Response<Incoming>),
    /// It came back untouched.
    Unsent(Request<Body>, hyper::Error),
    /// Nobody knows how far it got.
    Lost(hyper::Error),
}

impl Connection {
    pub(crate) async fn new(stream: TcpStream) -> Result<Self, hyper::Error> {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let run = async move {
            // Whoever waits for an answer or a body is told of an error there; an idle connection has nobody.
            let _ = connection.await;
        };
        Ok(Self { sender, task: spawn_local(run).abort_handle() })
    }

    /// Whether a request can be sent now. It may turn out otherwise when it is sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(crate) async fn send(&mut self, request: Request<Body>) -> Delivery {
        match self.sender.try_send_request(request).await {
            Ok(answer) => Delivery::Answered(answer),
            Err(mut error) => match error.take_message() {
                Some(request) => Delivery::Unsent(request, error.into_error()),
                None => Delivery::Lost(error.into_error()),
            },
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Without the sender alone, the task would go on with a body that is still being sent.
        self.task.abort();
    }
}
