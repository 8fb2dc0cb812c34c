//! A gateway with its participants, what they do, and what their databases say afterwards.

use super::clock::within;
use super::gateway::{Choices, Gateway};
use super::http::{self, Request};
use super::ports;
use super::process::{PATIENCE, Process};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What every service's credential file holds.
pub const TOKEN: &str = "open-sesame";

/// A request for a transaction, and what must come of it.
#[derive(Clone, Debug)]
pub struct Wish {
    pub path: &'static str,
    pub body: String,
    /// The effect in each service if it is committed; nothing where a service will refuse.
    pub effects: Option<BTreeMap<&'static str, String>>,
}

/// What the databases say.
#[derive(Debug, Default)]
pub struct Facts {
    /// The final effects, by transaction and service.
    pub effects: BTreeMap<String, BTreeMap<&'static str, Vec<String>>>,
    /// Which request a transaction was made for, as one of the services knows it.
    pub numbers: BTreeMap<String, u64>,
    /// What waits for a verdict, or is on its way out.
    pub held: Vec<String>,
    /// What does not fit together.
    pub flaws: Vec<String>,
}

impl Facts {
    pub fn note(&mut self, service: &'static str, transaction: String, effect: String) {
        self.effects.entry(transaction).or_default().entry(service).or_default().push(effect);
    }
}

/// What a set of services is for.
pub trait Business: Send + Sync {
    /// The services that must all have an effect of a transaction, or none.
    fn services(&self) -> &'static [&'static str];

    /// How many of the participants, from the first, hold up a verdict until the deadline where they are silent.
    fn given_up(&self) -> usize {
        self.services().len()
    }

    /// Whether what was begun goes on after a crash: then nothing is interrupted.
    fn resumes(&self) -> bool {
        false
    }

    /// The request with this number: always the same.
    fn wish(&self, number: u64, dice: &mut fastrand::Rng) -> Wish;

    /// What the databases in this folder say.
    fn facts(&self, folder: &Path) -> Facts;
}

/// How a service is started.
type Launch = Box<dyn Fn(&Participant) -> Command + Send>;

/// A service as a process that keeps its address and its database over all its lives.
pub struct Participant {
    pub name: &'static str,
    pub address: SocketAddr,
    launch: Launch,
    folder: PathBuf,
    process: Option<Process>,
}

impl Participant {
    pub fn new(
        name: &'static str,
        folder: &Path,
        launch: impl Fn(&Participant) -> Command + Send + 'static,
    ) -> Participant {
        let (address, folder) = (ports::reserve(), folder.to_owned());
        write_secret(&folder.join("token"), TOKEN);
        Participant { name, address, launch: Box::new(launch), folder, process: None }
    }

    pub fn database(&self) -> PathBuf {
        self.folder.join(format!("{}.db", self.name))
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.join("token")
    }

    pub fn spawn(&mut self) {
        let log = self.folder.join(format!("{}.log", self.name));
        self.process = Some(Process::spawn(self.name, &mut (self.launch)(self), &log));
    }

    pub fn await_ready(&mut self) {
        let address = self.address;
        let process = self.process.as_mut().expect("it was started");
        within(&format!("{} answers", self.name), PATIENCE, || {
            process.assert_alive();
            match http::once(address, Request::get("/healthz"), Duration::from_secs(5)) {
                Ok(answer) if answer.status == 200 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    pub fn kill(&mut self) {
        self.process.take().expect("it was started").kill();
    }

    pub fn pause(&self) {
        self.process.as_ref().expect("it was started").signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.process.as_ref().expect("it was started").signal(Signal::CONT);
    }
}

/// Everything together. The processes end before their folder goes.
pub struct World {
    pub gateway: Gateway,
    pub participants: Vec<Participant>,
    pub business: Box<dyn Business>,
    pub folder: TempDir,
}

impl World {
    /// Starts everything, and waits until it answers.
    pub fn start(
        business: Box<dyn Business>,
        folder: TempDir,
        participants: Vec<Participant>,
        choices: Choices,
        rest: &str,
    ) -> World {
        let gateway = Gateway::prepare(folder.path(), choices, rest);
        let mut world = World { gateway, participants, business, folder };
        world.participants.iter_mut().for_each(Participant::spawn);
        world.participants.iter_mut().for_each(Participant::await_ready);
        world.gateway.start();
        world
    }

    pub fn facts(&self) -> Facts {
        self.business.facts(self.folder.path())
    }

    /// Waits until nothing is in doubt anywhere, and says what the databases then say.
    pub fn settled(&self, patience: Duration) -> Facts {
        within("nothing is in doubt", patience, || {
            let open = self.gateway.open();
            if let Some(first) = open.first() {
                return Err(format!("{} transactions are open, the first is {first:#}", open.len()));
            }
            let facts = self.facts();
            if facts.held.is_empty() { Ok(facts) } else { Err(format!("held: {:?}", facts.held)) }
        })
    }
}

/// A file that nobody else can read.
pub fn write_secret(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The lines of the configuration that name these services.
pub fn services(participants: &[Participant], more: &str) -> String {
    let lines = participants.iter().map(|participant| {
        format!(
            "  {}: {{ endpoints: [\"{}\"], credential: {{ bearer_file: token }}, call_timeout: 500ms{more} }}\n",
            participant.name, participant.address
        )
    });
    format!("services:\n{}", lines.collect::<String>())
}
