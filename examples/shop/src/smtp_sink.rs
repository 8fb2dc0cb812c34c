//! A mail server that keeps nothing but Message-IDs, for demonstrations and tests: it counts what arrived, and how often.
//!
//! A message counts once its final dot was read and its Message-ID stands in the file; only then "250" is said. A client
//! that dies before the dot leaves nothing behind.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const CONNECTIONS_MAX: usize = 64;
const LINE_BYTES_MAX: u64 = 4096;
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A running sink. It serves until the process ends.
#[derive(Clone)]
pub struct Sink {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

struct Received {
    file: File,
    message_ids: Vec<String>,
}

impl Sink {
    /// Serves SMTP on `listener`, and appends the Message-ID of every message to the file at `path`, one a line. What
    /// the file holds already counts as received.
    pub fn start(listener: TcpListener, path: impl AsRef<Path>) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let message_ids = BufReader::new(&mut file).lines().collect::<io::Result<Vec<_>>>()?;
        let received = Arc::new(Mutex::new(Received { file, message_ids }));
        let sink = Self { address: listener.local_addr()?, received };
        let serving = sink.clone();
        std::thread::spawn(move || serving.accept(&listener));
        Ok(sink)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The Message-IDs of all messages, without angle brackets, in the order of arrival. One that arrived twice is
    /// there twice.
    pub fn message_ids(&self) -> Vec<String> {
        self.received().message_ids.clone()
    }

    fn accept(&self, listener: &TcpListener) {
        // Each connection holds a clone of this; their count is the number of connections.
        let connections = Arc::new(());
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                std::thread::sleep(Duration::from_millis(10)); // Out of file descriptors, most likely.
                continue;
            };
            if Arc::strong_count(&connections) > CONNECTIONS_MAX {
                let _ = (&stream).write_all(b"421 too many connections\r\n");
                continue;
            }
            let (sink, counted) = (self.clone(), Arc::clone(&connections));
            std::thread::spawn(move || {
                let _ = sink.converse(&stream);
                drop(counted);
            });
        }
    }

    /// One conversation, until QUIT, silence, or an error: then the client is gone, and there is nobody to tell.
    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(IDLE_MAX))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let say = |reply: &str| (&*stream).write_all(format!("{reply}\r\n").as_bytes());
        say("220 sink.example ESMTP")?;
        loop {
            let line = line(&mut reader)?;
            let line = String::from_utf8_lossy(&line).to_ascii_uppercase();
            match line.split([' ', ':']).next().unwrap_or_default().trim_end() {
                "EHLO" | "HELO" => say("250 sink.example")?,
                "MAIL" | "RCPT" | "RSET" | "NOOP" => say("250 ok")?,
                "DATA" => {
                    say("354 end with a dot")?;
                    let message_id = message(&mut reader)?;
                    say(self.keep(message_id))?;
                }
                "QUIT" => return say("221 bye"),
                _ => say("502 not known here")?,
            }
        }
    }

    fn keep(&self, message_id: Option<String>) -> &'static str {
        let Some(message_id) = message_id else { return "554 a message needs a Message-ID" };
        let mut received = self.received();
        match received.file.write_all(format!("{message_id}\n").as_bytes()) {
            Ok(()) => {
                received.message_ids.push(message_id);
                "250 kept"
            }
            Err(_) => "451 cannot write the file",
        }
    }

    /// The guarded value is whole at every moment, so that a panic elsewhere does not spoil it.
    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a message up to its final dot; gives its Message-ID.
fn message(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let (mut bytes, mut in_header, mut message_id) = (0, true, None);
    loop {
        let line = line(reader)?;
        bytes += line.len();
        match line.trim_ascii_end() {
            b"." => return Ok(message_id),
            b"" => in_header = false,
            line if in_header => message_id = message_id.or_else(|| parse(line)),
            _ => {}
        }
        if bytes > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

fn parse(header: &[u8]) -> Option<String> {
    let (name, value) = std::str::from_utf8(header).ok()?.split_once(':')?;
    name.eq_ignore_ascii_case("message-id").then(|| value.trim().trim_matches(['<', '>']).to_owned())
}

/// Reads a whole line, or fails: a client that is cut off in the middle of a line has said nothing.
fn line(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    reader.take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(line),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
