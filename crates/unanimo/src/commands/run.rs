//! `unanimo run FILE`: serves a configuration.

use crate::commands::check;
use crate::{config, log, serve};
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve a configuration until SIGTERM or Ctrl-C
#[derive(clap::Args)]
pub struct Run {
    /// The configuration: a file, or a folder whose `*.yaml` are read together
    path: PathBuf,
}

impl Run {
    /// Ends with 0 after SIGTERM or Ctrl-C, 1 where the configuration is wrong, 3 where serving failed.
    pub fn run(self) -> ExitCode {
        let loaded = match config::load(&self.path) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                check::tell(&mistakes);
                return ExitCode::from(1);
            }
        };
        check::tell(&loaded.warnings);
        log::start(&loaded.config.log);
        match serve::serve(loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!("{failure}");
                ExitCode::from(3)
            }
        }
    }
}
