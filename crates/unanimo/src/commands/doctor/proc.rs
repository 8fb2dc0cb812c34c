//! What the kernel says of processes: who owns the journal, who listens on a port. Nothing is known where there is no
//! such file system, or of processes that are hidden from us.

use rustix::process::geteuid;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use unanimo_journal::Files;

/// A process that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its program's name, as the kernel keeps it.
    pub name: String,
}

/// The gateway that owns the journal in this directory. It is only looked at: the lock itself is never tried, since a
/// gateway that starts at this moment would be refused.
pub fn owner_of(directory: &Path) -> Option<Process> {
    let lock = fs::metadata(directory.join(Files::LOCK)).ok()?;
    let device = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    holders(&locks, lock.ino()).into_iter().find_map(|(pid, held)| {
        let process = Process { pid, name: name_of(pid)? };
        // Some file systems tell the kernel another device than they tell us.
        (held == device || process.name == "unanimo").then_some(process)
    })
}

/// Who holds a lock on the whole of a file with this number, and on which device.
fn holders(locks: &str, inode: u64) -> Vec<(u32, (u32, u32))> {
    let holder = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, file, ..] = words.as_slice() else { return None };
        let mut parts = file.split(':');
        let mut number = || u32::from_str_radix(parts.next()?, 16).ok();
        let device = (number()?, number()?);
        (parts.next()?.parse::<u64>().ok()? == inode).then_some((pid.parse().ok()?, device))
    };
    locks.lines().filter_map(holder).collect()
}

/// Who listens where a socket on this address would be in the way.
pub fn listener_on(address: SocketAddr) -> Option<Process> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let text = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect::<String>();
    let sockets: Vec<_> =
        listening(&text, address).into_iter().map(|inode| format!("socket:[{inode}]")).collect();
    processes().find_map(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let mut links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        let holds = links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()));
        holds.then(|| name_of(pid).map(|name| Process { pid, name }))?
    })
}

/// The numbers of the sockets that listen in the way of this address.
fn listening(table: &str, wanted: SocketAddr) -> Vec<u64> {
    const LISTENS: &str = "0A";
    let socket = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
        let (ip, port) = local.split_once(':')?;
        let (ip, port) = (address(ip)?, u16::from_str_radix(port, 16).ok()?);
        let (ip, wanted_ip) = (ip.to_canonical(), wanted.ip().to_canonical());
        let same = ip == wanted_ip || ip.is_unspecified() || wanted_ip.is_unspecified();
        (*state == LISTENS && port == wanted.port() && same).then(|| inode.parse().ok())?
    };
    table.lines().filter_map(socket).collect()
}

/// Words of 32 bits, each as the processor reads it.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let octets: Vec<u8> = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
        }
        _ => None,
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn name_of(pid: u32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned())
}

/// How many files a process may have open; `None` where it is not known.
pub fn file_limit_of(pid: u32) -> Option<u64> {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

/// Whose rights this process has.
pub fn myself() -> String {
    user(geteuid().as_raw())
}

/// A user's name, or the number where there is none.
pub fn user(id: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 9 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 708 fe:0a:77 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 10 fe:0a:77 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 11 fe:0a:78 0 EOF\n";
        assert_eq!(holders(locks, 77), [(708, (0xfe, 0x0a))]);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listener_is_in_the_way_of_its_address_and_of_every_address() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 41 1\n   \
             1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 42 1\n   \
             2: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A \
             00000000:00000000 00:00000000 00000000     0        0 43 1\n";
        let found = |address: &str| listening(table, address.parse().unwrap());
        assert_eq!(found("127.0.0.1:8080"), [41]);
        assert_eq!(found("[::1]:8080"), [43]);
        assert_eq!(found("0.0.0.0:8080"), [41, 43]);
        assert_eq!(found("127.0.0.2:8080"), Vec::<u64>::new());
        assert_eq!(found("127.0.0.1:8081"), Vec::<u64>::new());
    }
}
