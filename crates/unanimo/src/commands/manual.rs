//! `unanimo manual DIRECTORY`: writes a man page for the program and for each of its commands. For who makes packages.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write the man pages into a directory
#[derive(clap::Args)]
pub struct Manual {
    /// A directory that is there
    directory: PathBuf,
}

impl Manual {
    /// Ends with 0, or with 3 where a page cannot be written. `program` is this program's whole command line.
    pub fn run(self, program: clap::Command) -> ExitCode {
        match clap_mangen::generate_to(program, &self.directory).and_then(|()| set(&self.directory)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let directory = self.directory.display();
                let _ = writeln!(io::stderr(), "the pages cannot be written into {directory}: {error}");
                ExitCode::from(3)
            }
        }
    }
}

/// What stands below the options keeps its lines: there are examples in it.
fn set(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        if file.extension().is_some_and(|section| section == "1") {
            let page = fs::read_to_string(&file)?;
            fs::write(&file, page.replace("\n.SH EXTRA\n", "\n.SH IN USE\n.nf\n"))?;
        }
    }
    Ok(())
}
