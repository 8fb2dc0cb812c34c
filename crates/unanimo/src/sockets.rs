//! The sockets of every worker.

use crate::config::ParticipantsConfig;
use crate::failure::Failure;
use std::net::TcpListener;
use std::sync::Arc;
use unanimo_gateway::ListenerConfig;

/// The sockets of every worker: each has its own of each listener, and the kernel shares the connections out.
pub fn bind(listeners: &[ListenerConfig], workers: usize) -> Result<Vec<Vec<TcpListener>>, Failure> {
    let mut sockets: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    for listener in listeners {
        let bound = unanimo_gateway::bind(listener, workers)
            .map_err(|error| Failure::bind(listener.address, &error))?;
        if let Some(address) = bound.first().and_then(|socket| socket.local_addr().ok()) {
            tracing::info!(listener = listener.name, %address, "listening");
        }
        sockets.iter_mut().zip(bound).for_each(|(sockets, socket)| sockets.push(socket));
    }
    Ok(sockets)
}

/// Where participants ask.
#[derive(Default)]
pub struct Inquiries {
    /// A socket for each worker.
    pub sockets: Vec<TcpListener>,
    /// How participants reach it.
    pub url: Option<Arc<str>>,
}

/// Binds the listener for participants, where the configuration has one.
pub fn bind_for_participants(
    config: Option<&ParticipantsConfig>,
    workers: usize,
) -> Result<Inquiries, Failure> {
    let Some(config) = config else { return Ok(Inquiries::default()) };
    let listener = ListenerConfig { name: "participants".to_owned(), address: config.address };
    let sockets: Vec<_> = bind(&[listener], workers)?.into_iter().flatten().collect();
    let bound = sockets.first().and_then(|socket| socket.local_addr().ok()).unwrap_or(config.address);
    let url = config.url.clone().unwrap_or_else(|| format!("http://{bound}"));
    Ok(Inquiries { sockets, url: Some(url.into()) })
}
