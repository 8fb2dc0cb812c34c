//! `unanimo completions SHELL`: prints what a shell needs to complete this program's command line.

use clap_complete::Shell;
use std::io::{self, Write};
use std::process::ExitCode;

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Completions {
    /// `bash`, `zsh`, `fish`, or another that is known
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

const HELP: &str = "\
The packages bring them along; this is for everybody else.

Example:
  $ source <(unanimo completions bash)
  $ unanimo completions zsh > ~/.zfunc/_unanimo
  $ unanimo completions fish > ~/.config/fish/completions/unanimo.fish

Ends with 0.

Read on: docs/installing.md";

impl Completions {
    /// Always ends with 0. `program` is this program's whole command line.
    pub fn run(self, mut program: clap::Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "unanimo", &mut script);
        // A closed pipe is the reader's business.
        let _ = io::stdout().write_all(&script);
        ExitCode::SUCCESS
    }
}
