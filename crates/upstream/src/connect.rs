//! From `host:port` to a connected socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::{Error, Kind, clock};

/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 8;

/// Resolves the endpoint and connects to the first of its addresses that accepts, all within `limit`.
pub(crate) async fn connect(endpoint: &Arc<str>, limit: Duration) -> Result<TcpStream, Error> {
    let failed = |kind| move |error: io::Error| Error::new(kind, endpoint.clone()).because(error);
    let deadline = clock::now() + limit;
    let addresses =
        timeout(limit, resolve(endpoint)).await.map_err(|late| failed(Kind::Resolve)(late.into()))?;
    let addresses = addresses.map_err(failed(Kind::Resolve))?;
    let mut last = Error::new(Kind::Resolve, endpoint.clone()).because("the name has no address");
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets must leave some time to those after it.
        let left = deadline.saturating_duration_since(clock::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        last = match timeout(share, TcpStream::connect(address)).await {
            // Without it, small requests wait for acknowledgements of earlier ones.
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => failed(Kind::Connect)(error),
            },
            Ok(Err(error)) => failed(Kind::Connect)(error),
            Err(late) => failed(Kind::ConnectTimeout)(late.into()),
        };
    }
    Err(last)
}

async fn resolve(endpoint: &str) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host(endpoint).await?.take(MAX_ADDRESSES).collect())
}
