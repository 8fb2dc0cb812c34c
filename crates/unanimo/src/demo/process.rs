//! One process that the demonstration starts, kills and starts again. It never outlives its handle.

use super::failure::Failure;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running process of this program.
pub struct Process {
    name: &'static str,
    arguments: Vec<OsString>,
    log: PathBuf,
    pid: u32,
    /// `None` while it is killed.
    child: Option<Child>,
}

impl Process {
    /// Starts `unanimo ARGUMENTS`; what it says goes to the log.
    pub fn start(name: &'static str, arguments: Vec<OsString>, log: PathBuf) -> Result<Process, Failure> {
        let child = spawn(&arguments, &log)?;
        Ok(Process { name, arguments, log, pid: child.id(), child: Some(child) })
    }

    /// Its number at the operating system, or its last one.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it at once, with SIGKILL: it gets no chance to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, as it was started first.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        let child = spawn(&self.arguments, &self.log)?;
        self.pid = child.id();
        self.child = Some(child);
        Ok(())
    }

    /// Fails when it has ended by itself.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.as_mut().map(Child::try_wait).transpose() {
            Ok(None | Some(None)) => Ok(()),
            Ok(Some(Some(status))) => Err(self.failure(&format!("ended unexpectedly: {status}"))),
            Err(error) => Err(self.failure(&format!("cannot be watched: {error}"))),
        }
    }

    /// A failure of this process.
    pub fn failure(&self, what: &str) -> Failure {
        Failure::process(&format!("the process `{}` {what}", self.name), &self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In a process group of its own, so that Ctrl-C reaches the demonstration alone, and it decides.
fn spawn(arguments: &[OsString], log: &PathBuf) -> Result<Child, Failure> {
    let output = OpenOptions::new().create(true).append(true).open(log);
    let output = output.map_err(|error| Failure::file(log, error))?;
    let errors = output.try_clone().map_err(|error| Failure::file(log, error))?;
    let program =
        std::env::current_exe().map_err(|error| Failure::new(format!("which program is this? {error}")))?;
    let child = Command::new(&program)
        .args(["tied", "--parent", &std::process::id().to_string(), "--"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn();
    child.map_err(|error| Failure::file(&program, error))
}
