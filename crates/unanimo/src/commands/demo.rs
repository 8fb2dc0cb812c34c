//! `unanimo demo`: orders over four services, through two crashes, and an audit.

use crate::demo;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;
use std::process::ExitCode;

/// See it work: orders over four services, through two crashes
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Demo {
    /// The protocol: tcc, two-phase or saga
    #[arg(long, default_value = "tcc", hide_possible_values = true, value_parser = ["tcc", "two-phase", "saga"])]
    mode: String,
    /// How long orders are placed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
    /// How many clients order at the same time
    #[arg(long, default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    clients: usize,
    /// Leave everything running, to try it by hand
    #[arg(long)]
    keep: bool,
    /// Where the files go and stay; it must be new or empty
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

const HELP: &str = "\
Starts a gateway and four services as processes of their own, places orders
that touch all four, kills a service and then the gateway with SIGKILL, and
starts both again. At the end the four databases are held against every answer
that any client got. Nothing else on this machine is touched.

Example:
  $ unanimo demo
  $ unanimo demo --mode saga --seconds 60 --clients 64
  $ unanimo demo --keep              and three curl lines to try by hand

Where somebody watches, throughput and latency are drawn while it runs; into a
file or a pipe it writes plain lines. NO_COLOR is honoured.

Ends with:
  0    every line of the audit is right
  1    one is wrong
  3    the demonstration itself could not go on
  130  somebody ended it; none of its processes is left

Read on: README.md, examples/shop";

impl Demo {
    /// Ends with 0 where every line of the audit is right, 1 where one is wrong, 3 where the demonstration itself
    /// could not go on, 130 where somebody ended it.
    pub fn run(self) -> ExitCode {
        let Demo { mode, seconds, clients, keep, directory } = self;
        demo::run(&demo::Options { mode, seconds, clients, keep, directory })
    }
}
