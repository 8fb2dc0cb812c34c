//! Every record comes back as it was; what is not known is refused.

use crate::codec::{self, ENTRY_HEADER, Entry, Unreadable, take_entry};
use crate::layout::FORMAT_VERSION;
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;
use unanimo_protocol::fields::{Malformed, put_number};
use unanimo_protocol::{
    Begun, BranchIndex, BranchSet, Cause, Concluded, Digest, Durability, Id, Key, Outcome, Record, Settled,
    Token, Verdict, Wave,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..400).prop_map(Bytes::from)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 16]>().prop_map(Digest)
}

fn branch() -> impl Strategy<Value = BranchIndex> {
    (0..BranchSet::CAPACITY as u8).prop_map(BranchIndex)
}

fn begun() -> impl Strategy<Value = Record> {
    let key = prop::option::of((digest(), digest()))
        .prop_map(|key| key.map(|(scope, fingerprint)| Key { scope, fingerprint }));
    (any::<u64>(), digest(), key, any::<u64>(), any::<u64>(), 1..=u8::MAX, bytes()).prop_map(
        |(token, plan, key, nanos, began_unix_ms, waves, calls)| {
            let (token, deadline) = (Token(token), Duration::from_nanos(nanos));
            let durability = Durability::Forced;
            Record::Begun(Begun { token, plan, key, deadline, began_unix_ms, waves, calls, durability })
        },
    )
}

fn concluded() -> impl Strategy<Value = Record> {
    let cause = prop_oneof![
        Just(None),
        branch().prop_map(|branch| Some(Cause::Refused(branch))),
        Just(Some(Cause::Deadline)),
        Just(Some(Cause::Interrupted)),
        Just(Some(Cause::Unwritable)),
        branch().prop_map(|branch| Some(Cause::Unusable(branch))),
        branch().prop_map(|branch| Some(Cause::Unanswered(branch))),
    ];
    (any::<bool>(), cause, any::<u32>(), bytes(), bytes(), any::<bool>()).prop_map(
        |(commit, cause, tell, answer, calls, forced)| {
            let verdict = if commit { Verdict::Commit } else { Verdict::Rollback };
            let durability = if forced { Durability::Forced } else { Durability::Lazy };
            let tell = BranchSet::from_bits(tell);
            Record::Concluded(Concluded { verdict, cause, tell, answer, calls, durability })
        },
    )
}

fn acted() -> impl Strategy<Value = Record> {
    let outcome = prop_oneof![Just(Outcome::Done), Just(Outcome::ReadOnly)];
    (branch(), outcome, bytes()).prop_map(|(branch, outcome, answer)| Record::Acted {
        branch,
        outcome,
        answer,
    })
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![
        begun(),
        concluded(),
        acted(),
        bytes().prop_map(|calls| Record::Wave(Wave { calls, durability: Durability::Forced })),
        branch().prop_map(|branch| Record::Told { branch }),
        branch().prop_map(|branch| Record::Heuristic { branch }),
        Just(Record::Ended),
    ]
}

proptest! {
    #[test]
    fn records_come_back(records in prop::collection::vec((any::<u128>(), record()), 0..8)) {
        let mut payload = Vec::new();
        for (id, record) in &records {
            let before = payload.len();
            codec::put_record(&mut payload, Id::from_bits(*id), record);
            prop_assert!(payload.len() - before <= codec::bound(record));
        }
        let mut at = 0;
        for (id, record) in records {
            let (transaction, entry, next) = take_entry(&payload, at, FORMAT_VERSION).unwrap();
            prop_assert_eq!(transaction, Id::from_bits(id));
            prop_assert_eq!(entry, Entry::Record(Settled::journaled(record)));
            at = next;
        }
        prop_assert_eq!(at, payload.len());
    }

    #[test]
    fn plans_come_back(digest in digest(), bytes in bytes()) {
        let mut payload = Vec::new();
        codec::put_plan(&mut payload, Id::from_bits(5), digest, &bytes);
        prop_assert!(payload.len() <= codec::plan_bound(&bytes));
        let (_, entry, _) = take_entry(&payload, 0, FORMAT_VERSION).unwrap();
        prop_assert_eq!(entry, Entry::Plan { digest, bytes });
    }

    #[test]
    fn garbage_is_refused_and_never_panics(bytes: Vec<u8>, record in record(), at: prop::sample::Index) {
        let _ = take_entry(&bytes, 0, FORMAT_VERSION);
        let mut payload = Vec::new();
        codec::put_record(&mut payload, Id::from_bits(1), &record);
        let at = at.index(payload.len());
        for cut in [&payload[..at], &payload[at..]] {
            let _ = take_entry(cut, 0, FORMAT_VERSION);
        }
        prop_assert_eq!(take_entry(&payload[..at], 0, FORMAT_VERSION).unwrap_err(), Unreadable::CutShort);
    }
}

fn entry(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; 16];
    payload.push(kind);
    payload.extend_from_slice(&(body.len() as u32).to_le_bytes());
    payload.extend_from_slice(body);
    assert_eq!(payload.len(), ENTRY_HEADER + body.len());
    payload
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    assert_eq!(take_entry(&entry(10, b""), 0, FORMAT_VERSION).unwrap_err(), Unreadable::UnknownKind(10));
    assert_eq!(take_entry(&entry(0, b""), 0, FORMAT_VERSION).unwrap_err(), Unreadable::UnknownKind(0));
    let mut field = Vec::new();
    put_number(&mut field, 9, 1);
    for kind in 1..=9 {
        let refused = take_entry(&entry(kind, &field), 0, FORMAT_VERSION).unwrap_err();
        assert_eq!(refused, Unreadable::Malformed(Malformed::UnknownField(9)), "kind {kind}");
    }
    let mut beyond = Vec::new();
    put_number(&mut beyond, 1, 32);
    assert_eq!(
        take_entry(&entry(4, &beyond), 0, FORMAT_VERSION).unwrap_err(),
        Unreadable::Malformed(Malformed::BadValue(1))
    );
}

#[test]
fn a_volatile_record_is_not_written() {
    let mut payload = Vec::new();
    let sent =
        Record::Sent { branch: BranchIndex(0), operation: unanimo_protocol::Operation::Prepare, attempt: 1 };
    codec::put_record(&mut payload, Id::from_bits(1), &sent);
    assert!(payload.is_empty());
}
