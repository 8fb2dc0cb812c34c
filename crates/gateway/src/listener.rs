//! Sockets that take connections: one for each worker, among which the system shares out what comes.

use crate::connection;
use crate::server::{Door, Shared, Stage};
use crate::{ListenerConfig, clock};
use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_local;
use unanimo_contract::Transactions;

/// How many connections may wait in the system until a worker takes them.
const BACKLOG: i32 = 1024;

/// How long to wait after a connection could not be accepted, at first and at most: the want of file descriptors or
/// memory does not pass by asking again at once.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A socket that takes connections.
#[derive(Debug)]
pub struct Socket {
    /// It listens already.
    pub listener: std::net::TcpListener,
    /// Whether somebody else holds it too, and goes on taking connections when this process ends: then those that wait
    /// are left to him.
    pub is_shared: bool,
}

impl From<std::net::TcpListener> for Socket {
    /// A socket of this process alone.
    fn from(listener: std::net::TcpListener) -> Socket {
        Socket { listener, is_shared: false }
    }
}

/// Binds the listener's address once for each worker; with port 0, all get the port that the system chose.
///
/// Fails where another process has the address, even one that would share it.
pub fn bind(listener: &ListenerConfig, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let mut address = listener.address;
    if workers > 1 && address.port() != 0 {
        // Sockets that share an address may belong to several processes of one user; one that does not share it
        // fails where there is another. It must not be in the way of those that come now.
        drop(listen(address, false)?);
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = listen(address, workers > 1)?;
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a process that has just ended are not in the way.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes connections until the worker drains, then those that already wait, and closes.
pub(crate) async fn accept<T: Transactions>(
    door: Door,
    listener: TcpListener,
    is_shared: bool,
    worker: Rc<Shared<T>>,
) {
    let mut pause = SHORTEST_PAUSE;
    while let Some(accepted) = worker.stages.before(Stage::Draining, listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                pause = SHORTEST_PAUSE;
                // Taken before it may be served: a listener that waits keeps no place from the others.
                let permit = worker.permits(door).clone().acquire_owned();
                let Some(Ok(permit)) = worker.stages.before(Stage::Draining, permit).await else { break };
                start(&worker, door, stream, peer, permit);
            }
            Err(error) if is_of_the_connection(&error) => worker.tally.failed_accepts.add(1),
            Err(error) => {
                worker.tally.failed_accepts.add(1);
                tracing::warn!(%error, pause_ms = pause.as_millis(), "no connection can be accepted; trying again");
                let until = tokio::time::sleep_until((clock::now() + pause).into());
                worker.stages.before(Stage::Draining, until).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
    if is_shared {
        // Who wait are the next process's.
        return;
    }
    // The system has told these clients that they are connected: to close now would break their first request.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok(permit) = worker.permits(door).clone().try_acquire_owned() {
        let Ok((stream, peer)) = waiting(&listener) else { break };
        start(&worker, door, stream, peer, permit);
    }
}

/// A connection that waits to be taken; an error where there is none.
fn waiting(listener: &std::net::TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((TcpStream::from_std(stream)?, peer))
}

fn start<T: Transactions>(
    worker: &Rc<Shared<T>>,
    door: Door,
    stream: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
) {
    worker.tally.accepted.add(1);
    let worker = worker.clone();
    spawn_local(async move {
        connection::serve(worker, door, stream, peer).await;
        drop(permit);
    });
}

/// Whether it was this connection that failed, and not the worker: the next one may be taken at once.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(address: SocketAddr) -> ListenerConfig {
        ListenerConfig { name: "test".to_owned(), address }
    }

    #[test]
    fn workers_share_an_address_with_each_other_and_with_nobody_else() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ours = bind(&config(any), 3).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(ours.iter().all(|socket| socket.local_addr().unwrap() == address));
        for workers in [1, 2] {
            let error = bind(&config(address), workers).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
        drop(ours);
        assert_eq!(bind(&config(address), 2).unwrap().len(), 2);
    }
}
