//! Ports that a killed process gets back: none of those that the system hands out to connections in the meantime.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

/// The lowest port that is tried.
const FIRST: u16 = 10_000;

static NEXT: Mutex<Option<u16>> = Mutex::new(None);

/// A port of loopback that nobody listens on, and that no connection will get by chance.
pub fn reserve() -> SocketAddr {
    let end = first_of_the_systems_own();
    let mut next = NEXT.lock().unwrap();
    // Test programs that run at the same time begin at different places.
    let mut port = next.unwrap_or_else(|| fastrand::u16(FIRST..end));
    for _ in FIRST..end {
        port = if port + 1 < end { port + 1 } else { FIRST };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            *next = Some(port);
            return address;
        }
    }
    panic!("no port from {FIRST} to {end} is free");
}

/// The first port that the system gives to connections without a port of their own.
fn first_of_the_systems_own() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok());
    first.filter(|first| *first > FIRST + 1000).unwrap_or(32_768)
}
