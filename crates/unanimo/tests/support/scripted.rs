//! A participant that does what its test says, behind a real socket: for what no honest service does.

use super::clock::Bound;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A call as it came in.
#[derive(Clone, Debug)]
pub struct Call {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is said to a call.
pub struct Said {
    pub status: u16,
    pub content_type: &'static str,
    /// Further headers, each with its line's end.
    pub headers: &'static str,
    pub body: String,
}

impl Said {
    pub fn json(status: u16, body: &str) -> Said {
        Said { status, content_type: "application/json", headers: "", body: body.to_owned() }
    }
}

/// A participant that runs until it is dropped.
pub struct Scripted {
    pub address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    is_over: Arc<AtomicBool>,
}

impl Scripted {
    /// Answers every call as the script says. It may take its time: each connection has a thread of its own.
    pub fn start(script: impl Fn(&Call) -> Said + Send + Sync + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (calls, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let script = Arc::new(script);
        let scripted = Scripted { address, calls: Arc::clone(&calls), is_over: Arc::clone(&is_over) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(SeqCst) {
                    return;
                }
                let (script, calls) = (Arc::clone(&script), Arc::clone(&calls));
                std::thread::spawn(move || converse(stream, &*script, &calls));
            }
        });
        scripted
    }

    /// All calls so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        // Wakes up whoever accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves a connection until its end, which may come at any moment.
fn converse(stream: TcpStream, script: &dyn Fn(&Call) -> Said, calls: &Mutex<Vec<Call>>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120))).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.trim_end().is_empty() {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        let path = lines.first()?.split(' ').nth(1)?.to_owned();
        let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut call = Call { path, headers, body: String::new() };
        let length = call.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        call.body = String::from_utf8_lossy(&body).into_owned();
        calls.lock().unwrap().push(call.clone());
        let said = script(&call);
        let answer = format!(
            "HTTP/1.1 {} Said\r\nContent-Type: {}\r\n{}Content-Length: {}\r\n\r\n{}",
            said.status,
            said.content_type,
            said.headers,
            said.body.len(),
            said.body
        );
        reader.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

/// A door that is shut until somebody opens it, for scripts that wait. Nobody waits longer than two minutes.
#[derive(Clone, Default)]
pub struct Door(Arc<AtomicBool>);

impl Door {
    pub fn open(&self) {
        self.0.store(true, SeqCst);
    }

    pub fn is_open(&self) -> bool {
        self.0.load(SeqCst)
    }

    pub fn pass(&self) {
        let bound = Bound::after(Duration::from_secs(120));
        while !self.0.load(SeqCst) && !bound.is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
