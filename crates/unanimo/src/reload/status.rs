//! What operators see of the configuration: which one is in force, and why a later one is not.

use crate::clock;
use crate::config::Mistake;
use crate::reload::facts::Outline;
use crate::reload::keeper::Retired;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The configuration's state. Clones are the same.
#[derive(Clone, Debug)]
pub struct Status(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    path: Option<PathBuf>,
    in_force: Outline,
    loaded_unix_ms: u64,
    applied: u64,
    refused: u64,
    /// Why the last reload was refused; nothing after one that was not.
    refusal: Option<Refusal>,
    /// What the file says and the process does not do until it is started again.
    needs_restart: Vec<String>,
    retired: BTreeMap<String, Retired>,
}

/// Why a configuration is not taken.
#[derive(Debug)]
struct Refusal {
    unix_ms: u64,
    mistakes: Vec<Mistake>,
}

impl Status {
    /// Of a process that starts with this configuration.
    pub fn new(path: Option<PathBuf>, outline: Outline) -> Status {
        Status(Arc::new(Mutex::new(State {
            path,
            in_force: outline,
            loaded_unix_ms: clock::unix_ms(),
            applied: 0,
            refused: 0,
            refusal: None,
            needs_restart: Vec::new(),
            retired: BTreeMap::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another configuration is in force, but for what needs a restart.
    pub fn applied(&self, outline: Outline, needs_restart: Vec<String>) {
        let mut state = self.state();
        state.in_force = outline;
        state.loaded_unix_ms = clock::unix_ms();
        state.applied += 1;
        state.refusal = None;
        state.needs_restart = needs_restart;
    }

    /// A configuration was refused.
    pub fn refused(&self, mistakes: Vec<Mistake>) {
        let mut state = self.state();
        state.refused += 1;
        state.refusal = Some(Refusal { unix_ms: clock::unix_ms(), mistakes });
    }

    /// These services are retired now.
    pub fn retired(&self, retired: BTreeMap<String, Retired>) {
        self.state().retired = retired;
    }

    /// What is in force.
    pub fn outline(&self) -> Outline {
        self.state().in_force.clone()
    }

    /// The state as JSON.
    pub fn to_json(&self) -> Value {
        let state = self.state();
        let retired = state.retired.iter().map(|(name, retired)| {
            let Retired { endpoints, transactions, unreachable } = retired;
            json!({
                "service": name,
                "endpoints": endpoints,
                "transactions": transactions,
                "unreachable": unreachable,
            })
        });
        let refusal = state.refusal.as_ref().map(|refusal| {
            let mistakes = refusal.mistakes.iter().filter(|mistake| mistake.is_error());
            json!({
                "unix_ms": refusal.unix_ms,
                "mistakes": mistakes.map(mistake).collect::<Vec<_>>(),
            })
        });
        json!({
            "path": state.path.as_ref().map(|path| path.display().to_string()),
            "hash": state.in_force.hash,
            "loaded_unix_ms": state.loaded_unix_ms,
            "reloads": { "applied": state.applied, "refused": state.refused },
            "last_refusal": refusal,
            "needs_restart": state.needs_restart,
            "retired": retired.collect::<Vec<_>>(),
        })
    }
}

fn mistake(mistake: &Mistake) -> Value {
    let place = mistake.place.as_ref();
    json!({
        "file": place.map(|place| place.file.display().to_string()),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "message": mistake.message,
        "help": mistake.help,
    })
}

impl Collector for Status {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let state = self.state();
        let help = "Reloads of the configuration, by whether it was applied or refused";
        let mut reloads =
            encoder.encode_descriptor("configuration_reloads", help, None, MetricType::Counter)?;
        for (result, count) in [("applied", state.applied), ("refused", state.refused)] {
            ConstCounter::new(count).encode(reloads.encode_family(&[("result", result)])?)?;
        }
        let transactions = state.retired.values().map(|retired| retired.transactions).sum::<usize>();
        let unreachable = state.retired.values().filter(|retired| retired.unreachable.is_some()).count();
        let gauges = [
            (
                "configuration_refused",
                "1 while the last configuration that was read is not in force, since it was refused",
                usize::from(state.refusal.is_some()),
            ),
            (
                "configuration_settings_awaiting_restart",
                "Settings of the file that hold only from the next start on",
                state.needs_restart.len(),
            ),
            (
                "services_retired",
                "Services that open transactions need and the configuration no longer has",
                state.retired.len(),
            ),
            ("services_retired_unreachable", "Those of them that cannot be called", unreachable),
            (
                "services_retired_transactions",
                "Open transactions that need a retired service, counted for each such service",
                transactions,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(gauge)?;
        }
        let name = "configuration_loaded_timestamp";
        let help = "When the configuration in force was loaded, in seconds since 1970";
        let unit = prometheus_client::registry::Unit::Seconds;
        let loaded = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Gauge)?;
        ConstGauge::new(state.loaded_unix_ms as f64 / 1000.0).encode(loaded)
    }
}
