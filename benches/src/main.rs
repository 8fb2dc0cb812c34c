//! What it costs: the gateway measured from outside, and the journal from inside.
//!
//! **Owns** the load (clients and services in one cheap loop), how CPU is counted, and how contestants take turns.
//! **Never** a rule about the product: a figure is printed, and nobody fails by it.
//! **Read next** `bench/mod.rs` for what is measured, `rounds.rs` for how, `load/world.rs` for the other side.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures are for the terminal")]

mod bench;
mod clock;
mod cpu;
mod gateway;
mod load;
mod machine;
mod place;
mod process;
mod report;
mod rounds;
mod table;

use bench::{ALL, Bench, Context};
use clap::Parser;
use rounds::Cores;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// The gateway's: what the journal allocates inside this process costs what it costs there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures what it costs, prints tables, and writes target/bench/NAME.json
#[derive(Parser)]
#[command(name = "unanimo-benches")]
struct Arguments {
    /// What to measure; everything where nothing is named
    names: Vec<String>,
    /// The gateway's program, built with its feature `bench`; beside this program where nothing is said
    #[arg(long)]
    gateway: Option<PathBuf>,
    /// The program of dtmrs, which `peers` is measured against
    #[arg(long)]
    dtmrs: Option<PathBuf>,
    /// Where reports and the journals of measured gateways go: on a real disk
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Only the rows that contain this text, such as `two-phase, 2 branches, 64 clients`
    #[arg(long, default_value = "", hide_default_value = true)]
    only: String,
    /// How many transactions a soak has
    #[arg(long)]
    transactions: Option<u64>,
    /// Only see that everything works: the figures mean nothing
    #[arg(long)]
    quick: bool,
    /// Write tables in Markdown
    #[arg(long)]
    markdown: bool,
}

fn main() -> ExitCode {
    match measure(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: Arguments) -> io::Result<()> {
    let Arguments { names, gateway, dtmrs, directory, only, transactions, quick, markdown } = arguments;
    let benches = chosen(&names)?;
    let program = match gateway {
        Some(program) => program,
        None => std::env::current_exe()?.with_file_name("unanimo"),
    };
    std::fs::create_dir_all(&directory)?;
    let directory = directory.canonicalize()?;
    let last = std::thread::available_parallelism()?.get().saturating_sub(1);
    let cores = Cores { measured: 0, load: last };
    let context = Context { program, dtmrs, directory, cores, only, transactions, quick, markdown };
    println!("{}\n", machine::facts(&context.directory));
    process::pin(context.cores.load)?;
    benches.into_iter().try_for_each(|bench| (bench.run)(&context))
}

fn chosen(names: &[String]) -> io::Result<Vec<&'static Bench>> {
    let known = || ALL.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = names.iter().find(|name| !ALL.iter().any(|bench| bench.name == name.as_str())) {
        return Err(io::Error::other(format!("there is no bench `{unknown}`; there are {}", known())));
    }
    let is_chosen = |bench: &&Bench| names.is_empty() || names.iter().any(|name| name == bench.name);
    Ok(ALL.iter().filter(is_chosen).collect())
}
