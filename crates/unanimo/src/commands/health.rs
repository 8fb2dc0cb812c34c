//! `unanimo health`: whether a gateway on this machine can begin transactions, for whoever has nothing but this program.

use crate::admin_client;
use http::Method;
use serde_json::Value;
use std::io::{self, Write};
use std::process::ExitCode;

/// Ask a running gateway whether it is ready
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Health {
    /// The gateway's admin listener
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    admin: String,
}

const HELP: &str = "\
Asks `/readyz` of the admin listener: for a container, which has no other
program to ask with.

Example:
  $ unanimo health && echo serving
  ready
  serving

Ends with:
  0  transactions can be begun
  1  it runs, and they cannot: the reason is said
  3  nobody answered

Read on: docs/operating.md";

impl Health {
    /// Ends with 0 where it is ready, 1 where it says why not, 3 where nobody answers.
    pub fn run(self) -> ExitCode {
        match admin_client::ask(&self.admin, Method::GET, "/readyz") {
            Ok((status, _)) if status.is_success() => {
                // A closed pipe is the reader's business: the exit code says the same.
                let _ = writeln!(io::stdout(), "ready");
                ExitCode::SUCCESS
            }
            Ok((status, body)) => {
                let answer = serde_json::from_slice::<Value>(&body).unwrap_or_default();
                let why = answer["detail"].as_str().map(str::to_owned).unwrap_or_else(|| status.to_string());
                let _ = writeln!(io::stderr(), "not ready: {why}");
                ExitCode::from(1)
            }
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                ExitCode::from(3)
            }
        }
    }
}
