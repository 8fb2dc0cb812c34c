//! A client that writes what it is told, and reads what it gets.

use super::PATIENCE;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A client's connection.
pub struct Wire {
    stream: TcpStream,
    /// What was read and not yet used.
    ahead: Vec<u8>,
}

/// An answer, or a request, as it was on the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub line: String,
    /// In lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

pub type Answer = Message;

impl Message {
    pub fn status(&self) -> u16 {
        self.line.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// All values of a header, in their order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} stands there more than once: {all:?}");
        all.first().copied()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The slug of the problem that this answer tells of.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(json["status"], self.status());
        json["type"].as_str().unwrap().strip_prefix("/problems/").unwrap().to_owned()
    }
}

impl Wire {
    pub fn connect(address: SocketAddr) -> Wire {
        Wire::new(TcpStream::connect(address).unwrap())
    }

    pub fn new(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Wire { stream, ahead: Vec::new() }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what may find nobody any more.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Each byte in a packet of its own.
    pub fn dribble(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The same connection once more, to write while this one reads.
    pub fn second(&self) -> Wire {
        Wire::new(self.stream.try_clone().unwrap())
    }

    pub fn finish_sending(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// The next answer to a request other than HEAD.
    pub fn answer(&mut self) -> Answer {
        let head = self.head();
        self.with_body(head, false)
    }

    /// The next answer, to a HEAD.
    pub fn answer_to_head(&mut self) -> Answer {
        self.head()
    }

    /// The next request.
    pub fn request(&mut self) -> Message {
        let head = self.head();
        self.with_body(head, true)
    }

    /// The next message's first line and headers.
    pub fn head(&mut self) -> Message {
        let line = self.line();
        Message { line, headers: self.fields(), body: Vec::new(), trailers: Vec::new() }
    }

    fn with_body(&mut self, mut message: Message, is_request: bool) -> Message {
        if message.header("transfer-encoding") == Some("chunked") {
            assert_eq!(message.header("content-length"), None, "two lengths: {message:?}");
            loop {
                let length = usize::from_str_radix(self.line().split(';').next().unwrap(), 16).unwrap();
                if length == 0 {
                    break;
                }
                message.body.extend(self.take(length));
                assert_eq!(self.line(), "");
            }
            message.trailers = self.fields();
        } else if let Some(length) = message.header("content-length") {
            message.body = self.take(length.parse().unwrap());
        } else if !is_request && !matches!(message.status(), 204 | 304) {
            message.body = self.rest();
        }
        message
    }

    fn fields(&mut self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                assert_eq!(line, "");
                return fields;
            };
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.take(end + 2);
                return String::from_utf8(line[..end].to_vec()).unwrap();
            }
            assert!(
                self.read() > 0,
                "the connection ended in a line: {:?}",
                String::from_utf8_lossy(&self.ahead)
            );
        }
    }

    pub fn take(&mut self, length: usize) -> Vec<u8> {
        while self.ahead.len() < length {
            assert!(
                self.read() > 0,
                "the connection ended early, after {} of {length} bytes",
                self.ahead.len()
            );
        }
        self.ahead.drain(..length).collect()
    }

    /// All that comes until the other end closes.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.read() > 0 {}
        std::mem::take(&mut self.ahead)
    }

    /// Asserts that the other end closes, and sends nothing before.
    pub fn assert_closed(&mut self) {
        let rest = self.rest();
        assert_eq!(String::from_utf8_lossy(&rest), "");
    }

    /// How many bytes came: 0 at the end, however it came about.
    fn read(&mut self) -> usize {
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(read) => {
                self.ahead.extend_from_slice(&buffer[..read]);
                read
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}
