//! Idempotency keys: which transaction a client's key stands for, for as long as that is promised.

use std::collections::{BTreeMap, VecDeque};
use unanimo_contract::{Digest, Id, Key, Shard};

/// How many promises are looked at with each new key, so that those that are over go without a pause.
const SWEPT: usize = 2;

/// The keys of one owner.
#[derive(Debug)]
pub(crate) struct Keys {
    limit: usize,
    known: BTreeMap<Digest, Promise>,
    /// Scopes with the ends of their promises, about in their order. One that was withdrawn or renewed stands here
    /// until its turn comes.
    ends: VecDeque<(u64, Digest)>,
    /// Promises that were broken for room.
    cut_short: u64,
}

#[derive(Clone, Copy, Debug)]
struct Promise {
    transaction: Id,
    fingerprint: Digest,
    /// Milliseconds since 1970 on the wall clock: a promise outlives the process.
    until_unix_ms: u64,
}

/// What a key turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Never seen, or no longer promised.
    New,
    /// It stands for this transaction.
    Known(Id),
    /// It was used for another request.
    Reused,
}

impl Keys {
    pub(crate) fn new(limit: usize) -> Keys {
        Keys { limit, known: BTreeMap::new(), ends: VecDeque::new(), cut_short: 0 }
    }

    /// What this key is. While its transaction is open it stands for that, however old it is.
    pub(crate) fn find(&self, key: &Key, unix_ms: u64, is_open: impl FnOnce(Id) -> bool) -> Found {
        match self.known.get(&key.scope) {
            None => Found::New,
            Some(promise) if promise.until_unix_ms <= unix_ms && !is_open(promise.transaction) => Found::New,
            Some(promise) if promise.fingerprint == key.fingerprint => Found::Known(promise.transaction),
            Some(_) => Found::Reused,
        }
    }

    /// Promises that this key stands for this transaction until then. Where two stand for one scope, the later promise
    /// holds.
    pub(crate) fn insert(&mut self, key: &Key, transaction: Id, until_unix_ms: u64) {
        if self.known.get(&key.scope).is_some_and(|known| known.until_unix_ms > until_unix_ms) {
            return;
        }
        let promise = Promise { transaction, fingerprint: key.fingerprint, until_unix_ms };
        self.known.insert(key.scope, promise);
        self.ends.push_back((until_unix_ms, key.scope));
    }

    /// Forgets some promises that are over, and the oldest where there are too many. Those of open transactions stay.
    pub(crate) fn sweep(&mut self, unix_ms: u64, is_open: impl Fn(Id) -> bool) {
        for _ in 0..SWEPT {
            let Some((until, scope)) = self.ends.front().copied() else { return };
            let promise = self.known.get(&scope).filter(|promise| promise.until_unix_ms == until).copied();
            let is_over = until <= unix_ms;
            if promise.is_some() && !is_over && self.known.len() <= self.limit {
                return;
            }
            self.ends.pop_front();
            match promise {
                None => {}
                Some(promise) if is_open(promise.transaction) => self.ends.push_back((until, scope)),
                Some(_) => {
                    self.known.remove(&scope);
                    self.cut_short += u64::from(!is_over);
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &Key) {
        self.known.remove(&key.scope);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    pub(crate) fn cut_short(&self) -> u64 {
        self.cut_short
    }
}

/// The shard to which all requests with this key belong.
pub fn shard_of(key: &Key) -> Shard {
    let [a, b, c, d, e, f, g, h, ..] = key.scope.0;
    Shard::of_hash(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: fn(Id) -> bool = |_| false;

    fn key(number: u8) -> Key {
        Key { scope: Digest([number; 16]), fingerprint: Digest([0; 16]) }
    }

    #[test]
    fn a_key_is_free_again_when_its_promise_is_over_and_its_transaction_too() {
        let mut keys = Keys::new(10);
        keys.insert(&key(1), Id::from_bits(1), 100);
        assert_eq!(keys.find(&key(1), 99, NEVER), Found::Known(Id::from_bits(1)));
        assert_eq!(keys.find(&key(1), 100, NEVER), Found::New);
        assert_eq!(keys.find(&key(1), 100, |_| true), Found::Known(Id::from_bits(1)));
    }

    #[test]
    fn what_is_over_is_swept_and_what_is_open_stays() {
        let mut keys = Keys::new(10);
        (1..=4).for_each(|n| keys.insert(&key(n), Id::from_bits(n.into()), 100));
        keys.sweep(99, NEVER);
        assert_eq!(keys.len(), 4);
        (0..8).for_each(|_| keys.sweep(100, |id| id == Id::from_bits(2)));
        assert_eq!((keys.len(), keys.cut_short()), (1, 0));
        keys.sweep(100, NEVER);
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn beyond_the_limit_the_oldest_promise_is_cut_short() {
        let mut keys = Keys::new(3);
        for n in 1..=5 {
            keys.insert(&key(n), Id::from_bits(n.into()), 100 + u64::from(n));
            keys.sweep(0, NEVER);
        }
        assert_eq!((keys.len(), keys.cut_short()), (3, 2));
        assert_eq!(keys.find(&key(2), 0, NEVER), Found::New);
        assert_eq!(keys.find(&key(3), 0, NEVER), Found::Known(Id::from_bits(3)));
    }

    #[test]
    fn the_later_promise_of_a_scope_holds() {
        let mut keys = Keys::new(3);
        keys.insert(&key(1), Id::from_bits(2), 200);
        keys.insert(&key(1), Id::from_bits(1), 100);
        assert_eq!(keys.find(&key(1), 150, NEVER), Found::Known(Id::from_bits(2)));
        keys.sweep(150, NEVER);
        assert_eq!(keys.len(), 1, "the end of a promise that was renewed ends nothing");
    }
}
