//! The stores that dtmrs can be given: each a process of its own in a private directory, or a file.

use crate::clock;
use crate::gateway::free_address;
use crate::process::Process;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a store may take until it listens.
const START: Duration = Duration::from_secs(30);

/// Who runs PostgreSQL where we are root, which it refuses to be: the user of Debian's package.
const POSTGRES_USER: &str = "postgres";

/// Which store, and how it keeps what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    Sqlite,
    Redis,
    RedisSynced,
    Postgres,
}

impl Store {
    pub const ALL: [Store; 4] = [Store::Redis, Store::RedisSynced, Store::Postgres, Store::Sqlite];

    pub fn name(self) -> &'static str {
        match self {
            Store::Sqlite => "dtmrs, SQLite",
            Store::Redis => "dtmrs, Redis",
            Store::RedisSynced => "dtmrs, Redis synced",
            Store::Postgres => "dtmrs, PostgreSQL",
        }
    }

    /// Whether what it has taken outlives the loss of power. SQLite's would with other settings than dtmrs gives it
    /// (`synchronous=NORMAL`).
    pub fn is_durable(self) -> bool {
        matches!(self, Store::RedisSynced | Store::Postgres)
    }

    /// Whether it is asked in SQL.
    pub fn is_sql(self) -> bool {
        matches!(self, Store::Sqlite | Store::Postgres)
    }
}

/// A store that serves.
pub struct Serving {
    process: Option<Process>,
    /// How dtmrs is told where it is.
    pub url: String,
}

impl Serving {
    /// Starts the store on what this directory holds of it.
    pub fn start(store: Store, directory: &Path) -> io::Result<Serving> {
        fs::create_dir_all(directory)?;
        if store == Store::Sqlite {
            return Ok(Serving {
                process: None,
                url: format!("sqlite:{}", directory.join("dtmrs.db").display()),
            });
        }
        let address = free_address()?;
        let (mut command, url) = match store {
            Store::Postgres => postgres(directory, address)?,
            _ => (redis(directory, address, store == Store::RedisSynced), format!("redis://{address}")),
        };
        let output = fs::OpenOptions::new().create(true).append(true).open(directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut process = Process::start_here(&mut command)?;
        wait_listens(&mut process, address, directory)?;
        Ok(Serving { process: Some(process), url })
    }

    /// Its process, where it has one of its own.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// Waits until somebody listens there.
pub fn wait_listens(process: &mut Process, address: SocketAddr, directory: &Path) -> io::Result<()> {
    let late = clock::now() + START;
    while TcpStream::connect(address).is_err() {
        let ended = process.check();
        if ended.is_err() || clock::now() > late {
            let said = fs::read_to_string(directory.join("log")).unwrap_or_default();
            return Err(io::Error::other(format!(
                "a store or manager does not begin to listen; it said:\n{said}"
            )));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A command that dies with us.
pub fn tied(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

fn redis(directory: &Path, address: SocketAddr, synced: bool) -> Command {
    let mut command = tied("redis-server");
    let port = address.port().to_string();
    command.args(["--bind", "127.0.0.1", "--port", &port, "--daemonize", "no", "--dir"]).arg(directory);
    if synced {
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    }
    command
}

fn postgres(directory: &Path, address: SocketAddr) -> io::Result<(Command, String)> {
    let programs = newest_postgres()?;
    let data = directory.join("data");
    if !data.exists() {
        fs::create_dir(&data)?;
        let mut initialize = as_postgres(&data, &programs.join("initdb"))?;
        initialize.args(["--auth", "trust", "--username", POSTGRES_USER, "--no-sync", "--pgdata"]).arg(&data);
        let output = initialize.stdin(Stdio::null()).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("PostgreSQL makes no database: {said}")));
        }
    }
    let mut command = as_postgres(&data, &programs.join("postgres"))?;
    let port = format!("port={}", address.port());
    command.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1", "-c", &port]);
    command.args(["-c", "unix_socket_directories="]);
    Ok((command, format!("postgres://{POSTGRES_USER}@{address}/postgres")))
}

/// The programs of the newest version that Debian has installed.
fn newest_postgres() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql")?.filter_map(Result::ok);
    let newest = versions.max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    let newest = newest.ok_or_else(|| io::Error::other("there is no PostgreSQL in /usr/lib/postgresql"))?;
    Ok(newest.path().join("bin"))
}

/// This program on this directory: as its own user where we are root.
fn as_postgres(data: &Path, program: &Path) -> io::Result<Command> {
    if fs::metadata(data)?.uid() == rustix::process::getuid().as_raw() && !rustix::process::getuid().is_root()
    {
        return Ok(tied(program));
    }
    let user = fs::read_to_string("/etc/passwd")?;
    let mut fields =
        user.lines().map(|line| line.split(':')).find(|line| line.clone().next() == Some(POSTGRES_USER));
    let mut id = |at| fields.as_mut().and_then(|fields| fields.nth(at)).and_then(|id| id.parse::<u32>().ok());
    let (user, group) = (id(2), id(0));
    std::os::unix::fs::chown(data, user, group)?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid", POSTGRES_USER, "--regid", POSTGRES_USER, "--clear-groups"]);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    Ok(command)
}
