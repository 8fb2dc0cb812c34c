//! Whether somebody accepts a connection: tried once, within a bound, and closed at once.

use crate::clock;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// No try takes longer, whatever the configuration allows.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Why a connection did not come about.
#[derive(Debug)]
pub enum Unreached {
    /// The name has no address.
    Unresolved(io::Error),
    /// Nobody listens there, or somebody in between says no.
    Refused(io::Error),
    /// Nothing came back in time.
    Silent(Duration),
}

impl Unreached {
    /// What was seen, after the address.
    pub fn said(&self) -> String {
        match self {
            Unreached::Unresolved(error) => format!("the name is not resolved ({error})"),
            Unreached::Refused(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                "refuses connections".to_owned()
            }
            Unreached::Refused(error) => format!("is not reached ({error})"),
            Unreached::Silent(patience) => format!("has not answered for {} ms", patience.as_millis()),
        }
    }
}

/// Connects to `host:port`, and says how long it took.
pub async fn connect(endpoint: &str, patience: Duration) -> Result<Duration, Unreached> {
    let patience = patience.min(PATIENCE);
    let began = clock::now();
    let tried = async {
        let addresses: Vec<_> = lookup_host(endpoint).await.map_err(Unreached::Unresolved)?.collect();
        TcpStream::connect(addresses.as_slice()).await.map_err(Unreached::Refused)
    };
    match timeout(patience, tried).await {
        Ok(stream) => stream.map(|_| clock::now().duration_since(began)),
        Err(_) => Err(Unreached::Silent(patience)),
    }
}

/// Runs to the end on this thread; nothing is found where the system gives no runtime.
pub fn block_on<T: Default>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return T::default() };
    let done = runtime.block_on(work);
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    done
}
