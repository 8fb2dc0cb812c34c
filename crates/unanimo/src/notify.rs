//! Tells a service manager how far the process is, where one listens: the `sd_notify` protocol, one datagram for each
//! word, sent to the socket that `NOTIFY_SOCKET` names.

use std::env;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A manager that takes nothing keeps nobody waiting longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the manager listens; everything is said into the air where there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// What the manager has put into the environment. A socket that cannot be used is logged, and stops nothing.
    pub fn from_environment() -> Notifier {
        let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
            return Notifier::default();
        };
        let manager = name.to_str().ok_or_else(|| io::Error::other("it is no text")).and_then(open);
        match manager {
            Ok(manager) => {
                let variable = |name| env::var(name).ok();
                Notifier { manager: Some(manager), watchdog: watchdog(variable, std::process::id()) }
            }
            Err(error) => {
                tracing::warn!(%error, "the service manager cannot be told anything: NOTIFY_SOCKET is unusable");
                Notifier::default()
            }
        }
    }

    /// Requests are served.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The orderly end has begun.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=finishing what is under way");
    }

    /// Says again and again that all is well, as long as `alive` comes back each time; for ever. Where the manager has
    /// no watchdog, nothing is asked.
    pub async fn watch(&self, alive: impl AsyncFn()) {
        let Some(half) = self.watchdog.map(|limit| limit / 2) else { return std::future::pending().await };
        loop {
            alive().await;
            self.tell("WATCHDOG=1");
            tokio::time::sleep(half).await;
        }
    }

    fn tell(&self, state: &str) {
        let Some((socket, manager)) = &self.manager else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), manager) {
            tracing::warn!(%error, state, "the service manager was not told");
        }
    }
}

fn open(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let manager = address(name)?;
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, manager))
}

/// A path, or `@` and a name that stands in no file system.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(rest) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(rest.as_bytes())
        }
        _ if name.starts_with('/') => SocketAddr::from_pathname(name),
        _ => Err(io::Error::other(format!("`{name}` is neither a path nor an abstract name"))),
    }
}

/// How long the manager waits for a sign of life, where it waits for this process.
fn watchdog(variable: impl Fn(&'static str) -> Option<String>, me: u32) -> Option<Duration> {
    if variable("WATCHDOG_PID").is_some_and(|pid| pid.parse() != Ok(me)) {
        return None;
    }
    let micros: u64 = variable("WATCHDOG_USEC")?.parse().ok()?;
    Some(Duration::from_micros(micros)).filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        manager.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut word = [0; 256];
        let length = manager.recv(&mut word).unwrap();
        String::from_utf8(word[..length].to_vec()).unwrap()
    }

    fn notifier(name: &str, watchdog: Option<Duration>) -> Notifier {
        Notifier { manager: Some(open(name).unwrap()), watchdog }
    }

    #[test]
    fn a_manager_hears_at_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = notifier(path.to_str().unwrap(), None);
        notifier.ready();
        notifier.stopping();
        assert_eq!(heard(&manager), "READY=1\nSTATUS=serving");
        assert_eq!(heard(&manager), "STOPPING=1\nSTATUS=finishing what is under way");
        // One that has gone is nobody's trouble.
        drop(manager);
        notifier.ready();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_manager_hears_at_an_abstract_name() {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("unanimo-test-{}", std::process::id());
        let manager =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        notifier(&format!("@{name}"), None).ready();
        assert_eq!(heard(&manager), "READY=1\nSTATUS=serving");
    }

    #[test]
    fn what_is_no_socket_is_refused() {
        for name in ["relative", "vsock:2:1234"] {
            assert!(open(name).is_err(), "{name}");
        }
        let long = format!("/{}", "x".repeat(200));
        assert!(open(&long).is_err(), "no address has room for it");
    }

    #[test]
    fn the_watchdog_hears_only_as_long_as_somebody_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notifier = notifier(path.to_str().unwrap(), Some(Duration::from_millis(2)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let lives = std::cell::Cell::new(3);
        let watch = notifier.watch(async || {
            if lives.replace(lives.get() - 1) == 0 {
                std::future::pending::<()>().await;
            }
        });
        let watched = async { tokio::time::timeout(Duration::from_millis(200), watch).await };
        assert!(runtime.block_on(watched).is_err(), "it never ends by itself");
        manager.set_nonblocking(true).unwrap();
        let mut said = 0;
        while manager.recv(&mut [0; 64]).is_ok() {
            said += 1;
        }
        assert_eq!(said, 3);
    }

    #[test]
    fn a_watchdog_is_for_one_process() {
        let of = |pid: Option<&str>, micros: Option<&str>| {
            let [pid, micros] = [pid, micros].map(|it| it.map(str::to_owned));
            watchdog(move |name| if name == "WATCHDOG_PID" { pid.clone() } else { micros.clone() }, 7)
        };
        let limit = Some(Duration::from_millis(30));
        assert_eq!(of(None, Some("30000")), limit);
        assert_eq!(of(Some("7"), Some("30000")), limit);
        assert_eq!(of(Some("8"), Some("30000")), None);
        assert_eq!(of(Some("7"), None), None);
        assert_eq!(of(None, Some("0")), None);
    }
}
