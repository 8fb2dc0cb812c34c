//! When an endpoint is left alone: its circuit, and its health.

use super::cursor::Cursor;
use super::scalars::PATIENCE;
use std::time::Duration;
use unanimo_upstream::{CircuitConfig, HealthConfig, Statuses};

/// How often an endpoint may be asked, at most.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

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

/// Reads `health`.
pub fn health(cursor: Cursor) -> Option<HealthConfig> {
    let known = ["path", "interval", "timeout", "healthy", "unhealthy", "status"];
    let fields = cursor.fields("`health`", &known)?;
    let path = fields.need("path").and_then(|cursor| {
        let path = cursor.text()?;
        let is_path = path.starts_with('/') && !path.contains('#') && http::Uri::try_from(path).is_ok();
        if !is_path {
            cursor.wrong(format!("`{path}` is not a path, such as `/healthz`"));
        }
        is_path.then_some(path)
    });
    let mut health = HealthConfig::new(path.unwrap_or("/"));
    let times = |cursor: Cursor| u32::try_from(cursor.count(1..=100)?).ok();
    fields
        .set("interval", &mut health.interval, |cursor| cursor.duration(SHORTEST_INTERVAL..=*PATIENCE.end()));
    fields.set("timeout", &mut health.timeout, |cursor| cursor.duration(PATIENCE));
    fields.set("healthy", &mut health.healthy, times);
    fields.set("unhealthy", &mut health.unhealthy, times);
    fields.set("status", &mut health.statuses, |cursor| statuses(cursor, 200, "`200-299`"));
    path.map(|_| health)
}

/// Statuses of answers: one, or a range such as `500-599`; none below `lowest`.
pub fn statuses(cursor: Cursor, lowest: u16, example: &str) -> Option<Statuses> {
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
