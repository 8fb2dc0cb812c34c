//! `unanimo demo`: orders over four services, through two crashes, and an audit.

use crate::demo;
use clap::builder::RangedU64ValueParser;
use std::path::PathBuf;
use std::process::ExitCode;

/// See it work: orders over four services, through two crashes, and an audit at the end
#[derive(clap::Args)]
pub struct Demo {
    /// The protocol: `tcc` or `two-phase`
    #[arg(long, default_value = "tcc", value_parser = ["tcc", "two-phase"])]
    mode: String,
    /// How long orders are placed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
    /// How many clients place orders at the same time
    #[arg(long, default_value_t = 32, value_parser = RangedU64ValueParser::<usize>::new().range(1..=256))]
    clients: usize,
    /// Leave everything running until Ctrl-C, to try it by hand
    #[arg(long)]
    keep: bool,
    /// Where the files go, which then stay; it must be new or empty
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Demo {
    /// Ends with 0 where every line of the audit is right, 1 where one is wrong, 3 where the demonstration itself
    /// could not go on, 130 where somebody ended it.
    pub fn run(self) -> ExitCode {
        let Demo { mode, seconds, clients, keep, directory } = self;
        demo::run(&demo::Options { mode, seconds, clients, keep, directory })
    }
}
