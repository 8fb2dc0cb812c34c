//! The gateway under measurement: its configuration, its process, and what it says of itself.

use crate::clock;
use crate::process::Process;
use crate::rounds::Contestant;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a gateway may take until it serves.
const START: Duration = Duration::from_secs(30);

/// How long it may take to answer a question of ours.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured of the gateway, and how.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// More lines of the configuration, with its services and routes.
    pub configuration: String,
    /// The journal's `commit_interval`, in microseconds; the default where nothing is said.
    pub commit_interval_us: Option<u64>,
    /// How many microseconds longer each sync takes.
    pub slow_syncs_us: u64,
    /// Whether the calls are sent without a transaction.
    pub fan_out: bool,
    /// Whether it runs as it comes, on every core, instead of with one worker on one core.
    pub everywhere: bool,
}

/// A running gateway.
pub struct Gateway {
    process: Process,
    pub address: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
}

impl Gateway {
    /// Starts the program on this core, with its journal below this directory, and waits until it serves.
    pub fn start(program: &Path, setup: &Setup, directory: &Path, core: usize) -> io::Result<Gateway> {
        let mut gateway = Gateway::launch(program, setup, directory, core)?;
        gateway.wait_ready(Duration::from_millis(5))?;
        Ok(gateway)
    }

    /// Starts it, and does not wait.
    pub fn launch(program: &Path, setup: &Setup, directory: &Path, core: usize) -> io::Result<Gateway> {
        fs::create_dir_all(directory)?;
        let (address, admin) = (free_address()?, free_address()?);
        let interval =
            setup.commit_interval_us.map(|us| format!(", commit_interval: {us}us")).unwrap_or_default();
        let workers = if setup.everywhere { "" } else { "workers: 1\n" };
        let text = format!(
            "listeners: {{ public: {{ address: {address} }} }}\nadmin: {{ address: {admin} }}\n{workers}\
             log: {{ level: warn }}\n\
             journal: {{ directory: journal{interval} }}\n{}",
            setup.configuration
        );
        let (file, log) = (directory.join("gateway.yaml"), directory.join("gateway.log"));
        fs::write(&file, text)?;
        let mut command = Command::new(program);
        // Tied to us, so that it does not outlive us however we end.
        command.args(["tied", "--parent", &std::process::id().to_string(), "--", "measured"]).arg(&file);
        command.arg(format!("--slow-syncs={}", setup.slow_syncs_us));
        if setup.fan_out {
            command.arg("--fan-out");
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = match setup.everywhere {
            true => Process::start_here(&mut command)?,
            false => Process::start(&mut command, core)?,
        };
        Ok(Gateway { process, address, admin, log })
    }

    /// Asks again and again, after each pause, until it says that it is ready.
    pub fn wait_ready(&mut self, pause: Duration) -> io::Result<()> {
        let late = clock::now() + START;
        loop {
            if get(self.admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            self.check()?;
            if clock::now() > late {
                return Err(self.failure("does not become ready"));
            }
            std::thread::sleep(pause);
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The gateway as somebody who is asked for this, and measured.
    pub fn contestant<'a>(&self, request: &'a [u8]) -> Contestant<'a> {
        Contestant { pid: self.pid(), target: self.address, request }
    }

    /// Fails when it has ended.
    pub fn check(&mut self) -> io::Result<()> {
        self.process.check().map_err(|error| self.failure(&error.to_string()))
    }

    /// The sum of a metric over all its labels.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        let page = get(self.admin, "/metrics")?;
        let values = page.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        let mut found = None;
        for line in values {
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
            found = Some(found.unwrap_or(0.0) + value);
        }
        found.ok_or_else(|| self.failure(&format!("has no metric `{name}`")))
    }

    /// The whole answer of the admin listener to a GET.
    pub fn ask(&self, path: &str) -> io::Result<String> {
        get(self.admin, path)
    }

    fn failure(&self, what: &str) -> io::Error {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        io::Error::other(format!("the gateway {what}; it said:\n{said}"))
    }
}

/// An address of this machine that is free now.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The whole answer to a GET.
pub fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
