//! That every key arrives where it belongs, and that a default is what its page says.

use super::*;
use serde_json::json;
use std::time::Duration;
use unanimo_contract::{Plan, RefusedPlan};
use unanimo_gateway::{Action, PathMatch, RouteConfig};
use unanimo_upstream::Protocol;

fn config_of(text: &str) -> Config {
    let source = Source::of("etc/gateway.yaml", text);
    let loaded =
        parse(&source).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>());
    loaded.unwrap().config
}

fn everything() -> Config {
    config_of(include_str!("../../tests/check/everything.yaml"))
}

fn plan(route: &RouteConfig) -> &Plan {
    match &route.action {
        Action::Transaction(transaction) => &transaction.plan,
        Action::Proxy(_) => panic!("{} is a plain route", route.name),
    }
}

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_process_is_told_what_the_file_says() {
    let config = everything();
    let listeners: Vec<_> =
        config.gateway.listeners.iter().map(|l| (l.name.as_str(), l.address.to_string())).collect();
    assert_eq!(listeners, [("public", "[::1]:8080".to_owned()), ("inside", "127.0.0.1:8090".to_owned())]);
    assert_eq!(config.admin, Some("127.0.0.1:8081".parse().unwrap()));
    assert_eq!((config.workers, config.open_transactions), (3, 1000));
    assert_eq!(config.log, Log { level: Level::Debug, format: Format::Json, access: true });
    let mut journal = unanimo_journal::Config::new("etc/data/journal");
    journal.segment_size = 32 << 20;
    journal.commit_interval = MILLISECOND / 2;
    journal.accept_ephemeral = true;
    assert_eq!(config.journal, journal);
    let kept = config.history.retention;
    assert_eq!(config.history.file, Path::new("etc/data/past.sqlite"));
    assert_eq!((kept.time, kept.transactions, kept.size), (SECOND * 7 * 24 * 60 * 60, 250_000, 8 << 30));
    assert_eq!((config.keys.time, config.keys.count, kept.keys), (SECOND * 2 * 24 * 60 * 60, 5000, 5000));
    let retry = config.retry;
    assert_eq!((retry.initial, retry.cap, retry.stuck_after), (MILLISECOND * 20, SECOND * 10, SECOND * 120));
    assert_eq!((retry.budget_ratio, retry.budget_per_second), (0.5, 2.5));
    let limits = &config.gateway.limits;
    assert_eq!((limits.header_bytes, limits.transaction_body_bytes), (16 << 10, 128 << 10));
    assert_eq!((limits.body_bytes, limits.connections), (2 << 30, 500));
    assert_eq!((limits.header_timeout, limits.body_idle_timeout), (SECOND * 5, SECOND * 10));
    assert_eq!(limits.idle_timeout, SECOND * 60);
}

#[test]
fn services_are_told_apart_by_name() {
    let config = everything();
    let bank = &config.upstream.services["bank-a"];
    assert_eq!(bank.endpoints, ["bank.internal:7001", "[::1]:7001"]);
    assert_eq!((bank.connect_timeout, bank.idle_timeout), (MILLISECOND * 300, SECOND * 20));
    assert_eq!((bank.idle_connections, bank.connections), (4, 8));
    assert_eq!((bank.protocol, bank.streams), (Protocol::Http1, 100));
    let other = &config.upstream.services["bank-b"];
    assert_eq!(other.endpoints, bank.endpoints);
    assert_eq!((other.protocol, other.streams), (Protocol::H2c, 16));
}

#[test]
fn a_route_becomes_a_match_and_a_plan() {
    let config = everything();
    let [transfer, accounts, pass_on] = config.gateway.routes.as_slice() else { panic!("three routes") };
    assert_eq!(transfer.matching.host.as_deref(), Some("api.example.org"));
    assert_eq!(transfer.matching.methods, ["POST", "PUT"]);
    assert_eq!(transfer.matching.path, PathMatch::Exact("/accounts/{account}/transfers".into()));
    let Action::Transaction(transaction) = &transfer.action else { panic!("a transaction") };
    assert_eq!(transaction.pass_credentials, ["authorization"]);
    let stored: serde_json::Value = serde_json::from_slice(&transaction.plan.encode()).unwrap();
    let expected = json!({
        "language": 2, "route": "transfer", "mode": "tcc", "deadline_ms": 3000, "answer_timeout_ms": 4000,
        "branches": [
            {
                "name": "debit", "service": "bank-a", "after": [1], "call_timeout_ms": 700,
                "path": "/debits/${request.parameters.account}",
                "paths": [["confirm", "/confirmed/${transaction.id}"]],
                "headers": [["x-tenant", "${request.headers[\"x-tenant\"]}"], ["x-version", "1"]],
                "body": {
                    "amount": "${request.body.amount}", "fee": 1.5,
                    "tags": [16, null, "yes", "no", true, "$${literal}"],
                },
            },
            { "name": "credit", "service": "bank-b", "path": "/credits", "call_timeout_ms": 2000 },
        ],
        "respond": {
            "status": 201, "headers": [["location", "/transfers/${transaction.id}"]],
            "body": "${branches.debit.response}",
        },
        "refused": { "respond": { "status": 422, "body": { "why": "${branches.debit.response.why}" } } },
    });
    assert_eq!(stored, expected);
    let Action::Proxy(proxy) = &accounts.action else { panic!("a plain route") };
    assert_eq!((proxy.service.as_str(), proxy.timeout), ("bank-a", SECOND * 9));
    assert_eq!(proxy.rewrite_prefix.as_deref(), Some("/v2"));
    assert_eq!(accounts.matching.path, PathMatch::Prefix("/accounts/{account}".into()));
    assert_eq!(plan(pass_on).refused, Some(RefusedPlan::PassOn));
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let config = config_of(
        "listeners: { public: { address: 127.0.0.1:0 } }\n\
         journal: { directory: /var/journal }\n\
         services: { bank: { endpoints: [bank:1], anonymous: true } }\n\
         routes:\n\
         - name: a\n  match: { method: POST, path: /a }\n  transaction:\n    mode: two-phase\n    branches:\n\
         \x20   - { name: only, service: bank, path: /b }\n\
         - { name: b, match: { prefix: / }, proxy: { service: bank } }\n",
    );
    let [transaction, plain] = config.gateway.routes.as_slice() else { panic!("two routes") };
    let plan = plan(transaction);
    assert_eq!(
        (plan.deadline_ms, plan.answer_timeout_ms, plan.branches[0].call_timeout_ms),
        (10_000, 12_000, 2_000)
    );
    assert_eq!((plan.respond.as_ref(), plan.refused.as_ref()), (None, None));
    let Action::Proxy(proxy) = &plain.action else { panic!("a plain route") };
    assert_eq!((proxy.timeout, proxy.rewrite_prefix.as_ref()), (SECOND * 30, None));
    assert_eq!(config.journal, unanimo_journal::Config::new("/var/journal"));
    assert_eq!((config.admin, config.open_transactions), (None, 20_000));
    assert_eq!(config.retry, unanimo_coordinator::Retry::default());
    assert_eq!(config.log, Log { level: Level::Info, format: Format::Text, access: false });
    assert!((1..=64).contains(&config.workers));
}
