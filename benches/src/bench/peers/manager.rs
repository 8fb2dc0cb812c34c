//! Who is measured: ours, and dtmrs on each of its stores, every one with its own processes and directory.

use super::errand::{self, Mode};
use super::store::{Serving, Store, tied, wait_listens};
use crate::bench::Context;
use crate::gateway::{Gateway, Setup, free_address};
use crate::load::Errand;
use crate::process::Process;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How it is asked, and where it keeps its files.
pub struct Manager {
    pub kind: Kind,
    participant: SocketAddr,
    program: PathBuf,
    directory: PathBuf,
    running: Option<Running>,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unanimo,
    Dtmrs(Store),
}

impl Kind {
    pub fn all() -> impl Iterator<Item = Kind> {
        std::iter::once(Kind::Unanimo).chain(Store::ALL.map(Kind::Dtmrs))
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Unanimo => "Unanimo",
            Kind::Dtmrs(store) => store.name(),
        }
    }

    pub fn is_durable(self) -> bool {
        match self {
            Kind::Unanimo => true,
            Kind::Dtmrs(store) => store.is_durable(),
        }
    }
}

/// Its processes. Those of dtmrs stop in the order of the fields.
enum Running {
    Unanimo(Gateway),
    Dtmrs { manager: Process, store: Serving, address: SocketAddr },
}

impl Manager {
    /// One that has not been started.
    pub fn new(kind: Kind, context: &Context, participant: SocketAddr, below: &Path) -> io::Result<Manager> {
        let program = match kind {
            Kind::Unanimo => context.program.clone(),
            Kind::Dtmrs(_) => context.dtmrs.clone().ok_or_else(|| {
                io::Error::other(
                    "say with --dtmrs where the program is; `cargo xtask bench peers` installs it",
                )
            })?,
        };
        let directory = below.join(kind.name().replace([',', ' '], "-"));
        Ok(Manager { kind, participant, program, directory, running: None })
    }

    /// Starts it on what its directory holds. What a `hurried` dtmrs was about to do is taken up sooner by the next one:
    /// after 3 s instead of 30, and again after 1 s instead of 10.
    pub fn start(&mut self, hurried: bool) -> io::Result<()> {
        let running = match self.kind {
            Kind::Unanimo => {
                let configuration = errand::configuration(self.participant);
                let setup = Setup { configuration, everywhere: true, ..Setup::default() };
                Running::Unanimo(Gateway::start(&self.program, &setup, &self.directory, 0)?)
            }
            Kind::Dtmrs(store) => self.start_dtmrs(store, hurried)?,
        };
        self.running = Some(running);
        Ok(())
    }

    fn start_dtmrs(&self, store: Store, hurried: bool) -> io::Result<Running> {
        let store = Serving::start(store, &self.directory)?;
        let (address, other) = (free_address()?, free_address()?);
        let mut command = tied(&self.program);
        command.env("DTMRS_DB", &store.url).env("DTMRS_ADDR", address.to_string());
        // What it would say of every transaction, nobody reads here.
        command.env("DTMRS_GRPC_ADDR", other.to_string()).env("RUST_LOG", "error");
        if hurried {
            command.env("DTMRS_LEASE", "3").env("DTMRS_RETRY_INTERVAL", "1");
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut manager = Process::start_here(&mut command)?;
        wait_listens(&mut manager, address, &self.directory)?;
        Ok(Running::Dtmrs { manager, store, address })
    }

    /// Ends the manager and its store at once, with SIGKILL.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// The processes whose CPU counts, without those that they have started.
    pub fn pids(&self) -> Vec<u32> {
        match &self.running {
            None => Vec::new(),
            Some(Running::Unanimo(gateway)) => vec![gateway.pid()],
            Some(Running::Dtmrs { manager, store, .. }) => {
                std::iter::once(manager.pid()).chain(store.pid()).collect()
            }
        }
    }

    /// What a transaction takes here: with everything that ends it, or only until the client has been promised that.
    pub fn errand(&self, mode: Mode, waits: bool) -> io::Result<Errand> {
        match &self.running {
            None => Err(io::Error::other(format!("{} does not run", self.kind.name()))),
            Some(Running::Unanimo(gateway)) => Ok(errand::ours(mode, gateway.address, waits)),
            Some(Running::Dtmrs { address, .. }) => {
                Ok(errand::dtmrs(mode, *address, self.participant, waits))
            }
        }
    }
}
