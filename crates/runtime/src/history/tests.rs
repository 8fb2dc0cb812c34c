//! The store against a model, its bounds, its file, and how its lists are found.

use super::error::Error;
use super::list;
use super::prune::Pruned;
use super::schema;
use super::store::{Named, Past, Store, id_of};
use super::{Retention, copy, detail};
use bytes::Bytes;
use proptest::prelude::*;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::operations::{Cursor, Flag, Flags, Listed, Timeline};
use unanimo_contract::plan::{LANGUAGE, digest};
use unanimo_contract::{
    AnswerAt, BranchPlan, ClientAnswer, Digest, Filter, Id, Key, Mode, Node, Page, Plan, State, Token,
    Verdict, View,
};

pub(super) const NODE: Node = Node(7);

fn plan(route: &str, mode: &str, service: &str) -> Arc<Named> {
    let branch = serde_json::json!({
        "name": "debit", "service": service, "path": "/debits", "call_timeout_ms": 1000,
    });
    let plan = Plan {
        language: LANGUAGE,
        route: route.into(),
        mode: mode.into(),
        deadline_ms: 1000,
        answer_timeout_ms: 2000,
        answer_at: AnswerAt::Finished,
        branches: vec![serde_json::from_value::<BranchPlan>(branch).unwrap()],
        respond: None,
        secret: Vec::new(),
        refused: None,
    };
    let stored = plan.encode();
    Arc::new(Named { digest: Plan::digest_of(&stored), stored, plan })
}

pub(super) fn plans() -> Vec<Arc<Named>> {
    vec![plan("pay", "two-phase", "bank"), plan("order", "tcc", "stock"), plan("travel", "tcc", "bank")]
}

pub(super) fn key(number: u64) -> Key {
    Key { scope: digest(&[b"scope", &number.to_le_bytes()]), fingerprint: Digest([1; 16]) }
}

/// One that ended at this number of milliseconds, having begun a little before.
pub(super) fn past(number: u64, plan: &Arc<Named>, ended: u64) -> Past {
    let commit = !number.is_multiple_of(3);
    Past {
        id: Id::from_bits(u128::from(number)),
        token: Token(number),
        plan: plan.clone(),
        verdict: if commit { Verdict::Commit } else { Verdict::Rollback },
        flags: Flags::NONE.with(Flag::Heuristic, number % 50 == 7).bits(),
        cause: (!commit).then_some((2, None)),
        began_unix_ms: ended.saturating_sub(number % 5),
        ended_unix_ms: ended,
        key: number.is_multiple_of(4).then(|| (key(number), ended + 1000)),
        answer: ClientAnswer::json(200, format!("{{\"n\":{number}}}")).encode(),
        detail: detail::encode(&Timeline::default(), &[]),
    }
}

pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    pub(super) fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path().join("history.sqlite")
    }
}

pub(super) fn open(file: &Path) -> Store {
    Store::open(file, NODE).unwrap()
}

pub(super) fn reader(file: &Path) -> Connection {
    schema::open_to_read(file).unwrap()
}

pub(super) fn all(connection: &Connection, filter: &Filter, limit: usize) -> Vec<View> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = Page { limit, after };
        let Listed { items, next } =
            Listed::merged([list::list(connection, filter, page, None).unwrap()], limit);
        found.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

pub(super) const KEEP: Retention = Retention {
    time: Duration::from_secs(1 << 40),
    transactions: u64::MAX,
    size: u64::MAX,
    keys: usize::MAX,
};

pub(super) fn prune_all(store: &mut Store, unix_ms: u64, retention: &Retention) -> u64 {
    let mut gone = 0;
    loop {
        let Pruned { transactions, more } = store.prune(unix_ms, retention).unwrap();
        gone += transactions;
        if !more {
            return gone;
        }
    }
}

#[test]
fn what_is_taken_twice_stands_once_and_the_first_stays() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let plans = plans();
    let first: Vec<Past> = (1..=10).map(|n| past(n, &plans[0], 100)).collect();
    store.take(&first, 5).unwrap();
    let again: Vec<Past> = (5..=15).map(|n| past(n, &plans[1], 200)).collect();
    store.take(&again, 9).unwrap();
    let store = {
        drop(store);
        open(&folder.file())
    };
    assert_eq!((store.covered(), store.rows.len()), (9, 15));
    let found = all(&reader(&folder.file()), &Filter::default(), 4);
    assert_eq!(found.len(), 15);
    assert_eq!(found.iter().filter(|view| view.route == "pay").count(), 10);
}

#[test]
fn positions_of_another_nodes_journal_mean_nothing() {
    let folder = Folder::new();
    open(&folder.file()).take(&[past(1, &plans()[0], 100)], 5).unwrap();
    let other = Store::open(&folder.file(), Node(8)).unwrap();
    assert_eq!((other.covered(), other.rows.len()), (0, 1));
}

#[test]
fn each_bound_prunes_and_the_oldest_end_goes_first() {
    let plans = plans();
    let ends: Vec<Past> = (1..=2000).map(|n| past(n, &plans[(n % 3) as usize], 1000 + n)).collect();
    let by_time = Retention { time: Duration::from_millis(500), ..KEEP };
    let by_count = Retention { transactions: 700, ..KEEP };
    let by_size = Retention { size: 200 * 1024, ..KEEP };
    for (retention, kept) in
        [(by_time, Some(501)), (by_count, Some(700)), (by_size, None), (KEEP, Some(2000))]
    {
        let folder = Folder::new();
        let mut store = open(&folder.file());
        store.take(&ends, 1).unwrap();
        let gone = prune_all(&mut store, 3000, &retention);
        let found = all(&reader(&folder.file()), &Filter::default(), 1000);
        assert_eq!(gone + found.len() as u64, 2000);
        if let Some(kept) = kept {
            assert_eq!(found.len(), kept, "{retention:?}");
        }
        let lowest = found.iter().map(|view| view.id).min().unwrap();
        assert_eq!(lowest, Id::from_bits(u128::from(gone) + 1), "{retention:?}");
        assert!(store.used_bytes().unwrap() <= retention.size);
        assert_eq!(store.rows.len() as usize, found.len());
    }
}

#[test]
fn a_key_outlives_its_transaction_and_goes_in_its_own_time() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let plans = plans();
    let ends: Vec<Past> = (1..=100).map(|n| past(n, &plans[0], 1000)).collect();
    store.take(&ends, 1).unwrap();
    let none = Retention { transactions: 0, ..KEEP };
    prune_all(&mut store, 1500, &none);
    assert_eq!((store.rows.len(), store.keys.len()), (0, 25));
    let connection = reader(&folder.file());
    let answer: Vec<u8> = super::reader::answer_of(&connection, Id::from_bits(8)).unwrap().unwrap();
    assert_eq!(&ClientAnswer::decode(answer.into()).unwrap().body[..], b"{\"n\":8}");
    assert_eq!(super::reader::answer_of(&connection, Id::from_bits(9)).unwrap(), None);
    let mut known = Vec::new();
    store.each_key(1500, |key, id, until| known.push((key, id, until))).unwrap();
    assert_eq!((known.len(), known[0]), (25, (key(4), Id::from_bits(4), 2000)));
    prune_all(&mut store, 2000, &none);
    assert_eq!(store.keys.len(), 0);
    let fewer = Retention { keys: 10, ..KEEP };
    store.take(&(101..=200).map(|n| past(n, &plans[0], 5000)).collect::<Vec<_>>(), 2).unwrap();
    prune_all(&mut store, 5000, &fewer);
    assert_eq!(store.keys.len(), 10);
}

#[test]
fn plans_of_which_nothing_is_left_go_and_may_come_back() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let plans = plans();
    store.take(&[past(1, &plans[0], 100), past(2, &plans[1], 100)], 1).unwrap();
    prune_all(&mut store, 0, &Retention { transactions: 1, ..KEEP });
    store.prune_plans().unwrap();
    let count = |file: &Path| -> i64 {
        reader(file).query_row("SELECT count(*) FROM plans", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&folder.file()), 1);
    store.take(&[past(3, &plans[0], 100)], 2).unwrap();
    assert_eq!(count(&folder.file()), 2);
    assert_eq!(all(&reader(&folder.file()), &Filter::default(), 10).len(), 2);
}

#[test]
fn a_later_version_and_another_programs_file_are_refused_and_left_alone() {
    for (pragma, expected) in [("user_version = 9", "schema 9"), ("application_id = 5", "another program")] {
        let folder = Folder::new();
        open(&folder.file()).take(&[past(1, &plans()[0], 100)], 1).unwrap();
        Connection::open(folder.file()).unwrap().execute_batch(&format!("PRAGMA {pragma}")).unwrap();
        let refused = Store::open(&folder.file(), NODE).unwrap_err();
        assert!(refused.to_string().contains(expected), "{refused}");
        assert!(!matches!(refused, Error::Damaged { .. }));
    }
    let folder = Folder::new();
    open(&folder.file());
    Connection::open(folder.file()).unwrap().execute_batch("UPDATE about SET format = 2").unwrap();
    let refused = Store::open(&folder.file(), NODE).unwrap_err().to_string();
    assert!(refused.contains("format 2") && refused.contains("knows 1"), "{refused}");
}

#[test]
fn a_copy_speaks_of_the_moment_of_the_journals_copy() {
    let folder = Folder::new();
    let mut store = open(&folder.file());
    let plans = plans();
    store.take(&(1..=100).map(|n| past(n, &plans[0], 1000)).collect::<Vec<_>>(), 5).unwrap();
    let to = folder.file().with_file_name("copy.sqlite");
    // The writer is open, and what it has committed stands in the file beside the file.
    let all_of_it = copy(&folder.file(), &to, &BTreeSet::new()).unwrap().unwrap();
    assert_eq!((all_of_it.transactions, all_of_it.keys), (100, 25));
    std::fs::remove_file(&to).unwrap();
    let open_there = [90, 81, 999].map(|number: u128| Id::from_bits(number)).into();
    let cut = copy(&folder.file(), &to, &open_there).unwrap().unwrap();
    assert_eq!((cut.transactions, cut.keys), (80, 20));
    let names = std::fs::read_dir(folder.0.path()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("copy")).count(), 1, "{names:?}");
    let copied = open(&to);
    assert_eq!((copied.rows.len(), copied.keys.len()), (80, 20));
    assert!(copy(&folder.file().with_file_name("nothing"), &to, &BTreeSet::new()).unwrap().is_none());
    // What is damaged is told, and not kept as a copy.
    drop((store, copied));
    let damaged = folder.file().with_file_name("damaged");
    let mut bytes = std::fs::read(folder.file()).unwrap();
    bytes[3 * 4096..].fill(0xa5);
    std::fs::write(&damaged, bytes).unwrap();
    let unmade = folder.file().with_file_name("unmade");
    let refused = copy(&damaged, &unmade, &BTreeSet::new()).unwrap_err();
    assert!(matches!(refused, Error::Damaged { .. }), "{refused}");
    assert!(!unmade.exists());
}

#[test]
fn nobody_but_its_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let mut store = open(&folder.file());
    store.take(&[past(1, &plans()[0], 100)], 1).unwrap();
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.path());
    }
}

#[test]
fn a_page_walks_an_index_from_its_end_whatever_the_filter() {
    let folder = Folder::new();
    open(&folder.file());
    let connection = reader(&folder.file());
    for (sql, index) in [(list::GROUP, "lists"), (list::FLAGGED, "flagged"), (list::OF_KEY, "keyed")] {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing: Vec<i64> = vec![0; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
        assert_eq!(steps.len(), 1, "{steps:?}: no sorting beside it");
        assert!(steps[0].contains(&format!("INDEX {index}")), "{steps:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Lists say what the contract's filter says of everything that was kept, page by page and newest first.
    #[test]
    fn lists_are_what_a_model_says(
        ends in prop::collection::vec((0..3usize, 0..40u64), 0..120),
        kept in 1..150u64,
        filter in filters(),
        limit in 1..20usize,
    ) {
        let folder = Folder::new();
        let (mut store, plans) = (open(&folder.file()), plans());
        let ends: Vec<Past> =
            ends.iter().enumerate().map(|(n, (plan, at))| past(n as u64 + 1, &plans[*plan], 100 + at)).collect();
        for (batch, part) in ends.chunks(30).enumerate() {
            store.take(part, batch as u64).unwrap();
        }
        prune_all(&mut store, 0, &Retention { transactions: kept, ..KEEP });
        let model = &ends[ends.len().saturating_sub(kept as usize)..];
        let connection = reader(&folder.file());
        let mut expected: BTreeMap<Cursor, Id> = BTreeMap::new();
        for past in model {
            let view = list::get(&connection, past.id, None).unwrap().unwrap().view;
            prop_assert_eq!((view.verdict, view.began_unix_ms), (Some(past.verdict), past.began_unix_ms));
            if view.is_taken_by(&filter) {
                expected.insert(view.place(), past.id);
            }
        }
        let found: Vec<Id> = all(&connection, &filter, limit).iter().map(|view| view.id).collect();
        prop_assert_eq!(found, expected.into_values().rev().collect::<Vec<_>>());
    }
}

fn filters() -> impl Strategy<Value = Filter> {
    let words = |words: &'static [&'static str]| {
        prop::option::weighted(0.3, prop::sample::select(words).prop_map(str::to_owned))
    };
    let states = prop::collection::vec(
        prop::sample::select(&[State::Committed, State::RolledBack, State::Preparing][..]),
        0..2,
    );
    let verdict = prop::option::weighted(
        0.3,
        prop::sample::select(&[None, Some(Verdict::Commit), Some(Verdict::Rollback)][..]),
    );
    let mode = prop::option::weighted(0.3, prop::sample::select(&[Mode::Tcc, Mode::TwoPhase][..]));
    let time = || prop::option::weighted(0.3, 90..150u64);
    let key = prop::option::weighted(0.1, (1..120u64).prop_map(|n| key(n).scope));
    let text = prop::option::weighted(
        0.3,
        prop::sample::select(&["", "BANK", "deb", "pay", "00000000000000000000000004", "0000", "zz"][..]),
    );
    let text = text.prop_map(|text| text.map(str::to_owned));
    let flags = prop::sample::select(vec![Flags::NONE, Flags::NONE, Flags::NONE.with(Flag::Heuristic, true)]);
    let route = words(&["pay", "order", "nothing"]);
    let service = words(&["bank", "stock", "nobody"]);
    (states, verdict, mode, (route, service), (time(), time()), key, text, flags).prop_map(
        |(states, verdict, mode, (route, service), (from, before), key, text, flags)| Filter {
            states,
            verdict,
            mode,
            route,
            service,
            began_from_unix_ms: from,
            began_before_unix_ms: before,
            key,
            text,
            flags,
        },
    )
}

#[test]
fn an_id_comes_back_from_its_bytes() {
    let id = Id::from_bits(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    assert_eq!(id_of(super::store::id_bytes(id)), id);
}

#[test]
fn bytes_of_an_answer_come_back() {
    let folder = Folder::new();
    let answer = Bytes::from_static(b"anything");
    open(&folder.file()).take(&[Past { answer: answer.clone(), ..past(1, &plans()[0], 1) }], 1).unwrap();
    let stored = super::reader::answer_of(&reader(&folder.file()), Id::from_bits(1)).unwrap();
    assert_eq!(stored.as_deref(), Some(&answer[..]));
}
