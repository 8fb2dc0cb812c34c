//! What stands between the network and the barrier: who may call, and how.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use serde_json::json;
use unanimo_shop::{Options, Seed, Service};
use world::{CREDENTIAL, Running};

const GOOD: [(&str, &str); 2] = [("Unanimo-Transaction", "t"), ("Unanimo-Branch", "b")];
const BODY: &str = r#"{"sku": "tea", "quantity": 1}"#;

fn shipping(directory: &tempfile::TempDir) -> Running {
    Running::start(Service::Shipping, directory.path(), Seed::default(), None)
}

#[test]
fn a_call_without_the_credential_is_turned_away() {
    let directory = tempfile::tempdir().unwrap();
    let running = shipping(&directory);
    let mut client = running.client();
    for token in ["", "Bearer ", "Bearer open sesam", "Bearer open sesamf", "Bearer open sesame!", CREDENTIAL]
    {
        let headers = [("Authorization", token), GOOD[0], GOOD[1]];
        let answer = client.send("POST", "/reservations/try", &headers, BODY);
        assert!(answer.is(401, ""), "{token}: {answer:?}");
    }
    assert!(client.send("POST", "/reservations/try", &GOOD, BODY).is(401, ""));
    assert!(running.facts().pending.is_empty());
}

#[test]
fn a_call_that_makes_no_sense_has_no_effect_and_no_mark() {
    let directory = tempfile::tempdir().unwrap();
    let running = shipping(&directory);
    let mut client = running.client();
    let token = format!("Bearer {CREDENTIAL}");
    let mut call = |path: &str, more: &[(&str, &str)], body: &str| {
        let headers = [&[("Authorization", token.as_str())], more].concat();
        let answer = client.send("POST", path, &headers, body);
        assert_eq!(answer.outcome, None);
        answer.status
    };
    let long = "x".repeat(65);
    assert_eq!(call("/reservations/try", &[], BODY), 400);
    assert_eq!(call("/reservations/try", &GOOD[..1], BODY), 400);
    assert_eq!(call("/reservations/try", &[GOOD[0], ("Unanimo-Branch", "a/b")], BODY), 400);
    assert_eq!(call("/reservations/try", &[GOOD[1], ("Unanimo-Transaction", &long)], BODY), 400);
    let contradiction = [GOOD[0], GOOD[1], ("Unanimo-Operation", "confirm")];
    assert_eq!(call("/reservations/try", &contradiction, BODY), 400);
    assert_eq!(call("/reservations/burn", &GOOD, BODY), 404);
    assert_eq!(call("/reservations/try", &GOOD, &"x".repeat(64 * 1024 + 1)), 413);
    assert!(running.facts().pending.is_empty() && running.facts().flaws.is_empty());
}

#[test]
fn a_body_that_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let running = shipping(&directory);
    for (branch, body) in [("a", json!(7)), ("b", json!({"sku": "tea", "quantity": 1.5})), ("c", json!({}))] {
        let answer = running.client().call(Service::Shipping, "try", ("t", branch), &body);
        assert!(answer.is(422, "refused"), "{answer:?}");
        assert!(answer.body["detail"].as_str().unwrap().contains("the body does not fit"));
    }
}

#[test]
fn stock_is_shown_to_anybody_and_a_reservation_shows_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let running = shipping(&directory);
    let mut client = running.client();
    assert_eq!(client.send("GET", "/healthz", &[], "").status, 200);
    assert_eq!(client.send("GET", "/stock/saffron", &[], "").body, json!({"sku": "saffron", "left": 100}));
    client.call(Service::Shipping, "try", ("t", "b"), &json!({"sku": "saffron", "quantity": 30}));
    assert_eq!(client.send("GET", "/stock/saffron", &[], "").body["left"], 70);
    assert_eq!(client.send("GET", "/stock/gold", &[], "").status, 404);
    let refused =
        client.call(Service::Shipping, "try", ("u", "b"), &json!({"sku": "saffron", "quantity": 71}));
    assert_eq!(refused.body["title"], "Out of stock");
}

#[test]
fn a_second_start_finds_the_world_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let running = shipping(&directory);
    running.client().call(Service::Shipping, "try", ("t", "b"), &json!({"sku": "tea", "quantity": 5}));
    let before = running.facts();
    drop(running);
    let after = shipping(&directory).facts();
    assert_eq!((before.total, before.pending), (after.total, after.pending));
}

#[test]
fn a_service_does_not_start_without_what_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let options = |credential| Options::new(directory.path().join("x.db"), address, credential);
    let error = unanimo_shop::run(Service::Order, options("")).unwrap_err();
    assert!(error.to_string().contains("needs a credential"));
    let error = unanimo_shop::run(Service::Notification, options("token")).unwrap_err();
    assert!(error.to_string().contains("needs a mail server"));
    let elsewhere = Options { database: directory.path().join("no/such/x.db"), ..options("token") };
    let error = unanimo_shop::run(Service::Order, elsewhere).unwrap_err();
    assert!(error.to_string().contains("cannot open the database"));
}

#[test]
fn the_names_of_services_are_read_as_they_are_written() {
    for service in Service::ALL {
        assert_eq!(service.to_string().parse(), Ok(service));
    }
    assert!("orders".parse::<Service>().is_err());
}
