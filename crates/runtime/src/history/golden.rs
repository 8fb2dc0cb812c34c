//! Histories of every format version are kept in the tree, and read by each later program.
//!
//! `UNANIMO_BLESS=1 cargo test -p unanimo-runtime golden` writes what this version writes and reads; look at the
//! difference before it is kept. The histories of earlier versions are never written again.

use super::error::Error;
use super::store::Past;
use super::tests::{Folder, KEEP, NODE, all, key, open, past, plans, prune_all, reader};
use super::{Retention, copy, detail, list, schema};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use unanimo_contract::operations::{Asked, Body, Exchange, Heard, Moment, MomentKind, Timeline, Word};
use unanimo_contract::{BranchIndex, Filter, Operation, Outcome, Verdict};
use unanimo_protocol::{Cause, Resolution};

fn folder(version: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/history").join(version.to_string())
}

fn blesses() -> bool {
    std::env::var_os("UNANIMO_BLESS").is_some()
}

/// The history that is kept of this version. Written first where that is wanted; once, whichever test comes first.
fn kept(version: i64) -> PathBuf {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = folder(schema::SCHEMA);
        if blesses() {
            fs::create_dir_all(&folder).unwrap();
            write(&folder.join("history.sqlite"));
        }
    });
    folder(version).join("history.sqlite")
}

/// Every kind of row, and every kind of field in its detail.
fn story() -> Vec<Past> {
    let plans = plans();
    let mut ends: Vec<Past> =
        (1..=16).map(|n| past(n, &plans[(n % 3) as usize], 1_790_000_000_000 + n)).collect();
    for (number, end) in ends.iter_mut().enumerate() {
        let cause = Cause::Unusable(BranchIndex(0));
        if end.verdict == Verdict::Rollback {
            end.cause =
                Some(super::numbers::of_cause(if number.is_multiple_of(2) { cause } else { Cause::ByHand }));
        }
        end.detail = detail::encode(&timeline(end), &[exchange(number)]);
    }
    ends
}

fn timeline(end: &Past) -> Timeline {
    let mut timeline = Timeline::default();
    let word = Word { who: "ann".into(), why: "the bank said so".into(), at_unix_ms: 1_790_000_000_007 };
    for kind in MomentKind::ALL {
        let mut moment = Moment::of(kind, (kind != MomentKind::Wave).then_some(end.began_unix_ms));
        moment.branch = (kind == MomentKind::Answered).then_some(BranchIndex(0));
        moment.operation = (kind == MomentKind::Answered).then_some(Operation::Prepare);
        moment.outcome = (kind == MomentKind::Answered).then_some(Outcome::Refused);
        moment.status = (kind == MomentKind::Answered).then_some(409);
        moment.attempt = (kind == MomentKind::Sent).then_some(3);
        moment.verdict = (kind == MomentKind::Verdict).then_some(end.verdict);
        moment.cause = (kind == MomentKind::Verdict).then_some(Cause::Refused(BranchIndex(0)));
        moment.resolution = (kind == MomentKind::Resolved).then_some(Resolution::Choose(Verdict::Commit));
        moment.word = (kind == MomentKind::Resolved).then(|| word.clone().into());
        timeline.push(moment);
    }
    timeline
}

fn exchange(number: usize) -> Exchange {
    let body = |len: usize| Body { bytes: vec![b'x'; len.min(Body::LIMIT)].into(), size: len };
    let asked = Asked {
        path: "/debits".into(),
        headers: vec![("x-reason".into(), "dinner".into())],
        body: body(if number == 12 { 6000 } else { number }),
    };
    let heard = Heard {
        operation: Operation::Commit,
        status: Some(200),
        content_type: Some("application/json".into()),
        body: number.is_multiple_of(2).then(|| body(number)),
    };
    Exchange { asked: Some(asked), heard: (number != 3).then_some(heard) }
}

/// What this version writes: rows, and keys that have outlived theirs.
fn write(to: &Path) {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    store.take(&story(), 77).unwrap();
    prune_all(&mut store, 0, &Retention { transactions: 10, ..KEEP });
    let copied = copy(&folder.file(), to, &BTreeSet::new()).unwrap().unwrap();
    assert_eq!((copied.transactions, copied.keys), (10, 4));
}

fn said(file: &Path) -> String {
    let store = open(file);
    let connection = reader(file);
    let mut text = format!("covered {}\n", store.covered());
    for view in all(&connection, &Filter::default(), 100) {
        let found = list::get(&connection, view.id, None).unwrap().unwrap();
        let _ = writeln!(text, "{view:?}");
        found.timeline.moments().iter().for_each(|moment| writeln!(text, "    {moment:?}").unwrap());
        for Exchange { asked, heard } in found.exchanges {
            let size = |body: &Body| format!("{} of {}", body.bytes.len(), body.size);
            let asked = asked.map(|asked| (asked.path, asked.headers, size(&asked.body)));
            let heard = heard.map(|heard| {
                (heard.operation, heard.status, heard.content_type, heard.body.as_ref().map(size))
            });
            let _ = writeln!(text, "    asked {asked:?} heard {heard:?}");
        }
    }
    let mut keys = 0;
    let each = |known, id, until| {
        assert_eq!(known, key(u64::try_from(unanimo_contract::Id::bits(id)).unwrap()));
        let answer = super::reader::answer_of(&connection, id).unwrap().unwrap();
        let _ =
            writeln!(text, "key of {id} until {until}: {}", String::from_utf8_lossy(&answer).escape_debug());
        keys += 1;
    };
    store.each_key(0, each).unwrap();
    text + &format!("{keys} keys\n")
}

#[test]
fn every_versions_golden_history_says_what_stands_beside_it() {
    for version in 1..=schema::SCHEMA {
        // What is opened is changed: a copy.
        let mine = Folder::new();
        fs::copy(kept(version), mine.file()).unwrap();
        let (said, beside) = (said(&mine.file()), folder(version).join("expected.txt"));
        if blesses() {
            fs::write(&beside, &said).unwrap();
        }
        assert_eq!(fs::read_to_string(&beside).unwrap(), said, "version {version}");
        // It is written on.
        let more = past(100, &plans()[0], 1_790_000_001_000);
        open(&mine.file()).take(&[more], 78).unwrap();
        assert_eq!(all(&reader(&mine.file()), &Filter::default(), 100).len(), 11, "version {version}");
    }
}

#[test]
fn this_versions_golden_history_has_the_tables_that_it_makes() {
    let folders = [Folder::new(), Folder::new()];
    open(&folders[0].file());
    fs::copy(kept(schema::SCHEMA), folders[1].file()).unwrap();
    let [made, kept] = folders.map(|folder| {
        let connection = Connection::open(folder.file()).unwrap();
        let facts = [
            "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema ORDER BY name)",
            "SELECT application_id FROM pragma_application_id",
            "SELECT format FROM about",
        ];
        facts.map(|sql| connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap())
    });
    assert!(made == kept, "a table has changed: that is a new version\n{made:?}\n{kept:?}");
}

#[test]
fn a_later_golden_history_is_refused_unchanged_and_both_are_named() {
    for (change, named) in
        [("PRAGMA user_version = 2", "schema 2"), ("UPDATE about SET format = 2", "format 2")]
    {
        let mine = Folder::new();
        fs::copy(kept(schema::SCHEMA), mine.file()).unwrap();
        Connection::open(mine.file()).unwrap().execute_batch(change).unwrap();
        let before = fs::read(mine.file()).unwrap();
        let refused = super::store::Store::open(&mine.file(), NODE).unwrap_err();
        assert!(matches!(refused, Error::Newer { .. }));
        let copied = copy(&mine.file(), &mine.file().with_file_name("copy"), &BTreeSet::new());
        for said in [refused.to_string(), copied.unwrap_err().to_string()] {
            assert!(said.contains(named) && said.contains("knows 1"), "{said}");
        }
        assert!(before == fs::read(mine.file()).unwrap(), "{change}: the file was written");
    }
}
