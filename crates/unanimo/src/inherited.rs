//! Sockets that somebody else has opened and keeps: the protocol of socket activation, by `LISTEN_PID`, `LISTEN_FDS` and
//! `LISTEN_FDNAMES`.
//!
//! Whoever keeps them (a service manager, or a small supervisor) gives the same ones to the next process. So connections
//! that come between two processes wait in the system, and none is refused.

use crate::failure::Failure;
use socket2::SockRef;
use std::env;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The number of the first.
const FIRST: RawFd = 3;

/// More than anybody means.
const MOST: RawFd = 1024;

/// What was inherited, and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, SocketAddr, TcpListener)>,
}

impl Inherited {
    /// Takes what the environment names, if it is meant for this process. Once in a process.
    pub fn from_environment() -> Result<Inherited, Failure> {
        let read = |name: &str| env::var(name).unwrap_or_default();
        let Some(count) = meant(&read("LISTEN_PID"), &read("LISTEN_FDS"), std::process::id()) else {
            return Ok(Inherited::default());
        };
        let names = read("LISTEN_FDNAMES");
        let mut names = names.split(':');
        let sockets = (FIRST..FIRST + count).map(|number| {
            let name = names.next().unwrap_or_default().to_owned();
            let (address, listener) = open(number).map_err(|error| Failure::inherited(&name, &error))?;
            Ok((name, address, listener))
        });
        Ok(Inherited { sockets: sockets.collect::<Result<_, Failure>>()? })
    }

    /// Whether nothing was inherited, or all was taken.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The sockets for a listener: those with its name, else those at its address. All of one name are taken.
    pub fn take(&mut self, listener: &str, address: SocketAddr) -> Vec<TcpListener> {
        let is_named = self.sockets.iter().any(|(name, _, _)| name == listener);
        let meant = |name: &str, at: &SocketAddr| if is_named { name == listener } else { *at == address };
        let (taken, left) = self.sockets.drain(..).partition::<Vec<_>, _>(|(name, at, _)| meant(name, at));
        self.sockets = left;
        for (_, at, _) in taken.iter().filter(|(_, at, _)| *at != address) {
            tracing::warn!(listener, inherited = %at, configured = %address, "the inherited socket listens elsewhere than the configuration says: its address holds");
        }
        taken.into_iter().map(|(_, _, socket)| socket).collect()
    }

    /// What nobody took would let clients wait for ever.
    pub fn all_taken(&self) -> Result<(), Failure> {
        match self.sockets.first() {
            None => Ok(()),
            Some((name, address, _)) => Err(Failure::untaken(name, *address)),
        }
    }
}

/// How many sockets there are, where they are meant for this process.
fn meant(pid: &str, count: &str, own: u32) -> Option<RawFd> {
    let count = count.parse().ok().filter(|count| (1..=MOST).contains(count))?;
    (pid.parse() == Ok(own)).then_some(count)
}

fn open(number: RawFd) -> std::io::Result<(SocketAddr, TcpListener)> {
    #[expect(unsafe_code, reason = "a number becomes a socket nowhere else")]
    // SAFETY: the protocol gives this number to us alone; it is taken once, before anything else was opened by name.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    let listens = SockRef::from(&socket).is_listener();
    if !listens? {
        return Err(std::io::Error::other("it does not listen"));
    }
    let listener = TcpListener::from(socket);
    SockRef::from(&listener).set_cloexec(true)?;
    listener.set_nonblocking(true)?;
    Ok((listener.local_addr()?, listener))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(name: &str) -> (String, SocketAddr, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        (name.to_owned(), listener.local_addr().unwrap(), listener)
    }

    #[test]
    fn sockets_are_for_the_process_that_is_named_alone() {
        assert_eq!(meant("7", "2", 7), Some(2));
        for (pid, count) in [("8", "2"), ("", "2"), ("7", "0"), ("7", ""), ("7", "-1"), ("7", "2000")] {
            assert_eq!(meant(pid, count, 7), None, "{pid} {count}");
        }
    }

    #[test]
    fn a_listener_finds_its_sockets_by_name_and_else_by_address() {
        let sockets = vec![socket("public"), socket("other.socket"), socket("public")];
        let (public, other) = (sockets[0].1, sockets[1].1);
        let mut inherited = Inherited { sockets };
        assert_eq!(inherited.take("public", public).len(), 2);
        assert_eq!(inherited.take("participants", public).len(), 0);
        assert!(inherited.all_taken().is_err(), "somebody would wait for ever");
        assert_eq!(inherited.take("participants", other).len(), 1);
        assert!(inherited.all_taken().is_ok() && inherited.is_empty());
    }
}
