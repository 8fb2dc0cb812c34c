//! A process that is measured: on one core, and never longer there than its handle.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::process::{Child, Command};

/// A running process.
pub struct Process(Child);

impl Process {
    /// Starts a process all of whose threads stay on this core.
    pub fn start(command: &mut Command, core: usize) -> io::Result<Process> {
        // A child inherits the core of the thread that starts it, before it has any thread of its own.
        let before = sched_getaffinity(None)?;
        pin(core)?;
        let process = Process::start_here(command);
        sched_setaffinity(None, &before)?;
        process
    }

    /// Starts a process where this thread may run.
    pub fn start_here(command: &mut Command) -> io::Result<Process> {
        let program = command.get_program().to_string_lossy().into_owned();
        command
            .spawn()
            .map(Process)
            .map_err(|error| io::Error::other(format!("cannot start `{program}`: {error}")))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Fails when it has ended by itself.
    pub fn check(&mut self) -> io::Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(io::Error::other(format!("a measured process ended: {status}"))),
        }
    }
}

impl Drop for Process {
    /// Ends it at once: what it still has to do is nobody's.
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps this thread, and what it starts, on this core.
pub fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Lets this thread, and what it starts from now on, run on every core.
pub fn unpin() -> io::Result<()> {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| set.set(core));
    Ok(sched_setaffinity(None, &set)?)
}
