//! Real services on loopback, each on a thread of its own, and a worker to reach them from.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use unanimo_upstream::{Answer, Body, Config, Error, Protocol, ServiceConfig, ServiceId, Services, Upstream};

pub type Reply = Response<BoxBody<Bytes, hyper::Error>>;

/// Runs a test as a worker runs: one thread, one `LocalSet`. A test that takes longer than 30 s
/// fails.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(Duration::from_secs(30), test).await };
    LocalSet::new().block_on(&runtime, bounded).unwrap()
}

/// Waits until `condition` holds, for at most 10 s.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("in vain: {what}");
}

pub fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

pub fn text(text: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed())
}

/// An HTTP service that counts its connections.
pub struct Server {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start<H, F>(listener: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + 'static,
    {
        Self::speaking(Protocol::Http1, listener, handler)
    }

    /// The same over HTTP/2.
    pub fn multiplexed<H, F>(listener: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + 'static,
    {
        Self::speaking(Protocol::H2c, listener, handler)
    }

    fn speaking<H, F>(protocol: Protocol, listener: TcpListener, handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + 'static,
    {
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (stop, stopped) = oneshot::channel();
        let serving = serve(protocol, listener, handler, accepted.clone(), open.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            LocalSet::new().block_on(&runtime, async {
                tokio::select! { _ = stopped => {}, () = serving => {} }
            });
        });
        Self { address, accepted, open, stop: Some(stop), thread: Some(thread) }
    }

    /// Connections accepted since the start.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let _ = self.thread.take().unwrap().join();
    }
}

#[derive(Clone, Copy)]
struct Local;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}

async fn serve<H, F>(
    protocol: Protocol,
    listener: TcpListener,
    handler: H,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
) where
    H: Fn(Request<Incoming>) -> F + Clone + 'static,
    F: Future<Output = Reply> + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        accepted.fetch_add(1, Ordering::SeqCst);
        open.fetch_add(1, Ordering::SeqCst);
        let (handler, open) = (handler.clone(), open.clone());
        spawn_local(async move {
            let service = service_fn(move |request| {
                let reply = handler(request);
                async move { Ok::<_, Infallible>(reply.await) }
            });
            let stream = TokioIo::new(stream);
            let _ = match protocol {
                Protocol::Http1 => {
                    hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await
                }
                Protocol::H2c => {
                    hyper::server::conn::http2::Builder::new(Local).serve_connection(stream, service).await
                }
            };
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// One worker with one service.
pub struct One {
    pub upstream: Upstream,
    pub id: ServiceId,
}

pub fn service(endpoints: &[SocketAddr]) -> ServiceConfig {
    ServiceConfig {
        endpoints: endpoints.iter().map(ToString::to_string).collect(),
        ..ServiceConfig::default()
    }
}

pub fn one(config: ServiceConfig) -> One {
    let services = Services::new(Config { services: [("one".to_owned(), config)].into() }).unwrap();
    let id = services.id("one").unwrap();
    One { upstream: Upstream::new(Arc::new(services)), id }
}

impl One {
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Answer>, Error> {
        self.upstream.send(self.id, request).await
    }

    /// Gets a path, and reads the answer to its end.
    pub async fn get(&self, path: &str) -> Result<Bytes, Error> {
        Ok(self.send(get(path)).await?.collect().await?.to_bytes())
    }
}

pub fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::Empty).unwrap()
}
