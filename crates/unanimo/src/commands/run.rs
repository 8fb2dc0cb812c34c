//! `unanimo run PATH`: serves a configuration.

use crate::commands::check;
use crate::config::{Format, Log, Mistake};
use crate::{config, log, serve};
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve a configuration until SIGTERM or Ctrl-C
#[derive(clap::Args)]
pub struct Run {
    /// The configuration: a file, or a folder whose `*.yaml` are read together
    path: PathBuf,
    /// How log lines look, in place of what the configuration says
    #[arg(long, value_name = "FORMAT", value_enum)]
    log_format: Option<Format>,
}

impl Run {
    /// Ends with 0 after SIGTERM or Ctrl-C, 1 where the configuration is wrong, 3 where serving failed.
    pub fn run(self) -> ExitCode {
        let loaded = match config::load(&self.path) {
            Ok(loaded) => loaded,
            Err(mistakes) => {
                // What the configuration says of the log is not known: it could not be read.
                let format = self.log_format.unwrap_or(Format::Text);
                if format == Format::Json {
                    log::start(&Log { format, ..Log::default() });
                }
                tell(&mistakes, format);
                return ExitCode::from(1);
            }
        };
        let log = loaded.config.log;
        let log = Log { format: self.log_format.unwrap_or(log.format), ..log };
        log::start(&log);
        tell(&loaded.warnings, log.format);
        match serve::serve(loaded.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                tracing::error!("{failure}");
                ExitCode::from(3)
            }
        }
    }
}

/// Tells mistakes as a compiler does, or as log lines to whoever reads nothing else.
fn tell(mistakes: &[Mistake], format: Format) {
    match format {
        Format::Text => check::tell(mistakes),
        Format::Json => mistakes.iter().for_each(log::mistake),
    }
}
