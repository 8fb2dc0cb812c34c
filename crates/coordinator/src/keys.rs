//! Idempotency keys: which transaction a client's key stands for.

use std::collections::BTreeMap;
use unanimo_contract::{Digest, Id, Key, Shard};

/// The keys of one owner.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    known: BTreeMap<Digest, (Id, Digest)>,
}

/// What a key turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Never seen, or forgotten with its segment.
    New,
    /// It stands for this transaction.
    Known(Id),
    /// It was used for another request.
    Reused,
}

impl Keys {
    pub(crate) fn find(&self, key: &Key) -> Found {
        match self.known.get(&key.scope) {
            None => Found::New,
            Some((id, fingerprint)) if *fingerprint == key.fingerprint => Found::Known(*id),
            Some(_) => Found::Reused,
        }
    }

    pub(crate) fn insert(&mut self, key: &Key, id: Id) {
        self.known.insert(key.scope, (id, key.fingerprint));
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.known.remove(&key.scope);
    }
}

/// The shard to which all requests with this key belong.
pub fn shard_of(key: &Key) -> Shard {
    let [a, b, c, d, e, f, g, h, ..] = key.scope.0;
    Shard::of_hash(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}
