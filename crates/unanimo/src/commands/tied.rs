//! `unanimo tied --parent PID -- ARGUMENTS`: becomes `unanimo ARGUMENTS`, and dies when its parent does.
//!
//! The demonstration starts all its processes by it: even one that is killed at once leaves nothing behind. The tie is
//! the kernel's, and outlives the exec; where the kernel has none, the demonstration's own care must do.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Become another command of this program, and die with the parent
#[derive(clap::Args)]
pub struct Tied {
    /// The process that started this one
    #[arg(long, value_name = "PID")]
    parent: u32,
    /// What to become
    #[arg(last = true, required = true)]
    arguments: Vec<OsString>,
}

impl Tied {
    /// Comes back only where that failed, with 3.
    pub fn run(self) -> ExitCode {
        let failed = match tie(self.parent) {
            Ok(()) => std::env::current_exe()
                .map_or_else(|error| error, |program| Command::new(program).args(&self.arguments).exec()),
            Err(error) => error,
        };
        let _ = writeln!(io::stderr(), "cannot become `unanimo`: {failed}");
        ExitCode::from(3)
    }
}

#[cfg(target_os = "linux")]
fn tie(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // It may have died before the tie was made.
    if std::os::unix::process::parent_id() == parent {
        Ok(())
    } else {
        Err(io::Error::other("the parent is gone"))
    }
}

#[cfg(not(target_os = "linux"))]
fn tie(_parent: u32) -> io::Result<()> {
    Ok(())
}
