//! History, where its file is lost, damaged or cannot be written, and where it is backed up: what clients get then.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::{Choices, Injection, demand_strace, program};
use support::http::Answer;
use support::past;

/// Segments of few transactions, so that they go soon.
const SHORT: Choices = Choices { journal: "segment_size: 16KiB", more: "workers: 2" };
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway that has finished a transaction that only history still knows and one that the journal knows too, and has
/// not finished a third.
struct Shop {
    counter: Counter,
    old: Answer,
    new: Answer,
}

impl Shop {
    fn open() -> Shop {
        let counter = Counter::start(SHORT);
        let old = post(&counter, "/pay", "old", "yes", "1.50");
        assert_eq!(old.status, 201, "{}", old.text());
        let first = counter.folder.path().join("journal/0000000001.journal");
        within("the first segment goes", PATIENCE, || {
            assert_eq!(counter.post("/pay", &[], &body("yes", "yes", "0.50")).unwrap().status, 201);
            if first.exists() { Err("it is there".to_owned()) } else { Ok(()) }
        });
        // It stands in the way of further segments' going.
        assert_eq!(post(&counter, "/later", "open", "away", "2.50").status, 201);
        let new = post(&counter, "/pay", "new", "yes", "3.50");
        assert_eq!(new.status, 201, "{}", new.text());
        within("one is open", PATIENCE, || match counter.gateway.open().len() {
            1 => Ok(()),
            others => Err(format!("{others} are open")),
        });
        Shop { counter, old, new }
    }

    fn file(&self) -> PathBuf {
        self.counter.folder.path().join("journal/history.sqlite")
    }

    /// Starts the gateway again. From now on the service takes what it has put off.
    fn reopen(&mut self) {
        self.counter.door.open();
        self.counter.gateway.start();
    }

    /// Whatever became of history, the open one ends, and what the journal holds is answered as before.
    fn the_journal_was_enough(&self) {
        let again = post(&self.counter, "/pay", "new", "yes", "3.50");
        assert_eq!((again.status, id(&again)), (201, id(&self.new)), "{}", again.text());
        assert_eq!(again.body, self.new.body);
        within("the open one ends", PATIENCE, || {
            self.counter.gateway.open().first().map_or(Ok(()), |open| Err(open.to_string()))
        });
        within("history is told of both", PATIENCE, || {
            let known = past::read(&self.file()).committed;
            let has = |answer: &Answer| known.contains_key(&id(answer));
            if has(&self.new) && known.len() > 1 { Ok(()) } else { Err(format!("{known:?}")) }
        });
    }

    /// The keys and answers that only the lost file knew are gone: the same request begins anew.
    fn what_it_alone_knew_is_gone(&self) {
        let shown = self.counter.gateway.ask(&format!("/v1/transactions/{}", id(&self.old))).unwrap();
        assert_eq!(shown.status, 404, "{}", shown.text());
        let again = post(&self.counter, "/pay", "old", "yes", "1.50");
        assert_eq!(again.status, 201, "{}", again.text());
        assert_ne!(id(&again), id(&self.old));
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.counter.gateway.ask("/metrics").unwrap().text();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
    }
}

fn post(counter: &Counter, path: &str, key: &str, left: &str, amount: &str) -> Answer {
    counter.post(path, &[("Idempotency-Key", key)], &body(left, "yes", amount)).unwrap()
}

fn id(answer: &Answer) -> String {
    answer.header("unanimo-transaction").unwrap().to_owned()
}

#[test]
fn a_history_that_was_deleted_costs_past_answers_and_nothing_that_is_open() {
    let mut shop = Shop::open();
    shop.counter.gateway.kill();
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(format!("{}{ending}", shop.file().display())).unwrap();
    }
    shop.reopen();
    shop.the_journal_was_enough();
    shop.what_it_alone_knew_is_gone();
}

#[test]
fn a_history_that_is_no_database_any_more_is_set_aside_and_told() {
    let mut shop = Shop::open();
    assert_eq!(shop.counter.gateway.terminate().code(), Some(0));
    // Closing it brings all that was committed into the file.
    assert!(root_of(&shop, "keys") > 1);
    let mut bytes = fs::read(shop.file()).unwrap();
    bytes[..4096].fill(0xa5);
    fs::write(shop.file(), &bytes).unwrap();
    shop.reopen();
    assert!(set_aside(&shop) == bytes, "what was set aside is what was there");
    shop.the_journal_was_enough();
    shop.what_it_alone_knew_is_gone();
}

#[test]
fn a_history_whose_keys_cannot_be_read_is_set_aside_and_the_gateway_starts() {
    let mut shop = Shop::open();
    assert_eq!(shop.counter.gateway.terminate().code(), Some(0));
    let root = root_of(&shop, "keys");
    let mut bytes = fs::read(shop.file()).unwrap();
    bytes[(root - 1) * 4096..root * 4096].fill(0xa5);
    fs::write(shop.file(), &bytes).unwrap();
    shop.reopen();
    set_aside(&shop);
    shop.the_journal_was_enough();
    shop.what_it_alone_knew_is_gone();
}

/// The number of a table's first page, from 1.
fn root_of(shop: &Shop, table: &str) -> usize {
    let connection = Connection::open(shop.file()).unwrap();
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    usize::try_from(connection.query_row(sql, [table], |row| row.get::<_, i64>(0)).unwrap()).unwrap()
}

/// The file that was set aside: there is one, it is told and counted.
fn set_aside(shop: &Shop) -> Vec<u8> {
    let said = shop.counter.gateway.said();
    assert!(said.contains("the history is damaged, and was set aside"), "{said}");
    assert!((shop.metric("unanimo_history_set_aside_total") - 1.0).abs() < 0.1);
    let names = fs::read_dir(shop.file().parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    let aside: Vec<PathBuf> =
        names.filter(|path| path.to_string_lossy().contains("history.sqlite.damaged-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    fs::read(&aside[0]).unwrap()
}

#[test]
fn a_disk_that_is_full_for_history_alone_holds_up_nobody_and_is_made_up_for() {
    demand_strace();
    let mut shop = Shop::open();
    shop.counter.door.open();
    assert_eq!(shop.counter.gateway.terminate().code(), Some(0));
    shop.counter.gateway.spawn_injected(&Injection {
        system_call: "pwrite64",
        what: "error=ENOSPC:when=1..4".to_owned(),
        file: Some("journal/history.sqlite-wal"),
    });
    shop.counter.gateway.await_ready();
    let during = post(&shop.counter, "/pay", "during", "yes", "4.50");
    assert_eq!(during.status, 201, "{}", during.text());
    within("it is told", PATIENCE, || {
        let failing = shop.metric("unanimo_history_failing");
        if failing > 0.5 { Ok(()) } else { Err(format!("failing is {failing}")) }
    });
    assert!(shop.counter.gateway.said().contains("history is not written: transactions run on"));
    let more = post(&shop.counter, "/pay", "more", "yes", "5.50");
    assert_eq!(more.status, 201, "{}", more.text());
    let again = post(&shop.counter, "/pay", "during", "yes", "4.50");
    assert_eq!((again.status, id(&again)), (201, id(&during)));
    let old = post(&shop.counter, "/pay", "old", "yes", "1.50");
    assert_eq!((old.status, id(&old)), (201, id(&shop.old)), "what was written is read");
    within("it is made up for", PATIENCE, || {
        let known = past::read(&shop.file()).committed;
        let has = |answer: &Answer| known.get(&id(answer)) == Some(&true);
        let all = has(&during) && has(&more) && shop.metric("unanimo_history_failing") < 0.5;
        if all { Ok(()) } else { Err(format!("{known:?}")) }
    });
    assert!(shop.counter.gateway.said().contains("history is written again"));
    assert_eq!(shop.counter.gateway.terminate().code(), Some(0));
    assert_eq!(past::read(&shop.file()).flaws, Vec::<String>::new());
}

#[test]
fn a_backup_takes_history_along_and_a_restore_brings_it_back() {
    let mut shop = Shop::open();
    let folder = shop.counter.folder.path().to_owned();
    let dumped = within("the end of the new one is in a backup", PATIENCE, || {
        drop(fs::remove_dir_all(folder.join("backup")));
        let saved = said(&folder, &["backup", "gateway.yaml", "backup"]);
        assert!(saved.contains("history    "), "{saved}");
        let dumped = said(&folder, &["dump", "backup"]);
        let has_ended = dumped.lines().any(|line| line.contains(&id(&shop.new)) && line.contains("  ended"));
        if has_ended { Ok(dumped) } else { Err(dumped) }
    });
    assert!(!dumped.contains(&id(&shop.old)), "only history knows it");
    let kept = past::read(&folder.join("backup/history.sqlite"));
    assert!(kept.flaws.is_empty() && kept.committed.contains_key(&id(&shop.old)), "{:?}", kept.flaws);
    let open = shop.counter.gateway.open()[0]["id"].as_str().unwrap().to_owned();
    assert!(!kept.committed.contains_key(&open));
    // The original goes on, and is lost.
    assert_eq!(post(&shop.counter, "/pay", "after", "yes", "6.50").status, 201);
    shop.counter.gateway.kill();
    fs::rename(folder.join("journal"), folder.join("lost")).unwrap();
    said(&folder, &["restore", "backup", "journal"]);
    shop.counter.gateway.start();
    for (key, amount, before) in [("old", "1.50", &shop.old), ("new", "3.50", &shop.new)] {
        let again = post(&shop.counter, "/pay", key, "yes", amount);
        assert_eq!((again.status, &again.body, id(&again)), (201, &before.body, id(before)));
    }
    let shown = shop.counter.gateway.ask(&format!("/v1/transactions/{}", id(&shop.old))).unwrap();
    assert_eq!(shown.status, 200, "{}", shown.text());
    let listed = shop.counter.gateway.transactions();
    let times = |id: &str| listed.iter().filter(|view| view["id"] == id).count();
    assert_eq!((times(&open), times(&id(&shop.old)), times(&id(&shop.new))), (1, 1, 1));
    assert_eq!(shop.counter.gateway.open()[0]["id"].as_str(), Some(&open[..]), "it is in quarantine");
    assert_eq!(id(&post(&shop.counter, "/later", "open", "away", "2.50")), open, "its key stands");
}

/// What `unanimo journal` printed; it must succeed.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program()).arg("journal").args(arguments).current_dir(folder).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}
