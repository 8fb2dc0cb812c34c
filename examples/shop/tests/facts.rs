//! The audit: it tells what is, also when the service is dead, and it sees what is wrong.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::path::Path;

use rusqlite::Connection;
use unanimo_shop::audit::{self, Comparison, Facts, Total};
use unanimo_shop::smtp_sink::Sink;
use unanimo_shop::{Seed, Service};
use world::Running;

fn all(directory: &Path) -> Vec<Running> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = Sink::start(listener, directory.join("mail")).unwrap();
    let start = |service| Running::start(service, directory, Seed::default(), Some(sink.address()));
    Service::ALL.into_iter().map(start).collect()
}

fn ask(running: &Running, operation: &str, transaction: &str) {
    let body = world::good(running.service);
    let answer = running.client().call(running.service, operation, (transaction, "b"), &body);
    assert!(answer.is(200, "done"), "{answer:?}");
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn four_databases_tell_what_is_whole_what_is_unfinished_and_what_is_torn() {
    let directory = tempfile::tempdir().unwrap();
    let services = all(directory.path());
    for service in &services {
        for transaction in ["whole", "committing", "held", "gone", "torn"] {
            ask(service, "try", transaction);
        }
        ask(service, "confirm", "whole");
        ask(service, "cancel", "gone");
    }
    ask(&services[0], "confirm", "committing");
    ask(&services[0], "confirm", "torn");
    ask(&services[1], "confirm", "torn");
    ask(&services[2], "cancel", "torn");
    let facts: Vec<Facts> = services.iter().map(Running::facts).collect();
    let expected = Comparison {
        complete: names(["whole"]),
        unfinished: names(["committing", "held"]),
        torn: BTreeMap::from([("torn".to_owned(), BTreeSet::from([Service::Order, Service::Payment]))]),
    };
    assert_eq!(audit::compare(&facts), expected);
    assert_eq!(facts.iter().flat_map(|facts| &facts.flaws).count(), 0);
}

#[test]
fn the_audit_reads_what_a_crash_left_and_what_a_clean_stop_left() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(Service::Payment, directory.path(), Seed::default(), None);
    ask(&running, "try", "t");
    ask(&running, "confirm", "t");
    ask(&running, "try", "u");
    let expected = Some(Total { seeded: 5_000_000, free: 4_999_940, held: 30, taken: 30 });
    assert_eq!(running.facts().total, expected);

    // What a crash of the machine leaves: the file and its log, without the shared memory.
    let crashed = tempfile::tempdir().unwrap();
    for name in ["payment.db", "payment.db-wal"] {
        std::fs::copy(directory.path().join(name), crashed.path().join(name)).unwrap();
    }
    assert_eq!(audit::read(Service::Payment, &crashed.path().join("payment.db")).unwrap().total, expected);

    let database = running.database.clone();
    drop(running);
    world::within_10_s("the log is folded in", || !directory.path().join("payment.db-wal").exists());
    let facts = audit::read(Service::Payment, &database).unwrap();
    assert_eq!((facts.total, facts.flaws), (expected, vec![]));
}

#[test]
fn the_audit_sees_what_does_not_fit() {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(Service::Payment, directory.path(), Seed::default(), None);
    ask(&running, "try", "held");
    ask(&running, "try", "paid");
    ask(&running, "confirm", "paid");
    assert!(running.facts().flaws.is_empty());
    let flaws_after = |damage: &str| {
        let connection = Connection::open(&running.database).unwrap();
        connection.execute_batch(damage).unwrap();
        running.facts().flaws.join("; ")
    };
    assert!(
        flaws_after("DELETE FROM marks WHERE state = 'confirmed'").is_empty(),
        "marks are cleaned in time"
    );
    assert!(flaws_after("UPDATE accounts SET free_cents = free_cents + 1").contains("not conserved"));
    assert!(flaws_after("UPDATE holds SET amount_cents = 29").contains("not the sum of its holds"));
    assert!(flaws_after("DELETE FROM holds").contains("held/b: the mark and the effect disagree"));
    let twice = "INSERT INTO ledger VALUES ('held', 'b', 'customer-0', 30)";
    assert!(flaws_after(twice).contains("disagree on 'confirmed'"));
}
