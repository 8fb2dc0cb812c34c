//! The gateway that makes a request over several services all-or-nothing.

mod admin_client;
mod clock;
mod commands;
mod config;
mod demo;
mod failure;
mod inherited;
mod log;
#[cfg(feature = "bench")]
mod measured;
mod notify;
mod process;
mod reload;
mod serve;
mod sockets;
mod succession;
mod table;
mod worker;

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// The system's own allocator grows slower with every finished transaction that is remembered; docs/decisions/0015.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An API gateway that makes a request over several services all-or-nothing
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_long_help = HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(commands::run::Run),
    Check(commands::check::Check),
    Diff(commands::diff::Diff),
    Doctor(commands::doctor::Doctor),
    Schema(commands::schema::Schema),
    Transactions(commands::transactions::Transactions),
    Health(commands::health::Health),
    Journal(commands::journal::Journal),
    Demo(commands::demo::Demo),
    Completions(commands::completions::Completions),
    #[command(hide = true)]
    Manual(commands::manual::Manual),
    #[command(hide = true)]
    Shop(commands::shop::Shop),
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    Measured(measured::Measured),
    #[command(hide = true)]
    Tied(commands::tied::Tied),
}

const HELP: &str = "\
Begin here:
  $ unanimo demo                     see it work, through two crashes
  $ unanimo check gateway.yaml       every mistake in a configuration
  $ unanimo diff gateway.yaml        what a reload would change
  $ unanimo doctor gateway.yaml      whether this machine can serve it
  $ unanimo run gateway.yaml         serve it
  $ unanimo transactions list        look at what it does, on another terminal

`unanimo help COMMAND` has an example and the exit codes of each; every command
ends with 2 where its command line is not understood.

Read on:
  README.md                          what it is, and what a client sees
  docs/configuration.md              every key
  docs/participants.md               what a service must do";

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(run) => run.run(),
        Command::Check(check) => check.run(),
        Command::Diff(diff) => diff.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Schema(schema) => schema.run(),
        Command::Transactions(transactions) => transactions.run(),
        Command::Health(health) => health.run(),
        Command::Journal(journal) => journal.run(),
        Command::Demo(demo) => demo.run(),
        Command::Completions(completions) => completions.run(Arguments::command()),
        Command::Manual(manual) => manual.run(Arguments::command()),
        Command::Shop(shop) => shop.run(),
        #[cfg(feature = "bench")]
        Command::Measured(measured) => measured.run(),
        Command::Tied(tied) => tied.run(),
    }
}
