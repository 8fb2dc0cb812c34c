//! A service that answers one byte a second, on a thread of its own: its answers are never whole in time.

use crate::clock;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

const PACE: Duration = Duration::from_secs(1);

/// How often it accepts and reads.
const TURN: Duration = Duration::from_millis(20);

/// Connections that it holds at most; it accepts no others.
const CONNECTIONS: usize = 10_000;

pub struct Dripping {
    pub address: SocketAddr,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A connection, and how much of its answer it has.
struct Drip {
    stream: TcpStream,
    asked: bool,
    sent: usize,
}

impl Dripping {
    pub fn start() -> io::Result<Dripping> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let ends = Arc::new(AtomicBool::new(false));
        let their_end = ends.clone();
        let thread = std::thread::spawn(move || drip(&listener, &their_end));
        Ok(Dripping { address, ends, thread: Some(thread) })
    }
}

impl Drop for Dripping {
    fn drop(&mut self) {
        self.ends.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends by itself alone.
            let _ = thread.join();
        }
    }
}

fn drip(listener: &TcpListener, ends: &AtomicBool) {
    let mut drips: Vec<Drip> = Vec::new();
    let mut next = clock::now() + PACE;
    while !ends.load(Relaxed) {
        std::thread::sleep(TURN);
        while drips.len() < CONNECTIONS
            && let Ok((stream, _)) = listener.accept()
        {
            if stream.set_nonblocking(true).is_ok() {
                drips.push(Drip { stream, asked: false, sent: 0 });
            }
        }
        drips.retain_mut(Drip::hear);
        if clock::now() >= next {
            next += PACE;
            drips.retain_mut(Drip::send);
        }
    }
}

impl Drip {
    /// Reads what was asked, without a look at it. `false` when the other side has gone.
    fn hear(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(_) => {
                self.asked = true;
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Sends one more byte to whoever has asked.
    fn send(&mut self) -> bool {
        let Some(byte) = ANSWER.get(self.sent..=self.sent).filter(|_| self.asked) else { return true };
        self.sent += 1;
        self.stream.write_all(byte).is_ok()
    }
}
