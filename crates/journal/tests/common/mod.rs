//! What the tests append.
#![allow(dead_code, reason = "each test file uses its share")]

use bytes::Bytes;
use std::path::Path;
use std::time::Duration;
use unanimo_journal::Config;
use unanimo_protocol::{
    Begun, BranchSet, Concluded, Digest, Durability, Epoch, Id, Node, Record, Shard, Token, Verdict,
};

pub fn config(directory: &Path) -> Config {
    Config { segment_size: 64 * 1024, accept_ephemeral: true, ..Config::new(directory) }
}

pub fn id(counter: u64) -> Id {
    Id::new(Node(7), Shard(1), Epoch(1), counter, 0)
}

pub fn plan(number: u8) -> (Digest, Bytes) {
    (Digest([number; 16]), Bytes::from(vec![number; 40]))
}

pub fn begun(plan: u8, calls: &[u8]) -> Record {
    Record::Begun(Begun {
        token: Token(99),
        plan: Digest([plan; 16]),
        key: None,
        deadline: Duration::from_secs(5),
        began_unix_ms: 1_700_000_000_000,
        waves: 1,
        calls: Bytes::copy_from_slice(calls),
        durability: Durability::Forced,
    })
}

pub fn committed(answer: &[u8]) -> Record {
    Record::Concluded(Concluded {
        verdict: Verdict::Commit,
        cause: None,
        tell: BranchSet::first(2),
        answer: Bytes::copy_from_slice(answer),
        calls: Bytes::new(),
        durability: Durability::Forced,
    })
}
