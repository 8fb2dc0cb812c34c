//! The sockets of every worker: its own, or those that somebody keeps from process to process.

use crate::config::ParticipantsConfig;
use crate::failure::Failure;
use crate::inherited::Inherited;
use std::net::TcpListener;
use std::sync::Arc;
use unanimo_gateway::{ListenerConfig, Socket};

/// The sockets of every worker. Each has its own of each listener, and the kernel shares the connections out. Of an
/// inherited socket each worker has the same one, and who is first takes what comes: with one queue for all nothing
/// can be left behind in that of a worker that has ended.
pub fn bind(
    listeners: &[ListenerConfig],
    workers: usize,
    inherited: &mut Inherited,
) -> Result<Vec<Vec<Socket>>, Failure> {
    let mut sockets: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
    for listener in listeners {
        let kept = inherited.take(&listener.name, listener.address);
        let is_inherited = !kept.is_empty();
        let bound = match is_inherited {
            true => shared(&kept, workers),
            false => unanimo_gateway::bind(listener, workers)
                .map(|bound| bound.into_iter().map(|socket| vec![Socket::from(socket)]).collect()),
        };
        let bound: Vec<Vec<Socket>> = bound.map_err(|error| Failure::bind(listener.address, &error))?;
        let first = bound.first().and_then(|sockets| sockets.first());
        if let Some(address) = first.and_then(|socket| socket.listener.local_addr().ok()) {
            tracing::info!(listener = listener.name, %address, inherited = is_inherited, "listening");
        }
        sockets.iter_mut().zip(bound).for_each(|(sockets, bound)| sockets.extend(bound));
    }
    Ok(sockets)
}

/// Every one of them, for each worker.
fn shared(kept: &[TcpListener], workers: usize) -> std::io::Result<Vec<Vec<Socket>>> {
    let of_worker = |_| {
        let copies = kept.iter().map(|socket| Ok(Socket { listener: socket.try_clone()?, is_shared: true }));
        copies.collect()
    };
    (0..workers).map(of_worker).collect()
}

/// Where participants ask.
#[derive(Default)]
pub struct Inquiries {
    /// The sockets of each worker.
    pub sockets: Vec<Vec<Socket>>,
    /// How participants reach them.
    pub url: Option<Arc<str>>,
}

/// Binds the listener for participants, where the configuration has one.
pub fn bind_for_participants(
    config: Option<&ParticipantsConfig>,
    workers: usize,
    inherited: &mut Inherited,
) -> Result<Inquiries, Failure> {
    let Some(config) = config else { return Ok(Inquiries::default()) };
    let listener = ListenerConfig { name: "participants".to_owned(), address: config.address };
    let sockets = bind(&[listener], workers, inherited)?;
    let first = sockets.first().and_then(|sockets| sockets.first());
    let bound = first.and_then(|socket| socket.listener.local_addr().ok()).unwrap_or(config.address);
    let url = config.url.clone().unwrap_or_else(|| format!("http://{bound}"));
    Ok(Inquiries { sockets, url: Some(url.into()) })
}
