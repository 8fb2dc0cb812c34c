//! What the running gateway finds out about the services' endpoints by itself, and shows to operators.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use support::clock::within;
use support::gateway::{Choices, Gateway};
use support::http::{self, Request};
use support::process::PATIENCE;
use support::scripted::{Call, Said, Scripted};

fn shown(gateway: &Gateway) -> Value {
    serde_json::from_str(&gateway.ask("/v1/services").unwrap().text()).unwrap()
}

#[test]
fn endpoints_are_checked_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let well = Scripted::start(|_| Said::json(200, "{}"));
    let ill = Scripted::start(|_| Said::json(500, "{}"));
    let rest = format!(
        "services:\n  bare: {{ endpoints: [\"{well}\"] }}\n  both: {{ endpoints: [\"{well}\", \"{ill}\"], circuit: {{}}, \
         health: {{ path: /healthz, interval: 100ms, unhealthy: 2 }} }}\nroutes:\n\
         \x20 - {{ name: a, match: {{ prefix: /a }}, proxy: {{ service: bare }} }}\n\
         \x20 - {{ name: b, match: {{ prefix: /b }}, proxy: {{ service: both }} }}\n",
        well = well.address,
        ill = ill.address,
    );
    let mut gateway = Gateway::prepare(folder.path(), Choices::default(), &rest);
    gateway.start();
    let endpoint = |address: &dyn ToString, healthy: Value| json!({ "address": address.to_string(), "circuit": "closed", "healthy": healthy });
    let expected = json!({ "services": [
        { "name": "bare", "endpoints": [endpoint(&well.address, Value::Null)] },
        { "name": "both", "endpoints": [
            endpoint(&well.address, json!(true)),
            endpoint(&ill.address, json!(false)),
        ] },
    ] });
    within("the ill one is found", PATIENCE, || match shown(&gateway) {
        shown if shown == expected => Ok(()),
        shown => Err(shown.to_string()),
    });
}

/// A participant whose commits fail `times` times; everything else it does at once.
fn late_to_commit(times: usize) -> Scripted {
    let left = AtomicUsize::new(times);
    Scripted::start(move |call| {
        let commits = call.header("unanimo-operation") == Some("commit");
        let fails = commits && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        Said::json(if fails { 503 } else { 200 }, "{}")
    })
}

#[test]
fn a_verdict_is_told_through_a_circuit_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let late = late_to_commit(4);
    let rest = format!(
        "services:\n  late: {{ endpoints: [\"{}\"], anonymous: true, circuit: {{ failures: 2, open: 200ms }} }}\n\
         retry: {{ initial: 1ms, cap: 50ms, budget: {{ per_second: 1000 }} }}\nroutes:\n\
         \x20 - {{ name: pay, match: {{ method: POST, path: /pay }}, transaction: {{ mode: two-phase, deadline: 30s, \
         branches: [{{ name: only, service: late, path: /late }}] }} }}\n",
        late.address,
    );
    let mut gateway = Gateway::prepare(folder.path(), Choices::default(), &rest);
    gateway.start();
    let post = || http::once(gateway.public, Request::post("/pay", &[], ""), PATIENCE).unwrap();
    assert_eq!(post().status, 200);
    let operation = |call: &Call| call.header("unanimo-operation").unwrap().to_owned();
    let calls = late.calls();
    let operations: Vec<_> = calls.iter().map(operation).collect();
    // Two failures open it, and each of two probes fails: what was held back in between has never arrived.
    assert_eq!(operations, ["prepare", "commit", "commit", "commit", "commit", "commit"]);
    let attempts: Vec<u32> =
        calls[1..].iter().map(|call| call.header("unanimo-attempt").unwrap().parse().unwrap()).collect();
    assert!(attempts.is_sorted() && attempts[4] > 5, "{attempts:?}: some were held back");
    let keys: BTreeSet<_> = calls[1..].iter().map(|call| call.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 1);
    // It is closed again: the next one is as fast as ever.
    assert_eq!(post().status, 200);
    assert_eq!(late.calls().len(), 8);
}
