//! The journal's settings. What they may be, the journal itself says.

use super::cursor::{Cursor, Fields};
use super::source::Span;
use std::time::Duration;
use unanimo_journal::Config;

const KEYS: [&str; 5] = ["directory", "segment_size", "commit_interval", "retention", "accept_ephemeral"];

/// Reads `journal`. Its directory is reckoned from the file's folder.
pub fn journal(fields: &Fields) -> Option<Config> {
    let cursor = fields.need("journal")?;
    let fields = cursor.fields("`journal`", &KEYS)?;
    let directory = fields.need("directory")?.text()?;
    let mut config = Config::new(cursor.notes().source().folder().join(directory));
    fields.set("segment_size", &mut config.segment_size, |cursor| cursor.size(0..=u64::MAX));
    fields.set("commit_interval", &mut config.commit_interval, |cursor| {
        cursor.duration(Duration::ZERO..=Duration::MAX)
    });
    fields.set("accept_ephemeral", &mut config.accept_ephemeral, Cursor::boolean);
    let retention =
        fields.get("retention").and_then(|cursor| cursor.fields("`retention`", &["time", "size"]));
    if let Some(retention) = &retention {
        let seconds = Duration::from_secs(1)..=Duration::MAX;
        retention.set("time", &mut config.retention.time, |cursor| cursor.duration(seconds.clone()));
        retention.set("size", &mut config.retention.size, |cursor| cursor.size(0..=u64::MAX));
    }
    if let Err(error) = config.validate() {
        let message = format!("the journal's `{}` must be {}", error.setting, error.must);
        fields.notes().wrong(span_of(error.setting, &fields, retention.as_ref()), message);
    }
    Some(config)
}

/// Where the setting stands that the journal refuses.
fn span_of(setting: &str, fields: &Fields, retention: Option<&Fields>) -> Span {
    let in_retention = setting.strip_prefix("retention.");
    let (fields, setting) = match (in_retention, retention) {
        (Some(setting), Some(retention)) => (retention, setting),
        _ => (fields, setting),
    };
    fields.get(setting).map_or(fields.span(), |cursor| cursor.span())
}
