//! Journals of every format version are kept in the tree, and read by each later program.
//!
//! `UNANIMO_BLESS=1 cargo test -p unanimo-simulation --test golden` writes what this version writes and reads; look at
//! the difference before it is kept. The journals of earlier versions are never written again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod story;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use story::{Image, config};
use unanimo_contract::shown::{self, Bodies};
use unanimo_contract::{Digest, Epoch, Id, Node, Plan, Shard, State};
use unanimo_coordinator::{Now, Owner, Plans, Retry};
use unanimo_journal::simulated::Simulated;
use unanimo_journal::{Entry, Error, Inspection, Replayed, inspect, open};

fn folder(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version.to_string())
}

fn blesses() -> bool {
    std::env::var_os("UNANIMO_BLESS").is_some()
}

/// What this version writes: the manifest and the segments, without the lock or a segment that was being prepared.
fn written() -> Image {
    story::written()
        .into_iter()
        .filter(|(name, _)| name == "manifest" || name.ends_with(".journal"))
        .collect()
}

/// Keeps what this version writes, where that is wanted; once, whichever test comes first.
fn bless() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let folder = folder(Inspection::FORMAT_VERSION);
        if blesses() {
            fs::create_dir_all(&folder).unwrap();
            written().iter().for_each(|(name, bytes)| fs::write(folder.join(name), bytes).unwrap());
        }
    });
}

fn versions() -> impl Iterator<Item = u32> {
    bless();
    (1..=Inspection::FORMAT_VERSION)
        .inspect(|version| assert!(folder(*version).is_dir(), "version {version}"))
}

fn stored(version: u32) -> Image {
    let files = fs::read_dir(folder(version)).unwrap().map(Result::unwrap);
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    let journal = files.filter(|entry| !name(entry).ends_with(".jsonl"));
    journal.map(|entry| (name(&entry), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn this_version_writes_what_is_kept_of_it() {
    bless();
    assert!(written() == stored(Inspection::FORMAT_VERSION), "this version writes something else by now");
}

#[test]
fn every_versions_journal_gives_the_records_that_stand_beside_it() {
    for version in versions() {
        let beside = folder(version).join("expected.jsonl");
        let said = dump(&stored(version));
        if blesses() {
            fs::write(&beside, &said).unwrap();
        }
        assert_eq!(fs::read_to_string(&beside).unwrap(), said, "version {version}");
    }
}

fn dump(image: &Image) -> String {
    let (mut plans, mut began, mut lines) = (BTreeMap::<Digest, Plan>::new(), BTreeMap::new(), String::new());
    let found = inspect(&Simulated::of(1, image), Path::new("golden"), |seen| {
        let Replayed { segment, batch, transaction, entry, .. } = seen.replayed;
        let (word, members) = match entry {
            Entry::Plan { digest, bytes } => {
                plans.insert(digest, Plan::decode(&bytes).unwrap());
                ("plan", serde_json::from_slice(&bytes).unwrap())
            }
            Entry::Record(settled) => {
                if let unanimo_protocol::Record::Begun(begun) = settled.record() {
                    began.insert(transaction, begun.plan);
                }
                let plan = began.get(&transaction).and_then(|digest| plans.get(digest));
                shown::record(settled.record(), plan, Bodies::Shown)
            }
        };
        let members = serde_json::Value::Object(members);
        lines.push_str(&format!("{segment} {} {transaction} {word} {members}\n", batch.number()));
    });
    let report = found.unwrap().report;
    let torn = report.torn.map(|torn| torn.offset);
    format!("{lines}open {} last {} torn {torn:?}\n", report.open, report.last.number())
}

#[test]
fn every_versions_journal_is_driven_on() {
    for version in versions() {
        let disk = Simulated::of(1, &stored(version));
        let mut recovery = open(config(), disk).unwrap();
        let mut owner = owner(recovery.node(), recovery.epoch());
        recovery
            .replay(|Replayed { batch, transaction, entry, .. }| match entry {
                Entry::Plan { digest, bytes } => owner.replay_plan(digest, bytes).unwrap(),
                Entry::Record(settled) => owner.replay(transaction, settled, batch.number()).unwrap(),
            })
            .unwrap();
        let node = recovery.node();
        let states = (1..20).filter_map(|number| Some((number, state(&owner, node, number)?)));
        let open: Vec<(u64, State)> = states.collect();
        owner.recovered(Now::default()).unwrap();
        let ended = [State::Committed, State::RolledBack];
        let (ended, open): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, state)| ended.contains(state));
        assert!(ended.len() >= 6 && open.len() >= 4, "version {version}: {ended:?} {open:?}");
        assert!(owner.poll_action().is_some(), "version {version}: nothing is due");
    }
}

/// Where the story's transaction of this number stands, whichever start it was of.
fn state(owner: &Owner, node: Node, number: u64) -> Option<State> {
    let id = |epoch| Id::new(node, Shard(number as u8), Epoch(epoch), number, 77);
    (1..3).find_map(|epoch| owner.view(id(epoch))).map(|view| view.state)
}

fn owner(node: Node, epoch: Epoch) -> Owner {
    Owner::new(unanimo_coordinator::Config {
        node,
        epoch,
        shards: Shard::all().collect(),
        open_limit: 100,
        remembered_limit: 1000,
        keys: unanimo_coordinator::KeyPromise::default(),
        retry: Retry::default(),
        plans: Plans::default(),
        seed: 1,
        keyring: None,
        nonces: [7; 32],
    })
}

#[test]
fn a_later_version_is_refused_and_both_are_named() {
    bless();
    let later = Inspection::FORMAT_VERSION + 1;
    for (name, _) in stored(Inspection::FORMAT_VERSION) {
        let mut image = stored(Inspection::FORMAT_VERSION);
        image.get_mut(&name).unwrap()[8] = later as u8;
        let refused =
            open(config(), Simulated::of(1, &image)).and_then(|mut recovery| recovery.replay(|_| ()));
        let refused = refused.unwrap_err();
        assert!(matches!(refused, Error::UnknownVersion { .. }), "{refused}");
        let said = refused.to_string();
        assert!(
            said.contains(&format!("version {later}")) && said.contains(&format!("1 to {}", later - 1)),
            "{said}"
        );
    }
}
