//! What the process logs, and how.

use crate::config::{Format, Level, Log};
use std::io::{self, IsTerminal};
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
        Format::Json => builder.json().flatten_event(true).init(),
        Format::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
    }
}
