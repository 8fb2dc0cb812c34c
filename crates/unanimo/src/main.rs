//! The gateway that makes a request over several services all-or-nothing.

mod commands;
#[allow(dead_code, unused_imports, reason = "whoever serves reads the rest")]
mod config;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// An API gateway that makes a request over several services all-or-nothing.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(commands::check::Check),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check(check) => check.run(),
    }
}
