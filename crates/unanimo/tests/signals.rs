//! How the gateway ends: asked to, or because its disk has failed. And where it refuses to start.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::io::Read;
use std::net::SocketAddr;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;
use support::clock::{Bound, within};
use support::counter::{Counter, body};
use support::gateway::{Choices, Gateway, Injection, demand_strace};
use support::http::{self, Answer, Lost, Request};
use support::process::PATIENCE;
use support::scripted::Scripted;

/// More workers than a client has connections, so that a key's owner is seldom the one that has the connection.
const WORKERS: Choices = Choices { journal: "segment_size: 256KiB", more: "workers: 4\ndrain: 0s" };

#[test]
fn at_sigterm_whoever_waits_is_told_where_the_answer_will_be_and_there_it_is() {
    let mut counter = Counter::start(WORKERS);
    let amounts: Vec<String> = (10..22).map(|number| format!("{number}.50")).collect();
    // Eight wait for a vote, four for the end of their commit.
    let acts: Vec<_> = (0..12).map(|at| if at < 8 { "wait" } else { "slow-commit" }).collect();
    let Counter { gateway, left, .. } = &mut counter;
    let address = gateway.public;
    let answers = std::thread::scope(|scope| {
        let clients: Vec<_> =
            amounts.iter().zip(&acts).map(|(amount, act)| pay(scope, address, act, amount)).collect();
        await_calls(left, "prepare", 12);
        await_calls(left, "commit", 4);
        let status = gateway.terminate();
        assert_eq!(status.code(), Some(0), "{}", gateway.said());
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    counter.door.open();
    counter.gateway.start();
    for ((answer, amount), act) in answers.iter().zip(&amounts).zip(acts) {
        let ask_again =
            || counter.post("/pay", &[("Idempotency-Key", amount)], &body(act, "yes", amount)).unwrap();
        if act == "wait" {
            let status = ended(&counter, &promised(answer));
            let again = ask_again();
            assert_eq!(
                (&status["verdict"], again.problem().as_str()),
                (&0.into(), "interrupted"),
                "{status}"
            );
            assert_eq!(again.json(), status["answer"]["body"], "the key and the address tell the same");
            told_alike(&counter, amount, "rollback");
        } else {
            // Its verdict was durable: nothing was left but telling it.
            let again = ask_again();
            let answer = answer.as_ref().unwrap();
            assert_eq!(
                (answer.status, answer.header("unanimo-finished")),
                (201, Some("false")),
                "{answer:?}"
            );
            assert_eq!((again.status, &again.body), (201, &answer.body), "{}", again.text());
            told_alike(&counter, amount, "commit");
        }
    }
    counter.gateway.process().signal(Signal::INT);
    assert_eq!(counter.gateway.process().wait().code(), Some(0), "{}", counter.gateway.said());
}

/// A key's owner is seldom the worker that has the only connection: the others must not end before it.
#[test]
fn at_sigterm_a_single_client_is_told_whichever_worker_owns_its_key() {
    let mut counter = Counter::start(WORKERS);
    for number in 0..6 {
        let amount = format!("{number}.50");
        let Counter { gateway, left, .. } = &mut counter;
        let address = gateway.public;
        let answer = std::thread::scope(|scope| {
            let client = pay(scope, address, "wait", &amount);
            within("it waits", PATIENCE, || match Counter::operations(left, &amount).len() {
                0 => Err("it was not asked".to_owned()),
                _ => Ok(()),
            });
            assert_eq!(gateway.terminate().code(), Some(0), "{}", gateway.said());
            client.join().unwrap()
        });
        promised(&answer);
        counter.gateway.start();
    }
}

#[test]
fn at_its_end_idle_connections_close_and_no_new_ones_come_while_what_is_under_way_goes_on() {
    let mut counter = Counter::start(WORKERS);
    let address = counter.gateway.public;
    let bound = Bound::after(PATIENCE);
    let mut idle = http::connect(address).unwrap();
    http::write(idle.get_mut(), address, Request::get("/transactions/x"), bound).unwrap();
    assert_eq!(
        http::read(&mut idle, bound).map(|(answer, is_kept)| (answer.status, is_kept)).unwrap(),
        (404, true)
    );
    let mut busy = http::connect(address).unwrap();
    http::write(busy.get_mut(), address, Request::get("/plain"), bound).unwrap();
    within("the plain request arrives", PATIENCE, || match counter.right.calls().len() {
        1 => Ok(()),
        other => Err(format!("{other} calls")),
    });

    let gateway = &mut counter.gateway;
    gateway.process().signal(Signal::TERM);
    idle.get_mut().set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(idle.read(&mut [0; 1]).expect("it is closed in order"), 0, "an idle connection is closed");
    within("new connections are refused", PATIENCE, || match http::connect(address) {
        Err(_) => Ok(()),
        Ok(_) => Err("one came about".to_owned()),
    });
    gateway.process().signal(Signal::TERM);
    gateway.process().signal(Signal::INT);
    counter.door.open();
    let (answer, is_kept) = http::read(&mut busy, bound).unwrap();
    assert_eq!((answer.status, is_kept), (200, false), "{answer:?}");
    let status = counter.gateway.process().wait();
    assert_eq!(status.code(), Some(0), "a second signal is harmless: {}", counter.gateway.said());
}

#[test]
fn a_sync_that_fails_ends_the_process_and_nobody_was_told_an_untruth() {
    let what = "error=EIO:when=25".to_owned();
    let failing = Injection { system_call: "fdatasync", what, file: Some("journal/0000000001.journal") };
    the_disk_fails(&failing, "Input/output error");
}

#[test]
fn a_disk_that_is_full_ends_the_process_and_nobody_was_told_an_untruth() {
    let what = "error=ENOSPC:when=25+".to_owned();
    let failing = Injection { system_call: "pwrite64", what, file: Some("journal/0000000001.journal") };
    the_disk_fails(&failing, "No space left on device");
}

fn the_disk_fails(failing: &Injection, reason: &str) {
    demand_strace();
    let mut counter = Counter::prepare(WORKERS);
    counter.gateway.spawn_injected(failing);
    counter.gateway.await_ready();
    let Counter { gateway, left, .. } = &mut counter;
    let address = gateway.public;
    let waiting: Vec<String> = (10..14).map(|number| format!("{number}.50")).collect();
    let (places, told) = std::thread::scope(|scope| {
        let clients: Vec<_> = waiting.iter().map(|amount| pay(scope, address, "wait", amount)).collect();
        await_calls(left, "prepare", 4);
        let told = pay_until_something_breaks(address);
        let places: Vec<_> = clients.into_iter().map(|client| promised(&client.join().unwrap())).collect();
        (places, told)
    });
    let status = gateway.process().wait();
    assert_eq!(status.code(), Some(3), "{}", gateway.said());
    assert!(gateway.said().contains(reason), "the reason is missing: {}", gateway.said());

    counter.door.open();
    counter.gateway.start();
    for (place, amount) in places.iter().zip(&waiting) {
        let status = ended(&counter, place);
        assert_eq!(status["answer"]["body"]["type"], "/problems/interrupted", "{status}");
        told_alike(&counter, amount, "rollback");
    }
    for (amount, answer) in &told {
        let again = within("its key has a definite answer", PATIENCE, || {
            let again = counter.post("/pay", &[("Idempotency-Key", amount)], &body("yes", "yes", amount));
            let again = again.map_err(|lost| lost.0)?;
            if [201, 409].contains(&again.status) && again.problem() != "in-progress" {
                Ok(again)
            } else {
                Err(again.text())
            }
        });
        let told = if again.status == 201 { "commit" } else { "rollback" };
        match answer {
            Ok(answer) if answer.status == 201 => assert_eq!(answer.body, again.body, "{}", again.text()),
            Ok(answer) if answer.status == 202 => drop(promised(&Ok(answer.clone()))),
            Ok(answer) => assert_eq!(answer.problem(), "not-ready", "{answer:?}"),
            Err(_) => {}
        }
        told_alike(&counter, amount, told);
    }
    assert_eq!(counter.gateway.open(), Vec::<Value>::new());
}

/// Pays until the first request whose answer is no commit; gives all answers with their amounts, which are the keys.
fn pay_until_something_breaks(address: SocketAddr) -> Vec<(String, Result<Answer, Lost>)> {
    let mut told = Vec::new();
    for number in 100..200 {
        let amount = format!("{number}.50");
        let headers = [("Idempotency-Key", amount.as_str())];
        let answer =
            http::once(address, Request::post("/pay", &headers, &body("yes", "yes", &amount)), PATIENCE);
        let is_committed = answer.as_ref().is_ok_and(|answer| answer.status == 201);
        told.push((amount, answer));
        if !is_committed {
            assert!(told.len() > 1, "the disk failed before anything was committed: {told:?}");
            return told;
        }
    }
    panic!("the disk has not failed: {told:?}");
}

/// Both services heard this verdict, and not the other one, as soon as nothing is open.
fn told_alike(counter: &Counter, amount: &str, told: &str) {
    within("everything has ended", PATIENCE, || match counter.gateway.open().first() {
        None => Ok(()),
        Some(open) => Err(open.to_string()),
    });
    for participant in [&counter.left, &counter.right] {
        let operations = Counter::operations(participant, amount);
        let other = if told == "commit" { "rollback" } else { "commit" };
        assert!(operations.iter().any(|asked| asked == told), "{amount}: {operations:?}");
        assert!(!operations.iter().any(|asked| asked == other), "{amount}: {operations:?}");
    }
}

#[test]
fn a_journal_has_one_owner_and_an_address_one_listener() {
    let mut counter = Counter::start(WORKERS);
    let folder = counter.folder.path().to_owned();
    let rest = "services:\n  left: { endpoints: [\"127.0.0.1:1\"] }\n\
                routes:\n  - { name: plain, match: { path: / }, proxy: { service: left } }\n";
    // The same journal, and other addresses.
    let mut second = Gateway::prepare(&folder, WORKERS, rest);
    second.spawn();
    assert_eq!(second.process().wait().code(), Some(3));
    assert!(second.said().contains("another process owns the journal in"), "{}", second.said());
    // The same address, and another journal.
    let other = tempfile::tempdir().unwrap();
    let mut third = Gateway::prepare(other.path(), WORKERS, rest);
    third.listen_on(counter.gateway.public);
    third.spawn();
    assert_eq!(third.process().wait().code(), Some(3));
    assert!(third.said().contains("cannot be listened on"), "{}", third.said());
    // The first one does not mind.
    counter.gateway.await_ready();
    let answer = counter.post("/pay", &[], &body("yes", "yes", "1.00")).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// A client that pays this amount, which is also its key.
fn pay<'scope>(
    scope: &'scope Scope<'scope, '_>,
    address: SocketAddr,
    act: &str,
    amount: &'scope str,
) -> ScopedJoinHandle<'scope, Result<Answer, Lost>> {
    let body = body(act, "yes", amount);
    scope.spawn(move || {
        http::once(address, Request::post("/pay", &[("Idempotency-Key", amount)], &body), PATIENCE)
    })
}

/// Waits until a participant was asked so often for this operation.
fn await_calls(participant: &Scripted, operation: &str, count: usize) {
    within(&format!("{count} calls of {operation}"), PATIENCE, || {
        let calls = participant.calls();
        let asked = calls.iter().filter(|call| call.header("unanimo-operation") == Some(operation)).count();
        if asked >= count { Ok(()) } else { Err(format!("{asked} came")) }
    });
}

/// The address that a 202 names.
fn promised(answer: &Result<Answer, Lost>) -> String {
    let answer = answer.as_ref().expect("who waits is answered");
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.header("unanimo-finished"), Some("false"));
    let place = answer.header("location").expect("a 202 names an address");
    assert!(place.starts_with(&format!("/transactions/{}.", answer.header("unanimo-transaction").unwrap())));
    place.to_owned()
}

/// What stands at a status address once the transaction has ended.
fn ended(counter: &Counter, place: &str) -> Value {
    within("the transaction has ended", Duration::from_secs(30), || {
        let answer = counter.get(place);
        assert_eq!(answer.status, 200, "{answer:?}");
        let status = answer.json();
        if status["finished"] == true { Ok(status) } else { Err(status.to_string()) }
    })
}
