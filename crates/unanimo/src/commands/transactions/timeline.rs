//! What happened to a transaction, a line for each: when, what, to whom.

use super::age;
use super::said::{Reader, elements, safe, text};
use crate::table::{self, Column, Give};
use serde_json::Value;

const COLUMNS: [Column; 4] = [
    Column::number("TIME", Give::Nothing),
    Column::new("WHAT", Give::Nothing),
    Column::new("BRANCH", Give::Cut(8)),
    Column::new("DETAIL", Give::Cut(16)),
];

/// The timeline of a transaction that began then, with times since its beginning.
pub fn lines(view: &Value, reader: Reader) -> Vec<String> {
    let moments = elements(&view["timeline"]);
    let began = view["began_unix_ms"].as_u64();
    let rows: Vec<[String; 4]> = moments
        .iter()
        .map(|moment| [since(moment, began), text(&moment["kind"]), text(&moment["branch"]), detail(moment)])
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut lines = table::lines(COLUMNS, &rows, reader.width);
    for (line, moment) in lines.iter_mut().skip(1).zip(moments) {
        *line = reader.paint(line, tone(moment));
    }
    if let Some(left_out) = view["timeline_left_out"].as_u64().filter(|left_out| *left_out > 0) {
        // Of too many the first half of what is kept comes before the gap: after the heading, at half.
        let at = 1 + moments.len() / 2;
        lines.insert(at.min(lines.len()), format!("         … {left_out} more were left out"));
    }
    lines
}

/// One moment in words: what a watcher reads after time and transaction.
pub fn sentence(moment: &Value) -> String {
    let parts = [text(&moment["kind"]), text(&moment["branch"]), detail(moment)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// What a moment means to somebody who looks for trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    Warning,
}

pub fn tone(moment: &Value) -> Tone {
    let outcome = moment["outcome"].as_str();
    match (moment["kind"].as_str(), moment["verdict"].as_i64()) {
        (Some("verdict"), Some(1)) => Tone::Good,
        (Some("verdict"), _) | (Some("heuristic"), _) => Tone::Bad,
        (Some("stuck" | "resolved"), _) => Tone::Warning,
        (Some("answered"), _) if outcome == Some("refused") => Tone::Bad,
        (Some("answered"), _) if outcome == Some("unknown") => Tone::Warning,
        _ => Tone::Plain,
    }
}

fn since(moment: &Value, began: Option<u64>) -> String {
    match (moment["at_unix_ms"].as_u64(), began) {
        (Some(at), Some(began)) => format!("+{}", age::spell(at.saturating_sub(began))),
        // A crash has forgotten it.
        _ => "?".to_owned(),
    }
}

fn detail(moment: &Value) -> String {
    let word = |name: &str| safe(&text(&moment[name]));
    let status = moment["status"].as_u64().map_or_else(String::new, |status| format!(" ({status})"));
    match moment["kind"].as_str() {
        Some("sent") if moment["attempt"].as_u64() == Some(1) => word("operation"),
        Some("sent") => format!("{}, attempt {}", word("operation"), word("attempt")),
        Some("answered") if moment["outcome"] == "unknown" && status.is_empty() => {
            format!("{}: no answer", word("operation"))
        }
        Some("answered" | "told" | "heuristic") => {
            format!("{}: {}{status}", word("operation"), word("outcome"))
        }
        Some("verdict") if moment["verdict"].as_i64() == Some(1) => "commit".to_owned(),
        Some("verdict") => match word("cause").as_str() {
            "" => "rollback".to_owned(),
            cause => format!("rollback: {cause}"),
        },
        Some("resolved") => format!("{} by {}: {}", word("resolution"), word("who"), word("why")),
        _ => String::new(),
    }
}
