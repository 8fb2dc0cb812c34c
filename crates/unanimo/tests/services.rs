//! What the running gateway finds out about the services' endpoints by itself, and shows to operators.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use support::clock::within;
use support::gateway::{Choices, Gateway};
use support::process::PATIENCE;
use support::scripted::{Said, Scripted};

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
