//! `service`: whether every endpoint of every service accepts connections.

use super::finding::{Check, Finding};
use super::reach::{self, Unreached};
use crate::commands::units::{counted, milliseconds};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use unanimo_upstream::{Config, ServiceConfig};

/// How many connections are tried at a time.
const AT_A_TIME: usize = 64;

/// What became of each endpoint, in the order of the configuration.
type Tried = BTreeMap<usize, Result<Duration, Unreached>>;

/// Tries every endpoint once. Nothing is sent.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tries = JoinSet::new();
    for (name, service) in &config.services {
        for (at, endpoint) in service.endpoints.iter().enumerate() {
            let (name, endpoint, permits) = (name.clone(), endpoint.clone(), permits.clone());
            let patience = service.connect_timeout;
            tries.spawn(async move {
                // Never closed: there is always a permit one day.
                let _permit = permits.acquire().await;
                (name, at, reach::connect(&endpoint, patience).await)
            });
        }
    }
    let mut tried: BTreeMap<String, Tried> = BTreeMap::new();
    for (name, at, reached) in tries.join_all().await {
        tried.entry(name).or_default().insert(at, reached);
    }
    let found = |(name, service): (&String, &ServiceConfig)| {
        judge(name, &service.endpoints, tried.get(name).unwrap_or(&Tried::new()))
    };
    config.services.iter().map(found).collect()
}

fn judge(name: &str, endpoints: &[String], tried: &Tried) -> Finding {
    const CHECK: Check = Check::Service;
    let slowest = tried.values().filter_map(|reached| reached.as_ref().ok()).max();
    let lost: Vec<String> = endpoints
        .iter()
        .zip(tried.values())
        .filter_map(|(endpoint, reached)| Some(format!("{endpoint} {}", reached.as_ref().err()?.said())))
        .collect();
    let advice = "start it, or correct its `endpoints`";
    match slowest {
        Some(slowest) if lost.is_empty() => {
            let who = match endpoints.len() {
                1 => "accepts connections".to_owned(),
                number => format!("accepts connections at {}", counted(number, "endpoint")),
            };
            Finding::ok(CHECK, format!("{name} {who}, in {}", milliseconds(*slowest)))
        }
        Some(_) => {
            let rest = counted(endpoints.len() - lost.len(), "other endpoint");
            Finding::warn(CHECK, format!("{name}: {}; {rest} accepts", lost.join(", ")), advice)
        }
        None => Finding::fail(CHECK, format!("{name}: {}", lost.join(", ")), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    #[test]
    fn a_service_fails_only_where_no_endpoint_accepts() {
        let endpoints = ["a:1", "b:1"].map(str::to_owned);
        let judged = |reached: [bool; 2]| {
            let tried = reached.into_iter().map(|reached| match reached {
                true => Ok(Duration::from_micros(200)),
                false => Err(Unreached::Silent(Duration::from_secs(1))),
            });
            let found = judge("bank", &endpoints, &tried.enumerate().collect());
            (found.judgement, found.said)
        };
        let both = "bank accepts connections at 2 endpoints, in 0.20 ms".to_owned();
        assert_eq!(judged([true, true]), (Judgement::Ok, both));
        let one = "bank: b:1 has not answered for 1000 ms; 1 other endpoint accepts".to_owned();
        assert_eq!(judged([true, false]), (Judgement::Warn, one));
        assert_eq!(judged([false, false]).0, Judgement::Fail);
    }
}
