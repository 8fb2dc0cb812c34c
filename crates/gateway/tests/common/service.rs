//! A service on a thread of its own, which answers by a script.

use super::wire::{Message, Wire};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// How many requests may wait to be looked at.
const SEEN: usize = 10_000;

/// A service that keeps what it was asked.
pub struct Service {
    pub address: SocketAddr,
    requests: Mutex<Receiver<Message>>,
    connections: Arc<Mutex<usize>>,
    _thread: JoinHandle<()>,
}

impl Service {
    /// Runs the script for each connection, on a thread of its own. The threads end when their clients do.
    pub fn start(script: impl Fn(&mut Wire, &dyn Fn(Message)) + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = sync_channel(SEEN);
        let connections = Arc::<Mutex<usize>>::default();
        let counted = connections.clone();
        let script = Arc::new(script);
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                *counted.lock().unwrap() += 1;
                let (script, seen) = (script.clone(), seen.clone());
                std::thread::spawn(move || {
                    let mut wire = Wire::new(stream);
                    script(&mut wire, &|message| seen.send(message).unwrap_or_default());
                });
            }
        });
        Service { address, requests: Mutex::new(requests), connections, _thread: thread }
    }

    /// Answers each request with this, and keeps the request.
    pub fn answering(answer: impl AsRef<[u8]> + Send + Sync + 'static) -> Service {
        Service::start(move |wire, seen| {
            loop {
                seen(wire.request());
                wire.send(&answer);
            }
        })
    }

    /// Answers `ok` to each request.
    pub fn ok() -> Service {
        Service::answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    }

    /// The next request that it was asked.
    pub fn request(&self) -> Message {
        self.requests.lock().unwrap().recv_timeout(super::PATIENCE).unwrap()
    }

    /// Whether it was asked nothing that was not looked at.
    pub fn saw_nothing(&self) -> bool {
        self.requests.lock().unwrap().try_recv().is_err()
    }

    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}
