//! `unanimo measured FILE`: serves as `run` does, with one thing changed that a measurement needs.
//!
//! It is in builds with the feature `bench` alone.

mod fan_out;
mod slow;

use crate::commands::check;
use crate::{config, log, serve};
use fan_out::FanOut;
use slow::Slow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use unanimo_journal::Files;
use unanimo_runtime::Seat;

use crate::failure::Failure;
use crate::inherited::Inherited;

/// Serve a configuration, with one thing changed that a measurement needs
#[derive(clap::Args)]
pub struct Measured {
    /// The configuration file
    file: PathBuf,
    /// Send the calls of transactional routes without a transaction: no protocol, no journal
    #[arg(long)]
    fan_out: bool,
    /// Let every sync take so many microseconds longer
    #[arg(long, default_value_t = 0, value_name = "MICROSECONDS")]
    slow_syncs: u64,
}

impl Measured {
    /// Ends as `run` does.
    pub fn run(self) -> ExitCode {
        let loaded = match config::load(&self.file) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                check::tell(&mistakes);
                return ExitCode::from(1);
            }
        };
        log::start(&loaded.config.log);
        match self.serve(loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!("{failure}");
                ExitCode::from(3)
            }
        }
    }

    fn serve(&self, loaded: config::Loaded) -> Result<(), Failure> {
        let disk = Files::open(&loaded.config.journal.directory).map_err(Failure::journal)?;
        let disk = Slow::new(disk, Duration::from_micros(self.slow_syncs));
        match self.fan_out {
            true => serve::serve_with(loaded, None, Inherited::default(), disk, |seat, participants| {
                Ok(FanOut::new(seat.take(participants.clone())?, participants))
            }),
            false => serve::serve_with(loaded, None, Inherited::default(), disk, Seat::take),
        }
    }
}
