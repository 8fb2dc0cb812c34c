//! `unanimo run PATH`: serves a configuration.

use crate::commands::check;
use crate::config::{Format, Log, Mistake};
use crate::{config, log, serve};
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve a configuration until SIGTERM or Ctrl-C
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub struct Run {
    /// A configuration file, or a folder whose `*.yaml` are read together
    path: PathBuf,
    /// `text` or `json`, whatever the configuration says
    #[arg(long, value_name = "FORMAT", value_enum, hide_possible_values = true)]
    log_format: Option<Format>,
}

const HELP: &str = "\
The journal is replayed first: what a crash has left open is carried on, and
only then requests are taken. `/readyz` of the admin listener says when.
SIGTERM and Ctrl-C end it in order: nothing new begins, and who waits is told
where the answer will be. A second start goes on where the first one ended.

Example:
  $ unanimo run gateway.yaml
  $ unanimo run --log-format json /etc/unanimo/conf.d

Ends with:
  0  after SIGTERM or Ctrl-C
  1  the configuration is wrong; nothing was started
  3  serving failed: an address is taken, the journal refuses, the disk failed

Read on: docs/configuration.md, docs/logs.md, docs/operating.md";

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
        match serve::serve(loaded, &self.path) {
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
