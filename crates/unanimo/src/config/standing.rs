//! When an endpoint is left alone: its circuit.

use super::cursor::Cursor;
use super::scalars::PATIENCE;
use unanimo_upstream::{CircuitConfig, Statuses};

/// Reads `circuit`.
pub fn circuit(cursor: Cursor) -> Option<CircuitConfig> {
    let mut circuit = CircuitConfig::default();
    let fields = cursor.fields("`circuit`", &["failures", "status", "open", "cap"])?;
    fields.set("failures", &mut circuit.failures, |cursor| u32::try_from(cursor.count(1..=1_000)?).ok());
    fields.set("status", &mut circuit.statuses, |cursor| statuses(cursor, 400, "`502-504`"));
    fields.set("open", &mut circuit.open, |cursor| cursor.duration(PATIENCE));
    fields.set("cap", &mut circuit.cap, |cursor| cursor.duration(PATIENCE));
    if circuit.cap < circuit.open {
        let key = if fields.has("cap") { "cap" } else { "open" };
        fields.notes().wrong(fields.span_of(key), "`cap` must be no shorter than `open`");
        return None;
    }
    Some(circuit)
}

/// Statuses of answers: one, or a range such as `500-599`; none below `lowest`.
fn statuses(cursor: Cursor, lowest: u16, example: &str) -> Option<Statuses> {
    let text = cursor.text()?;
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let status =
        |text: &str| text.parse().ok().filter(|status| text.len() == 3 && (lowest..600).contains(status));
    match (status(from), status(to)) {
        (Some(from), Some(to)) if from <= to => Some(Statuses { from, to }),
        _ => {
            cursor.wrong(format!(
                "`{text}` is no range of statuses between {lowest} and 599, such as {example}"
            ));
            None
        }
    }
}
