//! Asks a running gateway's admin listener.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
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

/// Asks for a page of the admin listener at this address.
pub fn ask(admin: &str, method: Method, path: &str) -> Result<(StatusCode, Bytes), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error(format!("no runtime can be made: {error}")))?;
    let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, send(admin, method, path)).await });
    let seconds = PATIENCE.as_secs();
    match asked {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(why)) => Err(Error(format!(
            "{admin} cannot be asked: {why}; is the gateway running, and does its file have `admin` with this address?"
        ))),
        Err(_) => Err(Error(format!("{admin} has not answered for {seconds} s; is it the admin listener?"))),
    }
}

async fn send(
    admin: &str,
    method: Method,
    path: &str,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(admin).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends with the runtime; what goes wrong on it the request hears.
    drop(tokio::spawn(connection));
    let request =
        Request::builder().method(method).uri(path).header(header::HOST, admin).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok((status, body.to_bytes()))
}
