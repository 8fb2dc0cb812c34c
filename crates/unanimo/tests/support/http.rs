//! A small blocking HTTP client that tells what it saw, and when it saw nothing.

use super::clock::Bound;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(5);

/// The longest line of a head, in bytes.
const LINE_BYTES: u64 = 64 * 1024;

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The name of the problem that it tells of; empty where it tells of none.
    pub fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.strip_prefix("/problems/").unwrap_or_default().to_owned()
    }
}

/// No whole answer came: nobody knows what happened to the request.
#[derive(Clone, Debug)]
pub struct Lost(pub String);

/// A request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    pub fn get(target: &'a str) -> Request<'a> {
        Request { method: "GET", target, headers: &[], body: b"" }
    }

    pub fn post(target: &'a str, headers: &'a [(&'a str, &'a str)], body: &'a str) -> Request<'a> {
        Request { method: "POST", target, headers, body: body.as_bytes() }
    }
}

/// A client of one address, whose connection is kept as long as it lives.
pub struct Client {
    address: SocketAddr,
    kept: Option<BufReader<TcpStream>>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client { address, kept: None }
    }

    /// Sends a request and waits for its answer; on a new connection where the last one has ended.
    pub fn send(&mut self, request: Request, patience: Duration) -> Result<Answer, Lost> {
        let bound = Bound::after(patience);
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        write(stream.get_mut(), self.address, request, bound)?;
        let (answer, is_kept) = read(&mut stream, bound)?;
        self.kept = is_kept.then_some(stream);
        Ok(answer)
    }
}

/// One request on a connection of its own.
pub fn once(address: SocketAddr, request: Request, patience: Duration) -> Result<Answer, Lost> {
    Client::new(address).send(request, patience)
}

/// A connection, without a request.
pub fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>, Lost> {
    let stream = TcpStream::connect_timeout(&address, CONNECTING);
    let stream = stream.map_err(|error| Lost(format!("no connection: {error}")))?;
    stream.set_nodelay(true).map_err(|error| Lost(error.to_string()))?;
    Ok(BufReader::new(stream))
}

/// Sends a request.
pub fn write(stream: &mut TcpStream, host: SocketAddr, request: Request, bound: Bound) -> Result<(), Lost> {
    let Request { method, target, headers, body } = request;
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
    if method != "GET" {
        bytes.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    let bytes = [bytes.as_bytes(), body].concat();
    let sent = stream.set_write_timeout(Some(bound.left())).and_then(|()| stream.write_all(&bytes));
    sent.map_err(|error| Lost(format!("while it was sent: {error}")))
}

/// Reads one answer, and says whether the connection may be used again.
pub fn read(stream: &mut BufReader<TcpStream>, bound: Bound) -> Result<(Answer, bool), Lost> {
    let head = line(stream, bound)?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|it| it.parse().ok());
    let Some(status) = status else { return Err(Lost(format!("no status line: {head:?}"))) };
    let mut headers = Vec::new();
    loop {
        let line = line(stream, bound)?;
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else {
            return Err(Lost(format!("no header: {line:?}")));
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    let closes = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let Some(length) = answer.header("content-length").map(str::to_owned) else {
        return Err(Lost("an answer without a length".to_owned()));
    };
    let length = length.parse().map_err(|_| Lost(format!("no length: {length:?}")))?;
    answer.body = body(stream, length, bound)?;
    Ok((answer, !closes))
}

fn body(stream: &mut BufReader<TcpStream>, length: usize, bound: Bound) -> Result<Vec<u8>, Lost> {
    let mut body = vec![0; length];
    let mut filled = 0;
    while filled < length {
        let read = timed(stream, bound, |stream| stream.read(&mut body[filled..]))?;
        if read == 0 {
            return Err(Lost("cut off in its body".to_owned()));
        }
        filled += read;
    }
    Ok(body)
}

fn line(stream: &mut BufReader<TcpStream>, bound: Bound) -> Result<String, Lost> {
    let mut line = Vec::new();
    timed(stream, bound, |stream| stream.take(LINE_BYTES).read_until(b'\n', &mut line))?;
    let Some(line) = line.strip_suffix(b"\r\n") else {
        return Err(Lost(format!("cut off in its head, after {:?}", String::from_utf8_lossy(&line))));
    };
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// Reads with what is left of the patience. An interruption is no end.
fn timed<T>(
    stream: &mut BufReader<TcpStream>,
    bound: Bound,
    mut read: impl FnMut(&mut BufReader<TcpStream>) -> std::io::Result<T>,
) -> Result<T, Lost> {
    loop {
        stream.get_mut().set_read_timeout(Some(bound.left())).map_err(|error| Lost(error.to_string()))?;
        match read(stream) {
            Ok(value) => return Ok(value),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Lost(format!("while waiting: {error}"))),
        }
    }
}
