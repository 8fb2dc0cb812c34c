//! What the tests share: a service on a thread with a real socket and a real file, and a small HTTP client.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use unanimo_shop::audit::{self, Facts};
use unanimo_shop::{Options, Seed, Service};

pub const CREDENTIAL: &str = "open sesame";

/// A service that runs until it is dropped.
pub struct Running {
    pub service: Service,
    pub address: SocketAddr,
    pub database: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts a service whose file is `directory/<service>.db`, and waits until it answers.
    pub fn start(service: Service, directory: &Path, seed: Seed, smtp: Option<SocketAddr>) -> Self {
        let database = directory.join(format!("{service}.db"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options { smtp, seed, ..Options::new(database.clone(), address, CREDENTIAL) };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    ended = unanimo_shop::serve(service, options, listener) => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        assert_eq!(Client::connect(address).send("GET", "/healthz", &[], "").status, 200);
        Self { service, address, database, stop: Some(stop), thread: Some(thread) }
    }

    pub fn facts(&self) -> Facts {
        audit::read(self.service, &self.database).unwrap()
    }

    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        assert!(std::thread::panicking() || ended.is_ok(), "the service panicked");
    }
}

pub fn path(service: Service) -> &'static str {
    match service {
        Service::Order => "/orders",
        Service::Payment => "/payments",
        Service::Shipping => "/reservations",
        Service::Notification => "/notifications",
    }
}

/// A body that the service accepts, for 30 cents and 3 pieces where that means anything.
pub fn good(service: Service) -> Value {
    match service {
        Service::Order => json!({"customer": "customer-0", "sku": "tea", "quantity": 3, "amount": 30}),
        Service::Payment => json!({"customer": "customer-0", "amount": 30}),
        Service::Shipping => json!({"sku": "tea", "quantity": 3}),
        Service::Notification => json!({"address": "a@b.example", "text": "Three teas stand.\n"}),
    }
}

/// A body that the service refuses, however often it is asked, and with which status.
pub fn bad(service: Service) -> (Value, u16) {
    match service {
        Service::Order => (json!({"customer": "customer-0", "sku": "tea", "quantity": 0, "amount": 30}), 422),
        Service::Payment => (json!({"customer": "customer-0", "amount": 90_000_000}), 409),
        Service::Shipping => (json!({"sku": "tea", "quantity": 999}), 409),
        Service::Notification => (json!({"address": "nobody", "text": "?"}), 422),
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub outcome: Option<String>,
    pub content_type: Option<String>,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    pub fn is(&self, status: u16, outcome: &str) -> bool {
        self.status == status && self.outcome.as_deref() == (!outcome.is_empty()).then_some(outcome)
    }
}

/// One connection that is kept alive.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    /// Calls as the gateway does.
    pub fn call(
        &mut self,
        service: Service,
        operation: &str,
        (transaction, branch): (&str, &str),
        body: &Value,
    ) -> Answer {
        let authorization = format!("Bearer {CREDENTIAL}");
        let key = format!("{transaction}/{branch}/{operation}");
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Unanimo-Transaction", transaction),
            ("Unanimo-Branch", branch),
            ("Unanimo-Operation", operation),
            ("Unanimo-Attempt", "1"),
            ("Idempotency-Key", &key),
        ];
        self.send("POST", &format!("{}/{operation}", path(service)), &headers, &body.to_string())
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        self.receive()
    }

    fn receive(&mut self) -> Answer {
        let status = self.line().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let header = |wanted| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let mut body = vec![0; header("content-length").unwrap().parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        Answer {
            status,
            outcome: header("unanimo-outcome"),
            content_type: header("content-type"),
            retry_after: header("retry-after"),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with("\r\n"), "cut off after {line:?}");
        line.trim_end().to_owned()
    }
}

/// Asks until it is so; fails after ten seconds.
pub fn within_10_s(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 10 s: {what}");
}
