//! `unanimo check FILE`: says whether a configuration can be served, and everything that is wrong with it.

use crate::{config, log};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Check a configuration: every mistake, with its place
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Check {
    /// A configuration file, or a folder whose `*.yaml` are read together
    path: PathBuf,
}

const HELP: &str = "\
Says everything that is wrong at once, each with file, line and column, and
what was probably meant. It touches nothing but the files and the tokens that
they name, so it may run anywhere: before a commit, before a start.

Example:
  $ unanimo check gateway.yaml
  error: `bank-c` is not a service that is defined
    --> gateway.yaml:17:20
     |
  17 |           service: bank-c
     |                    ^^^^^^
     = help: did you mean `bank-a`?

  gateway.yaml: 1 mistake

Ends with:
  0  it can be served; there may be warnings
  1  it cannot
  2  it cannot be read

Read on: docs/configuration.md; `unanimo schema` for an editor";

/// The file says something that cannot be served.
const WRONG: u8 = 1;
/// The file cannot be read at all.
const UNREADABLE: u8 = 2;

impl Check {
    /// Ends with 0 where the file can be served, 1 where it cannot, 2 where it cannot be read.
    pub fn run(self) -> ExitCode {
        let source = match config::read(&self.path) {
            Ok(source) => source,
            Err(mistake) => {
                tell(&[mistake]);
                return ExitCode::from(UNREADABLE);
            }
        };
        match config::parse(&source) {
            Ok(loaded) => {
                tell(&loaded.warnings);
                let gateway = &loaded.config.gateway;
                let routes = counted(gateway.routes.len(), "route");
                let services = counted(loaded.config.upstream.services.len(), "service");
                // A closed pipe is the reader's business: the exit code says the same.
                let _ = writeln!(io::stdout(), "{}: ok ({routes}, {services})", source.named.display());
                ExitCode::SUCCESS
            }
            Err(mistakes) => {
                tell(&mistakes);
                let errors = mistakes.iter().filter(|mistake| mistake.is_error()).count();
                let _ = writeln!(io::stderr(), "{}: {}", source.named.display(), counted(errors, "mistake"));
                ExitCode::from(WRONG)
            }
        }
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Writes mistakes and warnings to standard error, in colour where somebody watches.
pub fn tell(mistakes: &[config::Mistake]) {
    let mut stderr = io::stderr().lock();
    let coloured = stderr.is_terminal() && !log::wants_no_colour();
    for mistake in mistakes {
        let _ = writeln!(stderr, "{}\n", mistake.rendered(coloured));
    }
}
