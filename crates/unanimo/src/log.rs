//! What the process logs, and how.

use crate::config::{Format, Level, Log, Mistake};
use std::io::{self, IsTerminal};
use std::panic;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

/// Sends every event from now on to standard error. Once for a process.
pub fn start(log: &Log) {
    let level = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let builder = fmt().with_max_level(level).with_writer(io::stderr).with_target(false);
    match log.format {
        Format::Json => {
            builder.json().flatten_event(true).init();
            // Whoever reads lines of JSON reads nothing else.
            panic::set_hook(Box::new(
                |panic| tracing::error!(panic = %panic, "a mistake of the program's own"),
            ));
        }
        Format::Text => builder.with_ansi(io::stderr().is_terminal() && !wants_no_colour()).init(),
    }
}

/// A mistake in the configuration as a line of the log.
pub fn mistake(mistake: &Mistake) {
    let (file, line, column) = match &mistake.place {
        Some(place) => (Some(place.file.display().to_string()), Some(place.line), Some(place.column)),
        None => (None, None, None),
    };
    let (message, help) = (&mistake.message, mistake.help.as_deref());
    if mistake.is_error() {
        tracing::error!(file, line, column, help, "{message}");
    } else {
        tracing::warn!(file, line, column, help, "{message}");
    }
}

/// Whether somebody asked for no colours.
pub fn wants_no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
