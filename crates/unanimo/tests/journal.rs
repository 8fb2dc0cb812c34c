//! `unanimo journal`: looks and backups beside a gateway that runs, and a gateway on what was restored.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::{Choices, program};

const SETTINGS: Choices = Choices { journal: "segment_size: 256KiB", more: "workers: 2" };
const PATIENCE: Duration = Duration::from_secs(30);

fn journal(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program()).arg("journal").args(arguments).current_dir(folder).output().unwrap()
}

/// What it printed; it must end with this code.
fn said(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = journal(folder, arguments);
    let text = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert_eq!(status.code(), Some(code), "{arguments:?}: {text}");
    text
}

/// Backs up until a backup holds so many beginnings and verdicts: each record is in it 50 ms later at the latest.
fn backup_with(folder: &Path, begun: usize, concluded: usize) {
    within("a backup has what was answered before it", PATIENCE, || {
        drop(fs::remove_dir_all(folder.join("backup")));
        said(folder, 0, &["backup", "gateway.yaml", "backup"]);
        let held = said(folder, 0, &["dump", "backup"]);
        let count = |word: &str| held.lines().filter(|line| line.contains(word)).count();
        if (count("  begun  "), count("  concluded  ")) == (begun, concluded) { Ok(()) } else { Err(held) }
    });
}

#[test]
fn what_was_open_in_a_backup_is_shown_and_nobody_is_called() {
    let mut counter = Counter::start(SETTINGS);
    let folder = counter.folder.path().to_owned();
    let post = |counter: &Counter, path: &str, left: &str, amount: &str| {
        counter.post(path, &[("Idempotency-Key", amount)], &body(left, "yes", amount)).unwrap()
    };
    let done = post(&counter, "/pay", "yes", "1.50");
    assert_eq!((done.status, post(&counter, "/later", "away", "2.50").status), (201, 201));
    assert_eq!(post(&counter, "/later", "wait", "3.50").status, 202);
    backup_with(&folder, 3, 2);
    let before = counter.gateway.open();
    // The original goes on, and is lost.
    counter.door.open();
    within("the undecided one commits", PATIENCE, || {
        let told = Counter::operations(&counter.left, "3.50");
        if told.contains(&"commit".to_owned()) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    counter.gateway.kill();
    fs::rename(folder.join("journal"), folder.join("lost")).unwrap();
    said(&folder, 0, &["restore", "backup", "journal"]);
    let calls = |counter: &Counter| {
        let calls = |amount| Counter::operations(&counter.left, amount).len();
        (calls("2.50"), calls("3.50"))
    };
    let heard = calls(&counter);
    counter.gateway.start();
    assert_eq!(post(&counter, "/pay", "yes", "4.50").status, 201, "new ones are taken");
    let open = counter.gateway.open();
    let ids = |views: &[Value]| views.iter().map(|view| view["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids(&open), open.len()), (ids(&before), 2));
    // Keys stand as the backup knows them: nobody pays twice, and nobody is told a guess.
    assert_eq!(post(&counter, "/pay", "yes", "1.50").body, done.body);
    assert_eq!(post(&counter, "/later", "wait", "3.50").problem(), "in-progress");
    assert_eq!(calls(&counter), heard, "nobody is called");
    assert_eq!(counter.gateway.terminate().code(), Some(0), "{}", counter.gateway.said());
    // It stays so over a second start.
    counter.gateway.start();
    assert_eq!((ids(&counter.gateway.open()), calls(&counter)), (ids(&before), heard));
    an_operator_chooses(&counter);
}

/// Each that is in quarantine is ended by hand, and then goes on by itself.
fn an_operator_chooses(counter: &Counter) {
    for view in counter.gateway.open() {
        let id = view["id"].as_str().unwrap();
        let what = if view["verdict"] == 1 { "--release" } else { "--commit" };
        let said = ["--who", "ann", "--why", "the lost one's services say so", "--yes"];
        let arguments = [&["transactions", "resolve", id, what], &said[..]].concat();
        let resolved = counter.gateway.command(&arguments);
        assert!(resolved.status.success(), "{resolved:?}");
    }
    within("nothing is open", PATIENCE, || {
        counter.gateway.open().first().map_or(Ok(()), |open| Err(open.to_string()))
    });
}

#[test]
fn a_dump_shows_every_record_and_what_clients_said_only_where_it_is_asked_for() {
    let mut counter = Counter::start(SETTINGS);
    let folder = counter.folder.path().to_owned();
    for amount in ["11.50", "12.50"] {
        assert_eq!(counter.post("/pay", &[], &body("yes", "yes", amount)).unwrap().status, 201);
    }
    counter.gateway.terminate();
    let dump = |more: &[&str]| said(&folder, 0, &[&["dump", "gateway.yaml"], more].concat());
    let lines: Vec<Value> =
        dump(&["--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words: Vec<_> = lines.iter().map(|line| line["record"].as_str().unwrap()).collect();
    let one = ["begun", "concluded", "told", "told", "ended"];
    assert_eq!(words, [&["plan"][..], &one, &one].concat());
    let masked = dump(&[]);
    assert!(!masked.contains("11.50") && dump(&["--bodies"]).contains("11.50"), "{masked}");
    let id = lines[1]["transaction"].as_str().unwrap();
    let only = dump(&["--transaction", id]);
    assert!(only.lines().count() == 6 && only.lines().all(|line| line.contains(id)), "{only}");
    let batch = lines[2]["batch"].to_string();
    assert!(dump(&["--from", &batch, "--to", &batch]).lines().all(|line| line.contains("concluded")));
}

#[test]
fn the_exit_code_says_what_was_found_and_no_gateway_starts_on_a_copy() {
    let mut counter = Counter::start(SETTINGS);
    let folder = counter.folder.path().to_owned();
    counter.post("/pay", &[], &body("yes", "yes", "1.50")).unwrap();
    said(&folder, 1, &["restore", "journal", "new"]);
    counter.gateway.kill();
    assert!(said(&folder, 0, &["verify", "journal"]).contains("whole"));
    assert!(said(&folder, 2, &["verify", "nothing"]).contains("nothing"));
    said(&folder, 1, &["restore", "journal", "moved", "--moved"]);
    let copied = Command::new("cp").args(["-a", "journal", "copy"]).current_dir(&folder).status().unwrap();
    assert!(copied.success());
    said(&folder, 0, &["backup", "copy", "backup"]);
    let first = folder.join("copy/0000000001.journal");
    let mut bytes = fs::read(&first).unwrap();
    bytes[600] ^= 1;
    fs::write(&first, bytes).unwrap();
    let damaged = said(&folder, 1, &["verify", "copy"]);
    assert!(damaged.contains("0000000001.journal") && damaged.contains("byte 512"), "{damaged}");
    let journal = folder.join("journal");
    for (instead, why) in [("backup", "is a backup"), ("copy", "is a copy")] {
        fs::rename(&journal, folder.join("original")).unwrap();
        fs::rename(folder.join(instead), &journal).unwrap();
        counter.gateway.spawn();
        assert_eq!(counter.gateway.process().wait().code(), Some(3));
        assert!(counter.gateway.said().contains(why), "{}", counter.gateway.said());
        fs::rename(&journal, folder.join(instead)).unwrap();
        fs::rename(folder.join("original"), &journal).unwrap();
    }
    counter.gateway.start();
    assert_eq!(counter.gateway.terminate().code(), Some(0));
    said(&folder, 0, &["restore", "journal", "elsewhere", "--moved"]);
}
