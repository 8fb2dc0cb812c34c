//! Where the demonstration lives: a directory with tokens, databases, logs and the gateway's configuration, and
//! addresses on this machine.

use super::failure::Failure;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unanimo_shop::Service;

/// The examples that a user would copy; only what must differ is filled in.
const EXAMPLE: &str = include_str!("../../../../examples/shop/gateway.yaml");
const SAGA: &str = include_str!("../../../../examples/shop/saga.yaml");

/// Below the range from which the kernel takes the near end of outgoing connections: somebody may connect to a port
/// that nobody listens on while its service is dead, and must not meet a stranger there, or itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_TRIES: usize = 1000;

/// The demonstration's directory and addresses.
pub struct Place {
    root: PathBuf,
    /// Removes the directory in the end; `None` where it stays.
    temporary: Option<TempDir>,
    /// Where orders are placed.
    pub public: SocketAddr,
    /// Where operators look.
    pub admin: SocketAddr,
    services: [SocketAddr; 4],
}

impl Place {
    /// Makes the directory and everything in it that must be there before the first process.
    pub fn make(directory: Option<&Path>, mode: &str) -> Result<Place, Failure> {
        let (root, temporary) = match directory {
            Some(directory) => (given(directory)?, None),
            None => {
                let mut builder = tempfile::Builder::new();
                let made =
                    builder.prefix("unanimo-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
                let made = made.map_err(|error| Failure::file(&std::env::temp_dir(), error))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let [public, admin, services @ ..] = free_addresses()?;
        let place = Place { root, temporary, public, admin, services };
        for folder in [place.data(), place.logs()] {
            DirBuilder::new().mode(0o700).create(&folder).map_err(|error| Failure::file(&folder, error))?;
        }
        for service in Service::ALL {
            write_secret(&place.credential(service))?;
        }
        let file = place.configuration();
        fs::write(&file, place.filled_in(mode)?).map_err(|error| Failure::file(&file, error))?;
        Ok(place)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `unanimo run` is given.
    pub fn configuration(&self) -> PathBuf {
        self.root.join("gateway.yaml")
    }

    /// Where this service listens.
    pub fn address(&self, service: Service) -> SocketAddr {
        let [order, payment, shipping, notification] = self.services;
        match service {
            Service::Order => order,
            Service::Payment => payment,
            Service::Shipping => shipping,
            Service::Notification => notification,
        }
    }

    /// The file with the token by which this service knows the gateway.
    pub fn credential(&self, service: Service) -> PathBuf {
        self.data().join(format!("{service}.token"))
    }

    /// This service's database.
    pub fn database(&self, service: Service) -> PathBuf {
        self.data().join(format!("{service}.db"))
    }

    /// Where the mail server notes what it received.
    pub fn mail(&self) -> PathBuf {
        self.data().join("mail")
    }

    /// Where the process of this name writes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// From now on the directory stays when the demonstration ends.
    pub fn stay(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The mode's example with this place's addresses. The deadline is short, so that a dead service is felt soon; and the
    /// journal may lie on any file system, since no power is cut here.
    fn filled_in(&self, mode: &str) -> Result<String, Failure> {
        let (example, written) = if mode == "saga" { (SAGA, "saga") } else { (EXAMPLE, "tcc") };
        let [order, payment, shipping, notification] = self.services;
        let changes = [
            ("127.0.0.1:8080", self.public.to_string()),
            ("127.0.0.1:8081", self.admin.to_string()),
            ("127.0.0.1:7101", order.to_string()),
            ("127.0.0.1:7102", payment.to_string()),
            ("127.0.0.1:7103", shipping.to_string()),
            ("127.0.0.1:7104", notification.to_string()),
            (&format!("mode: {written}"), format!("mode: {mode}")),
            ("deadline: 5s", "deadline: 1s".to_owned()),
            ("directory: ./data/journal", "directory: ./data/journal, accept_ephemeral: true".to_owned()),
        ];
        let mut text = example.to_owned();
        for (there, here) in changes {
            if text.matches(there).count() != 1 {
                let what = format!("`{there}` does not stand exactly once in the example's configuration");
                return Err(Failure::new(what));
            }
            text = text.replace(there, &here);
        }
        Ok(text)
    }
}

fn given(directory: &Path) -> Result<PathBuf, Failure> {
    let fail = |error: io::Error| Failure::file(directory, error);
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail)?;
    if fs::read_dir(directory).map_err(fail)?.next().is_some() {
        return Err(Failure::file(directory, "it is not empty; name a new directory"));
    }
    directory.canonicalize().map_err(fail)
}

/// Six addresses on which nobody listens.
fn free_addresses() -> Result<[SocketAddr; 6], Failure> {
    let mut bound: Vec<TcpListener> = Vec::new();
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 6];
    let mut last_error = None;
    for _ in 0..PORT_TRIES {
        let Some(address) = addresses.get_mut(bound.len()) else { return Ok(addresses) };
        address.set_port(fastrand::u16(PORTS));
        match TcpListener::bind(*address) {
            Ok(listener) => bound.push(listener),
            Err(error) => last_error = Some(error),
        }
    }
    let why = last_error.map(|error| error.to_string()).unwrap_or_default();
    Err(Failure::new(format!(
        "six free ports of 127.0.0.1 were not found in {PORT_TRIES} tries; the last: {why}"
    )))
}

fn write_secret(path: &Path) -> Result<(), Failure> {
    let fail = |error: io::Error| Failure::file(path, error);
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Failure::file(path, error))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(fail)?;
    writeln!(file, "{token}").map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_example_is_filled_in_and_can_be_served_in_each_mode() {
        for mode in ["tcc", "two-phase", "saga"] {
            let place = Place::make(None, mode).unwrap();
            let loaded = config::load(&place.configuration()).unwrap();
            assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
            assert_eq!(loaded.config.admin, Some(place.admin));
            let listeners: Vec<_> = loaded.config.gateway.listeners.iter().map(|it| it.address).collect();
            assert_eq!(listeners, [place.public]);
            for service in Service::ALL {
                let endpoints = &loaded.config.upstream.services[service.name()].endpoints;
                assert_eq!(*endpoints, [place.address(service).to_string()]);
            }
            let text = fs::read_to_string(place.configuration()).unwrap();
            assert!(text.contains(&format!("mode: {mode}\n")));
        }
    }

    #[test]
    fn tokens_differ_and_are_nobody_elses() {
        let place = Place::make(None, "tcc").unwrap();
        let tokens = Service::ALL.map(|service| {
            let file = place.credential(service);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            fs::read_to_string(file).unwrap()
        });
        let distinct: std::collections::BTreeSet<_> =
            tokens.iter().filter(|token| token.len() == 65).collect();
        assert_eq!(distinct.len(), 4);
    }

    #[test]
    fn a_temporary_place_goes_unless_it_is_to_stay_and_a_given_one_must_be_empty() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("new/deep");
        let given = Place::make(Some(&directory), "tcc").unwrap();
        assert!(
            Place::make(Some(&directory), "tcc").is_err_and(|error| error.to_string().contains("not empty"))
        );
        drop(given);
        assert!(directory.join("gateway.yaml").exists());

        let gone = Place::make(None, "tcc").unwrap();
        let root = gone.root().to_owned();
        drop(gone);
        assert!(!root.exists());

        let mut staying = Place::make(None, "tcc").unwrap();
        staying.stay();
        let root = staying.root().to_owned();
        drop(staying);
        assert!(root.join("gateway.yaml").exists());
        fs::remove_dir_all(root).unwrap();
    }
}
