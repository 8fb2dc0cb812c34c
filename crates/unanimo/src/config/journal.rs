//! The journal's settings. What they may be, the journal itself says.

use super::cursor::{Cursor, Fields};
use super::scalars::spell_size;
use super::source::Span;
use std::time::Duration;
use unanimo_contract::plan::{ANSWER_LIMIT, CALLS_LIMIT};
use unanimo_journal::Config;

const KEYS: [&str; 5] = ["directory", "segment_size", "commit_interval", "accept_ephemeral", "sealing"];

const TIB: u64 = 1 << 40;

/// Longer than anybody keeps a journal.
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads `journal`. Its directory is reckoned from the file's folder. `transaction_body` is the largest body of a
/// request, in bytes, that may become part of a record.
pub fn journal(fields: &Fields, transaction_body: usize) -> Option<Config> {
    let cursor = fields.need("journal")?;
    let fields = cursor.fields("`journal`", &KEYS)?;
    let directory = fields.need("directory")?.text()?;
    let mut config = Config::new(cursor.notes().source().folder().join(directory));
    fields.set("segment_size", &mut config.segment_size, |cursor| cursor.size(0..=TIB));
    fields.set("commit_interval", &mut config.commit_interval, |cursor| {
        cursor.duration(Duration::ZERO..=YEARS)
    });
    fields.set("accept_ephemeral", &mut config.accept_ephemeral, Cursor::boolean);
    if let Err(error) = config.validate() {
        let message = format!("the journal's `{}` must be {}", error.setting, error.must);
        fields.notes().wrong(span_of(error.setting, &fields), message);
    }
    let decision = (CALLS_LIMIT + ANSWER_LIMIT + transaction_body) as u64;
    if config.segment_size < decision {
        let message = format!(
            "a transaction may need {}, and one that is larger than a segment is refused",
            spell_size(decision)
        );
        fields.notes().unwise(span_of("segment_size", &fields), message, "make the segments larger");
    }
    Some(config)
}

/// Where the setting stands that the journal refuses.
fn span_of(setting: &str, fields: &Fields) -> Span {
    fields.get(setting).map_or(fields.span(), |cursor| cursor.span())
}
