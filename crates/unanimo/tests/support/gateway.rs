//! The gateway under test: the real program, with a configuration of the test's own.

use super::clock::within;
use super::http::{self, Answer, Lost, Request};
use super::ports;
use super::process::{PATIENCE, Process};
use rustix::process::Signal;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// How the admin listener is waited for.
const ADMIN_PATIENCE: Duration = Duration::from_secs(10);

/// The program under test: the one that was built with the test, unless the release build is to be tested.
pub fn program() -> OsString {
    std::env::var_os("UNANIMO_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_unanimo").into())
}

/// What a test may choose of the configuration's head.
#[derive(Clone, Copy)]
pub struct Choices {
    /// The journal's settings after its directory.
    pub journal: &'static str,
    /// Whole lines of the file's top level.
    pub more: &'static str,
}

impl Default for Choices {
    /// Segments that are full every few hundred transactions.
    fn default() -> Choices {
        Choices { journal: "segment_size: 256KiB", more: "" }
    }
}

/// What strace does to the gateway.
#[derive(Clone, Debug)]
pub struct Injection {
    pub system_call: &'static str,
    /// In strace's own words. Calls are counted for each thread.
    pub what: String,
    /// Where only calls on this file of the gateway's folder are meant.
    pub file: Option<&'static str>,
}

/// Says so where these tests cannot be run at all, rather than pass.
pub fn demand_strace() {
    let strace = Command::new("strace").args(["-f", "-q", "true"]).output();
    let works = strace.as_ref().is_ok_and(|output| output.status.success());
    assert!(works, "this test needs strace, and the right to trace its own children: {strace:?}");
}

/// A gateway that keeps its addresses and its journal over all its lives.
pub struct Gateway {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub folder: PathBuf,
    process: Option<Process>,
}

impl Gateway {
    /// Writes the configuration; `rest` has the services and routes.
    pub fn prepare(folder: &Path, choices: Choices, rest: &str) -> Gateway {
        let (public, admin) = (ports::reserve(), ports::reserve());
        let Choices { journal, more } = choices;
        let head = format!(
            "listeners:\n  public: {{ address: \"{public}\" }}\nadmin: {{ address: \"{admin}\" }}\n\
             journal: {{ directory: ./journal, accept_ephemeral: true, {journal} }}\n{more}\n"
        );
        fs::write(folder.join("gateway.yaml"), head + rest).unwrap();
        Gateway { public, admin, folder: folder.to_owned(), process: None }
    }

    /// Changes its public address.
    pub fn listen_on(&mut self, address: SocketAddr) {
        let file = self.folder.join("gateway.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text.replace(&self.public.to_string(), &address.to_string())).unwrap();
        self.public = address;
    }

    /// Starts it, and does not wait.
    pub fn spawn(&mut self) {
        let mut command = Command::new(program());
        self.spawn_as(command.args(["run", "gateway.yaml"]));
    }

    /// Starts it with strace beside it, which fails it or kills it at a system call. The process is the gateway's own.
    pub fn spawn_injected(&mut self, injection: &Injection) {
        let Injection { system_call, what, file } = injection;
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-q", "-o", "strace.log", "-e", &format!("trace={system_call}")]);
        if let Some(file) = file {
            command.arg("-P").arg(fs::canonicalize(&self.folder).unwrap().join(file));
        }
        command.args(["-e", &format!("inject={system_call}:{what}")]);
        command.arg(program()).args(["run", "gateway.yaml"]);
        self.spawn_as(&mut command);
    }

    fn spawn_as(&mut self, command: &mut Command) {
        let log = self.folder.join("gateway.log");
        self.process = Some(Process::spawn("the gateway", command.current_dir(&self.folder), &log));
    }

    /// Starts it, and waits until it takes requests.
    pub fn start(&mut self) {
        self.spawn();
        self.await_ready();
    }

    pub fn await_ready(&mut self) {
        let admin = self.admin;
        let process = self.process();
        within("the gateway is ready", PATIENCE, || {
            process.assert_alive();
            match http::once(admin, Request::get("/readyz"), ADMIN_PATIENCE) {
                Ok(Answer { status: 200, .. }) => Ok(()),
                other => Err(format!("{other:?}\n{}", process.said())),
            }
        });
    }

    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the gateway was started")
    }

    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process().signal(Signal::TERM);
        let status = self.process().wait();
        self.process = None;
        status
    }

    /// What it has said, in all its lives.
    pub fn said(&self) -> String {
        fs::read_to_string(self.folder.join("gateway.log")).unwrap_or_default()
    }

    /// What the admin listener answers.
    pub fn ask(&self, target: &str) -> Result<Answer, Lost> {
        http::once(self.admin, Request::get(target), ADMIN_PATIENCE)
    }

    /// Every transaction that it knows, open and finished.
    pub fn transactions(&self) -> Vec<Value> {
        self.pages("")
    }

    /// The transactions that have not ended.
    pub fn open(&self) -> Vec<Value> {
        let open = ["initial", "preparing", "committing", "undoing"];
        open.iter().flat_map(|state| self.pages(&format!("&state={state}"))).collect()
    }

    fn pages(&self, filter: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let answer = self.ask(&format!("/v1/transactions?limit=1000{filter}{after}")).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            let page = answer.json();
            all.extend(page["transactions"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }

    /// The program's other commands, against this gateway.
    pub fn command(&self, arguments: &[&str]) -> std::process::Output {
        let admin = self.admin.to_string();
        Command::new(program()).args(arguments).args(["--admin", &admin]).output().unwrap()
    }
}
