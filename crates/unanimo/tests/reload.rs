//! Another configuration while a gateway serves: nothing is lost, nothing half is taken, and what was begun ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::{Choices, Gateway};
use support::http::{Client, Request};
use support::process::PATIENCE;

/// The file's text.
fn text(gateway: &Gateway) -> String {
    fs::read_to_string(gateway.folder.join("gateway.yaml")).unwrap()
}

/// Puts another text in the file's place, as an editor does.
fn write(gateway: &Gateway, text: &str) {
    let beside = gateway.folder.join("gateway.yaml.new");
    fs::write(&beside, text).unwrap();
    fs::rename(beside, gateway.folder.join("gateway.yaml")).unwrap();
}

/// The file without its services and routes, and with one plain route that serves nobody.
fn stripped(text: &str) -> String {
    let head = text.split("services:").next().unwrap();
    format!(
        "{head}services:\n  other: {{ endpoints: [\"127.0.0.1:1\"] }}\nroutes:\n  \
         - {{ name: other, match: {{ path: /other }}, proxy: {{ service: other }} }}\n"
    )
}

fn configuration(gateway: &Gateway) -> Value {
    gateway.ask("/v1/configuration").unwrap().json()
}

fn await_state(gateway: &Gateway, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    within(what, PATIENCE, || {
        let state = configuration(gateway);
        if holds(&state) { Ok(state) } else { Err(state.to_string()) }
    })
}

fn names(state: &Value, list: &str, name: &str) -> Vec<String> {
    let all = state[list].as_array().unwrap().iter();
    all.map(|it| it[name].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_thousand_routes_are_reloaded_under_load_and_no_request_is_lost() {
    let choices = Choices { more: "workers: 2", ..Choices::default() };
    let mut counter = Counter::prepare(choices);
    counter.door.open();
    let base = text(&counter.gateway);
    let version = |number: usize| {
        let route = |at: usize| {
            format!(
                "  - {{ name: r{at}, match: {{ path: /r{at} }}, proxy: {{ service: right, timeout: {}s }} }}\n",
                number % 7 + 30
            )
        };
        base.clone() + &(0..1000).map(route).collect::<String>()
    };
    write(&counter.gateway, &version(0));
    counter.gateway.start();
    let address = counter.gateway.public;
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let (stop, served) = (&stop, &served);
        for number in 0..4_usize {
            scope.spawn(move || {
                let mut client = Client::new(address);
                let mut at = number;
                while !stop.load(Ordering::Relaxed) {
                    at += 1;
                    let pays = number == 0;
                    let amount = format!("{at}.50");
                    let paid = body("yes", "yes", &amount);
                    let target = format!("/r{}", at * 37 % 1000);
                    let request =
                        if pays { Request::post("/pay", &[], &paid) } else { Request::get(&target) };
                    let answer = client.send(request, PATIENCE).expect("no request is lost");
                    assert_eq!(answer.status, if pays { 201 } else { 200 }, "{}", answer.text());
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let gateway = &mut counter.gateway;
        for number in 1..=12 {
            write(gateway, &version(number));
            gateway.process().signal(Signal::HUP);
            await_state(gateway, "it was applied", |state| state["reloads"]["applied"] == number);
            let before = served.load(Ordering::Relaxed);
            within("requests go on", PATIENCE, || match served.load(Ordering::Relaxed) - before {
                0..8 => Err("few so far".to_owned()),
                _ => Ok(()),
            });
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(configuration(&counter.gateway)["reloads"]["refused"], 0);
    let metrics = counter.gateway.ask("/metrics").unwrap().text();
    assert!(metrics.contains("unanimo_configuration_reloads_total{result=\"applied\"} 12"), "{metrics}");
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_its_mistake_is_shown_until_it_is_mended() {
    let mut counter = Counter::start(Choices::default());
    counter.door.open();
    let good = text(&counter.gateway);
    let hash = configuration(&counter.gateway)["hash"].clone();
    // Nobody asks: it is seen by itself.
    write(&counter.gateway, &good.replace("proxy: { service: right", "proxy: { service: rihgt"));
    let state = await_state(&counter.gateway, "it is refused", |state| !state["last_refusal"].is_null());
    assert_eq!(state["hash"], hash);
    let mistake = &state["last_refusal"]["mistakes"][0];
    assert!(mistake["message"].as_str().unwrap().contains("rihgt"), "{state}");
    assert!(mistake["line"].as_u64().unwrap() > 1 && mistake["column"].as_u64().unwrap() > 1, "{state}");
    assert_eq!(counter.get("/plain").status, 200);
    let said = counter.gateway.said();
    assert!(said.contains("the last good one stays in force") && said.contains("rihgt"), "{said}");
    let metrics = counter.gateway.ask("/metrics").unwrap().text();
    assert!(metrics.contains("unanimo_configuration_refused 1"), "{metrics}");
    // Asked for, it is refused again.
    counter.gateway.process().signal(Signal::HUP);
    await_state(&counter.gateway, "it is refused twice", |state| state["reloads"]["refused"] == 2);
    write(&counter.gateway, &good.replace("/plain", "/plainer"));
    let state = await_state(&counter.gateway, "it is mended", |state| state["last_refusal"].is_null());
    assert_ne!(state["hash"], hash);
    within("the new route is there", PATIENCE, || match counter.get("/plainer").status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(counter.get("/plain").status, 404);
}

#[test]
fn what_a_reload_cannot_change_is_named_and_the_rest_is_changed() {
    let mut counter = Counter::start(Choices { more: "workers: 2", ..Choices::default() });
    counter.door.open();
    let changed = text(&counter.gateway).replace("workers: 2", "workers: 3").replace("/plain", "/plainer");
    write(&counter.gateway, &changed);
    counter.gateway.process().signal(Signal::HUP);
    let state = await_state(&counter.gateway, "it was applied", |state| state["reloads"]["applied"] == 1);
    assert_eq!(state["needs_restart"], serde_json::json!(["workers"]), "{state}");
    within("the new route is there", PATIENCE, || match counter.get("/plainer").status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
}

#[test]
fn what_was_begun_ends_under_its_plan_and_its_services_are_retired_until_then() {
    let mut counter = Counter::start(Choices::default());
    let address = counter.gateway.public;
    std::thread::scope(|scope| {
        let client = scope.spawn(move || {
            let paid = body("wait", "yes", "7.50");
            support::http::once(address, Request::post("/pay", &[], &paid), PATIENCE).unwrap()
        });
        within("it waits for its vote", PATIENCE, || {
            match Counter::operations(&counter.left, "7.50").len() {
                0 => Err("not asked".to_owned()),
                _ => Ok(()),
            }
        });
        let without = stripped(&text(&counter.gateway));
        write(&counter.gateway, &without);
        counter.gateway.process().signal(Signal::HUP);
        let state = await_state(&counter.gateway, "its services are retired", |state| {
            names(state, "retired", "service") == ["left", "right"]
        });
        assert_eq!(state["retired"][0]["transactions"], 1, "{state}");
        assert_eq!(counter.get("/plain").status, 404);
        counter.door.open();
        let answer = client.join().unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    });
    for participant in [&counter.left, &counter.right] {
        assert_eq!(Counter::operations(participant, "7.50"), ["prepare", "commit"]);
    }
    await_state(&counter.gateway, "nobody is retired any more", |state| {
        state["retired"] == serde_json::json!([])
    });
}

#[test]
fn a_start_without_a_service_that_something_begun_needs_keeps_it_from_memory() {
    for remembers in [true, false] {
        let mut counter = Counter::start(Choices::default());
        let prefer = [("Prefer", "respond-async")];
        let answer = counter.post("/pay", &prefer, &body("yes", "away", "8.50")).unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        within("it is decided", PATIENCE, || {
            let asked = Counter::operations(&counter.right, "8.50");
            if asked.iter().any(|it| it == "commit") { Ok(()) } else { Err(format!("{asked:?}")) }
        });
        counter.gateway.kill();
        let whole = text(&counter.gateway);
        write(&counter.gateway, &stripped(&whole));
        if !remembers {
            fs::remove_file(counter.gateway.folder.join("journal/services.json")).unwrap();
        }
        counter.gateway.start();
        let state = await_state(&counter.gateway, "it is kept", |state| {
            names(state, "retired", "service").contains(&"right".to_owned())
        });
        let is_unreachable =
            state["retired"].as_array().unwrap().iter().any(|it| !it["unreachable"].is_null());
        assert_eq!(is_unreachable, !remembers, "{state}");
        let open = counter.gateway.open();
        assert_eq!(open.len(), 1, "it is kept");
        counter.door.open();
        if !remembers {
            within("it is shown as stuck", PATIENCE, || {
                let open = counter.gateway.open();
                if open[0]["flags"].to_string().contains("stuck") { Ok(()) } else { Err(format!("{open:?}")) }
            });
            write(&counter.gateway, &whole);
            counter.gateway.process().signal(Signal::HUP);
        }
        let id = open[0]["id"].as_str().unwrap();
        within("it ends", Duration::from_secs(90), || {
            counter.gateway.command(&["transactions", "retry", id]);
            match counter.gateway.open().first() {
                None => Ok(()),
                Some(open) => Err(open.to_string()),
            }
        });
        assert!(Counter::operations(&counter.right, "8.50").iter().all(|it| it != "rollback"));
        await_state(&counter.gateway, "it is let go", |state| state["retired"] == serde_json::json!([]));
    }
}

#[test]
fn diff_says_what_a_reload_would_change_and_then_it_has() {
    let mut counter = Counter::start(Choices { more: "workers: 2", ..Choices::default() });
    let folder = counter.gateway.folder.clone();
    let path = |name: &str| folder.join(name).display().to_string();
    let diff = |gateway: &Gateway, more: &[&str]| {
        let new = path("new.yaml");
        let output = gateway.command(&[&["diff", new.as_str()], more].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let old = text(&counter.gateway);
    fs::write(folder.join("new.yaml"), &old).unwrap();
    assert_eq!(diff(&counter.gateway, &[]), (Some(0), "the same\n".to_owned()));
    let new = old.replace("/plain", "/plainer").replace("workers: 2", "workers: 3");
    fs::write(folder.join("new.yaml"), &new).unwrap();
    let (code, said) = diff(&counter.gateway, &[]);
    let expected =
        "routes\n  ~ plain\n      match.path  /plain → /plainer\nneeds a restart\n  ~ workers  2 → 3\n";
    assert_eq!((code, said.as_str()), (Some(1), expected));
    let (code, said) = diff(&counter.gateway, &["--json"]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["routes"][0]["name"]), (Some(1), &"plain".into()), "{json}");
    write(&counter.gateway, &new);
    counter.gateway.process().signal(Signal::HUP);
    await_state(&counter.gateway, "it was applied", |state| state["reloads"]["applied"] == 1);
    assert_eq!(diff(&counter.gateway, &[]).1, "needs a restart\n  ~ workers  2 → 3\n");
    fs::write(folder.join("new.yaml"), "routes: 7").unwrap();
    assert_eq!(diff(&counter.gateway, &[]).0, Some(2));
    fs::write(folder.join("new.yaml"), &new).unwrap();
    counter.gateway.kill();
    assert_eq!(diff(&counter.gateway, &[]).0, Some(2), "nobody answers");
}
