//! Every runbook is followed: what it is about really breaks, its own commands are run, and nothing is in doubt at the end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use support::clock::within;
use support::gateway::demand_strace;
use support::http::{self, Request};
use support::night::{CREDIT, Clients, NOTE, Night};
use support::page::{self, Page};
use support::ports;
use support::process::PATIENCE;
use support::runs::{SEGMENTS, fail_at};

const SEE: &str = "What you see";
const DO: &str = "What to do";
const OVER: &str = "How to know that it is over";

// Ways that pages distinguish.
const NOBODY_COMMITTED: &str = "Nobody can have committed";
const COMMITTED: &str = "It has no verdict, and somebody has committed";
const NEVER_VOTED: &str = "It has no verdict, and somebody has rolled back or never voted";
const HAS_A_VERDICT: &str = "It has a verdict";
const UNREACHABLE: &str = "The gateway cannot reach it, and you can";
const ONLY_A_COPY: &str = "The old one died, and there is only a copy";

#[test]
fn stuck() {
    let mut page = Page::open("stuck");
    for way in ["The service can be brought back", UNREACHABLE] {
        let mut night = Night::begin();
        undelivered(&mut night);
        night.follow(&mut page, SEE);
        if way == UNREACHABLE {
            // It runs where the gateway does not look for it.
            let elsewhere = ports::reserve();
            night.world.participants[CREDIT].address = elsewhere;
            night.words.insert("BANK_B", elsewhere.to_string());
            night.start_credit();
        }
        night.follow(&mut page, way);
        night.follow(&mut page, OVER);
        night.judge(Clients::AskAgain);
    }
    page.assert_followed();
}

#[test]
fn heuristic() {
    let mut page = Page::open("heuristic");
    let mut night = Night::begin();
    let id = night.prepared();
    // Somebody gives up what the bank has promised.
    let token = format!("Bearer {}", support::world::TOKEN);
    let headers = [
        ("Authorization", token.as_str()),
        ("Unanimo-Transaction", id.as_str()),
        ("Unanimo-Branch", "credit"),
    ];
    let bank = night.world.participants[CREDIT].address;
    let answer = http::once(bank, Request::post("/credits/rollback", &headers, "{}"), PATIENCE).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    night.world.participants[NOTE].resume();
    for heading in [SEE, DO, OVER] {
        night.follow(&mut page, heading);
    }
    page.assert_followed();
    night.judge(Clients::AreGone);
}

#[test]
fn poisoned_journal() {
    demand_strace();
    let mut page = Page::open("poisoned-journal");
    let mut night = Night::begin();
    night.world.gateway.terminate();
    fs::remove_dir_all(night.path("JOURNAL")).unwrap();
    // Its beginning is synced, its verdict cannot be.
    night.world.gateway.spawn_injected(&fail_at(2, Some(SEGMENTS[0])));
    night.world.gateway.await_ready();
    night.prepared();
    night.world.participants[NOTE].resume();
    let status = night.world.gateway.process().wait();
    let said = night.world.gateway.said();
    let both = ["the journal takes nothing more", "Input/output error"];
    assert!(!status.success() && both.iter().all(|words| said.contains(words)), "{status}: {said}");
    night.follow(&mut page, DO);
    night.follow(&mut page, OVER);
    page.assert_followed();
    night.judge(Clients::AskAgain);
}

/// A backup that knows of an open transaction, which the original then commits, without the second bank.
fn outlived_backup(night: &mut Night) -> String {
    night.finished();
    let id = night.prepared();
    back_up(night, (2, 1));
    night.committed_but_one(&id);
    id
}

/// Backs up until the backup has so many beginnings and verdicts: each is in it soon after it is durable.
fn back_up(night: &Night, wanted: (usize, usize)) {
    within("a backup has what was answered before it", PATIENCE, || {
        drop(fs::remove_dir_all(night.path("BACKUP")));
        let (_, held) = night.shell("unanimo journal backup $CONFIG $BACKUP && unanimo journal dump $BACKUP");
        let count = |word: &str| held.lines().filter(|line| line.contains(word)).count();
        if (count("  begun  "), count("  concluded  ")) == wanted { Ok(()) } else { Err(held) }
    });
}

#[test]
fn damaged_journal() {
    let mut page = Page::open("damaged-journal");
    let mut night = Night::begin();
    let known = outlived_backup(&mut night);
    // The second bank is down, so that this one has no verdict. Only the participants will know of it.
    let later = night.transfer();
    night.await_held(&later, 2);
    damage(&mut night, &later);
    night.start_credit();
    night.words.insert("ID", known);
    night.follow(&mut page, SEE);
    night.follow(&mut page, DO);
    night.words.insert("ID", later);
    night.follow(&mut Page::open("lost-journal"), NOBODY_COMMITTED);
    night.follow(&mut page, OVER);
    page.assert_followed();
    night.judge(Clients::AreGone);
}

/// Kills the gateway, and flips a bit where a transaction begins: a place of which a later batch says that it was durable.
fn damage(night: &mut Night, id: &str) {
    let begun = within("its beginning has a witness", PATIENCE, || {
        let (_, dump) = night.shell("unanimo journal dump $CONFIG --json");
        let (_, facts) = night.shell("unanimo journal verify $CONFIG --json");
        let facts: Value = serde_json::from_str(&facts).map_err(|error| error.to_string())?;
        let lines = dump.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut begun = lines.filter(|line| line["transaction"] == id && line["record"] == "begun");
        let begun = begun.next().ok_or(dump.clone())?;
        let has_witness = begun["batch"].as_u64() <= facts["durable_batch"].as_u64();
        if has_witness { Ok(begun) } else { Err(facts.to_string()) }
    });
    night.world.gateway.kill();
    let file = night.path("JOURNAL").join(format!("{:010}.journal", begun["segment"].as_u64().unwrap()));
    let mut bytes = fs::read(&file).unwrap();
    bytes[begun["offset"].as_u64().unwrap() as usize + 8] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn lost_journal() {
    let mut page = Page::open("lost-journal");
    for way in ["Somebody has committed", NOBODY_COMMITTED] {
        let mut night = Night::begin();
        night.finished();
        if way == NOBODY_COMMITTED {
            unheard_by_one(&mut night);
            night.world.gateway.kill();
            night.start(NOTE);
        } else {
            let id = night.prepared();
            night.committed_but_one(&id);
            night.world.gateway.kill();
            night.start_credit();
        }
        fs::remove_dir_all(night.path("JOURNAL")).unwrap();
        for heading in [SEE, DO, way, "Begin anew", OVER] {
            night.follow(&mut page, heading);
        }
        night.finished();
        night.judge(Clients::AreGone);
    }
    page.assert_followed();
}

/// One that both banks hold, and of which the notifier never hears.
fn unheard_by_one(night: &mut Night) {
    night.world.participants[NOTE].kill();
    let id = night.transfer();
    night.await_held(&id, 2);
}

#[test]
fn restore() {
    let mut page = Page::open("restore");
    for way in [COMMITTED, NEVER_VOTED, HAS_A_VERDICT] {
        let mut night = Night::begin();
        match way {
            COMMITTED => drop(outlived_backup(&mut night)),
            NEVER_VOTED => {
                night.finished();
                unheard_by_one(&mut night);
                back_up(&night, (2, 1));
            }
            _ => {
                undelivered(&mut night);
                back_up(&night, (2, 2));
            }
        }
        night.world.gateway.kill();
        fs::remove_dir_all(night.path("JOURNAL")).unwrap();
        night.start(if way == NEVER_VOTED { NOTE } else { CREDIT });
        for heading in [DO, way, OVER] {
            night.follow(&mut page, heading);
        }
        night.judge(if way == NEVER_VOTED { Clients::AreGone } else { Clients::AskAgain });
    }
    page.assert_followed();
}

/// One that has ended, and one with a verdict that the second bank has not heard.
fn undelivered(night: &mut Night) {
    night.finished();
    let id = night.prepared();
    night.committed_but_one(&id);
}

#[test]
fn replaced_machine() {
    let mut page = Page::open("replaced-machine");
    for way in ["The old one can still be ended", "The old one died, and its disk is here", ONLY_A_COPY] {
        let mut night = Night::begin();
        undelivered(&mut night);
        match way {
            ONLY_A_COPY => {
                back_up(&night, (2, 2));
                fs::remove_dir_all(night.path("BACKUP")).unwrap();
                night.world.gateway.kill();
                let (code, printed) = night.shell("cp -a $JOURNAL $COPY && rm -r $JOURNAL");
                assert_eq!((code, printed.as_str()), (Some(0), ""));
            }
            "The old one died, and its disk is here" => {
                night.world.gateway.kill();
                fs::rename(night.path("JOURNAL"), night.path("COPY")).unwrap();
            }
            _ => {}
        }
        night.follow(&mut page, way);
        if way == ONLY_A_COPY {
            let mut restore = Page::open("restore");
            night.follow(&mut restore, DO);
            night.follow(&mut restore, HAS_A_VERDICT);
        }
        night.start_credit();
        night.follow(&mut page, OVER);
        night.judge(Clients::AskAgain);
    }
    page.assert_followed();
}

#[test]
fn lost_marks() {
    let mut page = Page::open("lost-marks");
    let mut night = Night::begin();
    let ended = night.finished();
    let open = night.prepared();
    night.committed_but_one(&open);
    // Its disk was replaced by an empty one.
    let database = night.path("BANK_B_DATABASE");
    for end in ["", "-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{end}", database.display())));
    }
    night.start_credit();
    night.follow(&mut page, SEE);
    night.words.insert("BODY", night.credit_body(1));
    night.follow(&mut page, "It is open, and the effect is gone");
    night.await_effects(&open, 3);
    night.words.insert("ID", ended);
    night.words.insert("BODY", night.credit_body(0));
    night.follow(&mut page, "It has ended");
    night.follow(&mut page, OVER);
    page.assert_followed();
    night.judge(Clients::AskAgain);
}

#[test]
fn every_page_is_followed_and_in_the_list_and_every_word_is_explained() {
    let list = fs::read_to_string(page::folder().join("README.md")).unwrap();
    let files = fs::read_dir(page::folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: BTreeSet<String> =
        files.filter_map(|file| file.to_str()?.strip_suffix(".md").map(str::to_owned)).collect();
    for name in names.iter().filter(|name| *name != "README") {
        assert!(
            include_str!("runbooks.rs").contains(&format!("= Page::open(\"{name}\");")),
            "{name}: no test"
        );
        assert!(list.contains(&format!("({name}.md)")), "{name} is not in the list");
        for command in Page::open(name).commands() {
            for word in command.split('$').skip(1) {
                let end = |byte: char| !byte.is_ascii_uppercase() && byte != '_';
                let word = &word[..word.find(end).unwrap_or(word.len())];
                assert!(word.is_empty() || list.contains(&format!("`{word}`")), "{name}: what is {word}?");
            }
        }
    }
}
