//! `listener`: whether each address can be listened on, or who has it.

use super::finding::{Check, Finding};
use super::proc::{self, Process};
use crate::config::Config;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// The process that keeps sockets for others.
const INIT: u32 = 1;

/// Looks at the listeners for clients, operators and participants.
pub fn examine(config: &Config, gateway: Option<&Process>) -> Vec<Finding> {
    let public = config.gateway.listeners.iter().map(|it| (it.name.as_str(), it.address));
    let admin = config.admin.map(|address| ("admin", address));
    let participants = config.participants.as_ref().map(|it| ("participants", it.address));
    public.chain(admin).chain(participants).map(|(name, at)| judge(name, at, bound(at), gateway)).collect()
}

/// Takes the address for a moment, and does not listen: nobody's connection comes here.
fn bound(address: SocketAddr) -> io::Result<()> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the gateway does: connections of a process that has just ended are not in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

fn judge(name: &str, address: SocketAddr, bound: io::Result<()>, gateway: Option<&Process>) -> Finding {
    const CHECK: Check = Check::Listener;
    let shown = format!("{name} {address}");
    let Err(error) = bound else { return Finding::ok(CHECK, format!("{shown} is free")) };
    match error.kind() {
        io::ErrorKind::AddrInUse => taken(&shown, proc::listener_on(address), gateway),
        io::ErrorKind::AddrNotAvailable => Finding::fail(
            CHECK,
            format!("{shown}: this machine has no such address"),
            "configure one that it has, or 0.0.0.0 for all",
        ),
        io::ErrorKind::PermissionDenied => Finding::fail(
            CHECK,
            format!("{shown}: {} may not listen there", proc::myself()),
            "choose a port from 1024 on, or give the service `AmbientCapabilities=CAP_NET_BIND_SERVICE`",
        ),
        _ => Finding::fail(CHECK, format!("{shown}: {error}"), "configure another address"),
    }
}

fn taken(shown: &str, by: Option<Process>, gateway: Option<&Process>) -> Finding {
    const CHECK: Check = Check::Listener;
    match (by, gateway) {
        (Some(by), Some(gateway)) if by == *gateway => {
            Finding::ok(CHECK, format!("{shown} is the gateway's"))
        }
        (Some(by), _) if by.pid == INIT => Finding::warn(
            CHECK,
            format!("{shown} is kept by {}", by.name),
            "right where a socket unit hands it to the gateway",
        ),
        (Some(by), _) => Finding::fail(
            CHECK,
            format!("{shown} is taken by {}, process {}", by.name, by.pid),
            "end that process, or configure another address",
        ),
        (None, Some(_)) => Finding::warn(
            CHECK,
            format!(
                "{shown} is taken, perhaps by the gateway: whose sockets are whose is hidden from {}",
                proc::myself()
            ),
            "run this as the gateway's user",
        ),
        (None, None) => Finding::fail(
            CHECK,
            format!("{shown} is taken by a process that {} cannot see", proc::myself()),
            "find it as root with `ss -ltnp`; end it, or configure another address",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    #[test]
    fn an_address_is_the_gateways_or_somebody_elses() {
        let process = |pid: u32| Process { pid, name: "unanimo".to_owned() };
        for (by, gateway, judgement) in [
            (Some(7), Some(7), Judgement::Ok),
            (Some(8), Some(7), Judgement::Fail),
            (Some(8), None, Judgement::Fail),
            (Some(INIT), None, Judgement::Warn),
            (None, Some(7), Judgement::Warn),
            (None, None, Judgement::Fail),
        ] {
            let found = taken("public", by.map(process), gateway.map(process).as_ref());
            assert_eq!(found.judgement, judgement, "{by:?} {gateway:?}");
        }
    }

    #[test]
    fn what_the_system_refuses_is_told_apart() {
        let address = "192.0.2.1:80".parse().unwrap();
        let said = |kind: io::ErrorKind| judge("public", address, Err(kind.into()), None).said;
        assert!(said(io::ErrorKind::AddrNotAvailable).contains("no such address"));
        assert!(said(io::ErrorKind::PermissionDenied).contains("may not listen"));
        assert!(bound(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable));
    }
}
