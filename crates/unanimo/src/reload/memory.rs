//! Which services transactions may need: kept in a file beside the journal, so that a start whose configuration lacks
//! one of them can still finish what was begun.
//!
//! The journal keeps plans, which name services; where a service is, only the configuration says. The file is written
//! before a configuration is in force, so that no transaction is begun whose services it does not know. It holds no
//! secret: of a credential it knows the file's name.

use crate::config::{Config, Origin, token};
use crate::reload::facts::services_of;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use unanimo_upstream::{Balance, Credential, Protocol, ServiceConfig};

/// The file's name in the journal's directory.
const NAME: &str = "services.json";

/// What this program writes, and reads.
const FORMAT: u32 = 1;

/// The longest file that is read.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// The file.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
}

/// What is remembered of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    endpoints: Vec<String>,
    credential: Origin,
    least_request: bool,
    affinity: bool,
    connect_timeout_ms: u64,
    idle_timeout_ms: u64,
    idle_connections: usize,
    connections: usize,
    /// How many requests share a connection, where they do: the service speaks HTTP/2. Not written where it does not, so that
    /// a program that does not know of it can read the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    streams: Option<usize>,
}

/// By name.
pub type Services = BTreeMap<String, Remembered>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: u32,
    services: Services,
}

impl Memory {
    /// In the journal's directory.
    pub fn beside(journal: &Path) -> Memory {
        Memory { path: journal.join(NAME) }
    }

    /// What is remembered. A file that cannot be read is told of, and nothing is remembered then.
    pub fn read(&self) -> Services {
        match self.stored() {
            Ok(services) => services,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Services::new(),
            Err(error) => {
                tracing::error!(file = %self.path.display(), %error, "where services were cannot be read: a transaction may need one that the configuration lacks");
                Services::new()
            }
        }
    }

    fn stored(&self) -> io::Result<Services> {
        if fs::metadata(&self.path)?.len() > FILE_BYTES {
            return Err(io::Error::other("the file is too large to be ours"));
        }
        let stored: Stored = serde_json::from_slice(&fs::read(&self.path)?)?;
        match stored.format {
            FORMAT => Ok(stored.services),
            other => Err(io::Error::other(format!("its format is {other}, this program knows {FORMAT}"))),
        }
    }

    /// Remembers these and no others, durably.
    pub fn write(&self, services: &Services) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Stored { format: FORMAT, services: services.clone() })?;
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// What a configuration says of the services that carry branches.
pub fn participants(config: &Config) -> Services {
    let plans = config.gateway.plans().flat_map(|plan| services_of(plan));
    let known = plans.filter_map(|name| {
        let service = config.upstream.services.get(name)?;
        let origin = config.credentials.get(name).cloned().unwrap_or_default();
        Some((name.to_owned(), Remembered::of(service, origin)))
    });
    known.collect()
}

impl Remembered {
    fn of(service: &ServiceConfig, credential: Origin) -> Remembered {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Remembered {
            endpoints: service.endpoints.clone(),
            credential,
            least_request: service.balance == Balance::LeastRequest,
            affinity: service.affinity,
            connect_timeout_ms: millis(service.connect_timeout),
            idle_timeout_ms: millis(service.idle_timeout),
            idle_connections: service.idle_connections,
            connections: service.connections,
            streams: (service.protocol == Protocol::H2c).then_some(service.streams),
        }
    }

    /// The service as it was. The error says why it cannot be called: to call it without its credential would be
    /// taken for a refusal.
    pub fn recall(&self) -> Result<ServiceConfig, String> {
        let credential = match &self.credential {
            Origin::Anonymous => Credential::Anonymous,
            Origin::File(path) => Credential::Bearer(
                token(path).map_err(|why| format!("its token in `{}`: {why}", path.display()))?,
            ),
            Origin::Environment => return Err("its token came from the environment".to_owned()),
        };
        let defaults = ServiceConfig::default();
        Ok(ServiceConfig {
            endpoints: self.endpoints.clone(),
            credential,
            balance: if self.least_request { Balance::LeastRequest } else { Balance::RoundRobin },
            affinity: self.affinity,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            idle_connections: self.idle_connections,
            connections: self.connections,
            protocol: if self.streams.is_some() { Protocol::H2c } else { Protocol::Http1 },
            streams: self.streams.unwrap_or(defaults.streams),
            // No circuit and no checks: nothing new comes to it, and what it owes is asked for with pauses of its own.
            ..defaults
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(credential: Origin) -> Services {
        let service = ServiceConfig { endpoints: vec!["bank:80".to_owned()], ..ServiceConfig::default() };
        [("bank".to_owned(), Remembered::of(&service, credential))].into()
    }

    #[test]
    fn what_was_written_comes_back_and_a_token_is_not_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("bank.token");
        fs::write(&token, "s3cret").unwrap();
        let memory = Memory::beside(folder.path());
        assert_eq!(memory.read(), Services::new());
        let services = some(Origin::File(token.clone()));
        memory.write(&services).unwrap();
        assert_eq!(memory.read(), services);
        assert!(!fs::read_to_string(folder.path().join(NAME)).unwrap().contains("s3cret"));
        let back = services["bank"].recall().unwrap();
        assert_eq!(back.credential.header().unwrap(), "Bearer s3cret");
        fs::remove_file(token).unwrap();
        assert!(services["bank"].recall().is_err(), "without its token it is not called");
        assert!(some(Origin::Environment)["bank"].recall().is_err());
    }

    #[test]
    fn a_service_that_speaks_http2_still_does_and_others_are_written_as_ever() {
        let endpoints = vec!["bank:80".to_owned()];
        let service =
            ServiceConfig { endpoints, protocol: Protocol::H2c, streams: 7, ..ServiceConfig::default() };
        let back = Remembered::of(&service, Origin::Anonymous).recall().unwrap();
        assert_eq!((back.protocol, back.streams), (Protocol::H2c, 7));
        let text = serde_json::to_string(&some(Origin::Anonymous)).unwrap();
        assert!(!text.contains("streams"), "{text}");
        let read: Services = serde_json::from_str(&text).unwrap();
        assert_eq!(read["bank"].recall().unwrap().protocol, Protocol::Http1);
    }

    #[test]
    fn a_file_of_a_later_format_or_of_garbage_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::beside(folder.path());
        memory.write(&some(Origin::Anonymous)).unwrap();
        let text = fs::read_to_string(folder.path().join(NAME)).unwrap();
        for text in [text.replace("\"format\": 1", "\"format\": 2"), "{".to_owned()] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(memory.read(), Services::new());
        }
    }
}
