//! A child process that can be killed, stopped and started again, and never outlives its test.

use super::clock::within;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process may take for what it should do at once, on a machine that has much to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How much of a process's words a failure shows.
const SHOWN_BYTES: usize = 8 * 1024;

/// A running process. It is killed when this is dropped.
pub struct Process {
    pub name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program. What it says goes to the end of the file `log`.
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Process {
        Process::spawn_with(name, command, log, Stdio::null())
    }

    /// The same, with something to read.
    pub fn spawn_with(name: &str, command: &mut Command, log: &Path, stdin: Stdio) -> Process {
        let file = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let command = command.stdin(stdin).stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Process { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// SIGKILL. Panics where the process had ended by itself, since none of ours may.
    pub fn kill(&mut self) {
        self.assert_alive();
        self.signal(Signal::KILL);
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "{} ended otherwise: {status}\n{}", self.name, self.said());
    }

    pub fn assert_alive(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended by itself: {status}\n{}", self.name, self.said());
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        within(&format!("{name} ends"), PATIENCE, || self.ended().ok_or_else(|| self.said()))
    }

    pub fn signal(&self, signal: Signal) {
        // The child is ours and was not waited for, so that its number is nobody else's.
        kill_process(self.pid(), signal).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.id().try_into().unwrap()).unwrap()
    }

    /// The end of what it has said, over all its lives.
    pub fn said(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let mut from = text.len().saturating_sub(SHOWN_BYTES);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text[from..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended; then there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter itself, found once: a launcher in front of it would cost time at every start.
pub fn python() -> &'static str {
    static PYTHON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PYTHON.get_or_init(|| {
        let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let output = asked.expect("these tests need python3");
        assert!(output.status.success(), "python3 does not run: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    })
}
