//! `affinity: transaction`, through the real program: one endpoint for each transaction, also after a crash.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use support::clock::within;
use support::gateway::{Choices, Gateway};
use support::http::{self, Request};
use support::process::PATIENCE;
use support::scripted::{Door, Said, Scripted};

const TRANSACTIONS: usize = 24;

#[test]
fn every_operation_reaches_the_same_endpoint_also_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let door = Door::default();
    let endpoints: Vec<_> = (0..3)
        .map(|_| {
            let door = door.clone();
            Scripted::start(move |call| match call.header("unanimo-operation") {
                Some("commit") if !door.is_open() => Said::json(503, "{}"),
                _ => Said::json(200, "{}"),
            })
        })
        .collect();
    let addresses: Vec<_> = endpoints.iter().map(|endpoint| format!("\"{}\"", endpoint.address)).collect();
    let rest = format!(
        "services:\n  bank: {{ endpoints: [{}], anonymous: true, affinity: transaction }}\nroutes:\n  - name: pay\n    \
         match: {{ method: POST, path: /pay }}\n    transaction: {{ mode: two-phase, answer_timeout: 100ms, branches: [\n      \
         {{ name: debit, service: bank, path: /debits }}, {{ name: credit, service: bank, path: /credits }} ] }}\n",
        addresses.join(", ")
    );
    let choices = Choices { more: "workers: 2\nretry: { cap: 200ms }", ..Choices::default() };
    let mut gateway = Gateway::prepare(folder.path(), choices, &rest);
    gateway.start();
    let ids: BTreeSet<String> = (0..TRANSACTIONS)
        .map(|_| {
            let answer = http::once(gateway.public, Request::post("/pay", &[], "{}"), PATIENCE).unwrap();
            answer.header("unanimo-transaction").unwrap().to_owned()
        })
        .collect();
    gateway.kill();
    gateway.start();
    door.open();
    within("all have ended", PATIENCE, || match gateway.open().len() {
        0 => Ok(()),
        open => Err(format!("{open} are open")),
    });
    let mut reached = BTreeMap::<String, BTreeSet<usize>>::new();
    let mut attempts = 0;
    for (at, endpoint) in endpoints.iter().enumerate() {
        for call in endpoint.calls() {
            reached.entry(call.header("unanimo-transaction").unwrap().to_owned()).or_default().insert(at);
            attempts += 1;
        }
    }
    assert!(attempts > 4 * TRANSACTIONS, "{attempts} calls: some were repeated");
    assert!(reached.keys().eq(&ids), "every transaction called");
    assert!(reached.values().all(|endpoints| endpoints.len() == 1), "{reached:?}");
    assert!(
        reached.values().flatten().collect::<BTreeSet<_>>().len() > 1,
        "all at one endpoint: {reached:?}"
    );
}
