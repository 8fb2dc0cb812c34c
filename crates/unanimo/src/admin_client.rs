//! Asks a running gateway's admin listener.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use tokio::net::TcpStream;

/// The longest answer that is read.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest event of a stream that is read.
const EVENT_LIMIT: usize = 4 * 1024 * 1024;

/// How long a stream may be silent: its other end says something more often than that.
const SILENCE: Duration = Duration::from_secs(30);

/// Asks for a page of the admin listener at this address.
pub fn ask(admin: &str, method: Method, path: &str) -> Result<(StatusCode, Bytes), Error> {
    say(admin, method, path, None)
}

/// The same with a body of JSON, where there is one.
pub fn say(
    admin: &str,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<(StatusCode, Bytes), Error> {
    let asked = async {
        let response = send(admin, method, path, body).await?;
        let status = response.status();
        Ok((status, whole(response).await?))
    };
    runtime()?.block_on(async {
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answered) => answered,
            Err(_) => Err(silent(admin, PATIENCE)),
        }
    })
}

/// How following a stream has ended.
pub enum Followed {
    /// It never began: this was answered.
    Refused(Value),
    /// The other end had no more.
    Ended,
    /// Nobody reads any more.
    Stopped,
}

/// Follows a stream of server-sent events. `hear` is told each event's name and data; it ends when that says false.
pub fn follow(
    admin: &str,
    path: &str,
    mut hear: impl FnMut(&str, &Value) -> bool,
) -> Result<Followed, Error> {
    runtime()?.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, send(admin, Method::GET, path, None)).await;
        let response = asked.map_err(|_| silent(admin, PATIENCE))??;
        if !response.status().is_success() {
            let answer = whole(response).await?;
            return Ok(Followed::Refused(serde_json::from_slice(&answer).unwrap_or_default()));
        }
        let mut body = response.into_body();
        let mut buffer: Vec<u8> = Vec::new();
        loop {
            let frame = tokio::time::timeout(SILENCE, body.frame()).await;
            let Some(frame) = frame.map_err(|_| silent(admin, SILENCE))? else { return Ok(Followed::Ended) };
            let frame = frame.map_err(|error| Error(format!("{admin} broke off: {error}")))?;
            buffer.extend_from_slice(frame.data_ref().map(|data| &data[..]).unwrap_or_default());
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = buffer.drain(..end + 2).collect();
                if let Some((name, data)) = read_event(&event)
                    && !hear(&name, &data)
                {
                    return Ok(Followed::Stopped);
                }
            }
            if buffer.len() > EVENT_LIMIT {
                return Err(Error(format!("{admin} sends what is no event; is it the admin listener?")));
            }
        }
    })
}

/// The name and the data of an event; `None` of one without data, as a heartbeat is.
fn read_event(event: &[u8]) -> Option<(String, Value)> {
    let text = String::from_utf8_lossy(event);
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    Some((field("event:")?.to_owned(), serde_json::from_str(field("data:")?).ok()?))
}

fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error(format!("no runtime can be made: {error}")))
}

fn silent(admin: &str, patience: Duration) -> Error {
    Error(format!("{admin} has not answered for {} s; is it the admin listener?", patience.as_secs()))
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, Error> {
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
    Ok(body.map_err(|error| Error(format!("the answer broke off: {error}")))?.to_bytes())
}

async fn send(
    admin: &str,
    method: Method,
    path: &str,
    body: Option<String>,
) -> Result<Response<Incoming>, Error> {
    let sent = async {
        let stream = TcpStream::connect(admin).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // The connection ends with the runtime; what goes wrong on it the request hears.
        drop(tokio::spawn(connection));
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, admin);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        Ok::<_, Box<dyn std::error::Error>>(sender.send_request(request.body(body)?).await?)
    };
    sent.await.map_err(|why| {
        Error(format!(
            "{admin} cannot be asked: {why}; is the gateway running, and does its file have `admin` with this address?"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_has_a_name_and_data_and_a_heartbeat_is_none() {
        let event = read_event(b"id: 3-7\nevent: change\ndata: {\"a\":1}\n\n");
        assert_eq!(event, Some(("change".to_owned(), json!({ "a": 1 }))));
        assert_eq!(read_event(b": alive\n\n"), None);
    }
}
