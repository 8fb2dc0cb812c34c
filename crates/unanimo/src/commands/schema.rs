//! `unanimo schema`: prints the JSON Schema of the configuration.

use crate::config;
use std::io::{self, Write};
use std::process::ExitCode;

/// Print the JSON Schema of the configuration, for editors
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Schema {
    /// For one file of a folder, which need not say everything
    #[arg(long)]
    part: bool,
}

const HELP: &str = "\
An editor that speaks the YAML language server's protocol completes keys by
it, explains them, and marks mistakes while you type. What one part of a file
means to another only `unanimo check` knows.

Example:
  $ unanimo schema > unanimo.schema.json
  $ head -1 gateway.yaml
  # yaml-language-server: $schema=./unanimo.schema.json

Ends with 0.

Read on: docs/configuration.md";

impl Schema {
    /// Always ends with 0.
    pub fn run(self) -> ExitCode {
        // A closed pipe is the reader's business.
        let _ = writeln!(io::stdout(), "{:#}", config::schema(self.part));
        ExitCode::SUCCESS
    }
}
