//! A client's end of HTTP/1.1: one connection, one question at a time, each with a bound.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use unanimo_contract::headers::{IDEMPOTENCY_KEY, TRANSACTION};

/// The longest answer that is read.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// What is asked. It can be asked again.
#[derive(Clone, Debug)]
pub struct Question {
    method: Method,
    path: String,
    key: Option<String>,
    prefers_async: bool,
    body: Bytes,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The transaction that it names.
    pub transaction: Option<String>,
    /// Where to look instead.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// There was no connection: the question was never sent.
    NotSent,
    /// The connection broke, or it took too long. Nobody knows how far the question came.
    Unanswered,
}

impl Question {
    /// A look.
    pub fn get(path: &str) -> Question {
        let body = Bytes::new();
        Question { method: Method::GET, path: path.to_owned(), key: None, prefers_async: false, body }
    }

    /// A JSON body under an idempotency key.
    pub fn post(path: &str, key: &str, body: String) -> Question {
        let (path, key) = (path.to_owned(), Some(key.to_owned()));
        Question { method: Method::POST, path, key, prefers_async: false, body: body.into() }
    }

    /// The same, but the answer need not be waited for.
    pub fn preferring_async(self) -> Question {
        Question { prefers_async: true, ..self }
    }

    fn request(&self, host: SocketAddr) -> http::Result<Request<Full<Bytes>>> {
        let mut request =
            Request::builder().method(&self.method).uri(&self.path).header(header::HOST, host.to_string());
        if let Some(key) = &self.key {
            request = request.header(header::CONTENT_TYPE, "application/json").header(IDEMPOTENCY_KEY, key);
        }
        if self.prefers_async {
            request = request.header("prefer", "respond-async");
        }
        request.body(Full::new(self.body.clone()))
    }
}

/// A connection that is made when it is needed, and kept while it holds.
pub struct Connection {
    address: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// To whoever listens there.
    pub fn to(address: SocketAddr) -> Connection {
        Connection { address, sender: None }
    }

    /// Asks, and waits so long for the whole answer.
    pub async fn ask(&mut self, question: &Question, patience: Duration) -> Result<Answer, Lost> {
        let Ok(request) = question.request(self.address) else { return Err(Lost::NotSent) };
        // Taken out: what does not end well is not used again.
        let usable = self.sender.take().filter(SendRequest::is_ready);
        let asked = async {
            let mut sender = match usable {
                Some(sender) => sender,
                None => connect(self.address).await.ok_or(Lost::NotSent)?,
            };
            let answer = exchange(&mut sender, request).await.ok_or(Lost::Unanswered)?;
            Ok((sender, answer))
        };
        let (sender, answer) =
            tokio::time::timeout(patience, asked).await.map_err(|_| Lost::Unanswered)??;
        self.sender = Some(sender);
        Ok(answer)
    }
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
    // It ends with its sender; what goes wrong on it, the question hears.
    drop(tokio::task::spawn(connection));
    Some(sender)
}

async fn exchange(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Option<Answer> {
    let (head, body) = sender.send_request(request).await.ok()?.into_parts();
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, transaction, location) = (head.status, text(TRANSACTION), text("location"));
    let body = match status {
        StatusCode::NO_CONTENT => Bytes::new(),
        _ => Limited::new(body, ANSWER_BYTES).collect().await.ok()?.to_bytes(),
    };
    Some(Answer { status: status.as_u16(), transaction, location, body })
}
