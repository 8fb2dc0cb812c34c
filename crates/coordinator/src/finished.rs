//! What is remembered of transactions whose every branch has heard.
//!
//! Until history holds it, durably: the end, for whoever comes back with a key or a status address. From then on it is
//! recalled from there.

use crate::open::{Open, decode_answer};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use unanimo_contract::operations::Flags;
use unanimo_contract::{ClientAnswer, Id, Key, Mode, State, Token, Verdict};
use unanimo_protocol::Cause;

use crate::plans::Ready;

/// The end of a transaction.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) ready: Arc<Ready>,
    pub(crate) token: Token,
    pub(crate) key: Option<Key>,
    pub(crate) verdict: Verdict,
    pub(crate) cause: Option<Cause>,
    pub(crate) began_unix_ms: u64,
    /// When its end was applied; 0 where a crash has forgotten it.
    pub(crate) ended_unix_ms: u64,
    pub(crate) flags: Flags,
    answer: Bytes,
}

impl Finished {
    /// What remains of an open transaction that has ended; `None` while it has no verdict.
    pub(crate) fn of(open: &Open) -> Option<Finished> {
        Some(Finished {
            ready: open.ready.clone(),
            token: open.token,
            key: open.key,
            verdict: open.verdict()?,
            cause: open.core.cause(),
            began_unix_ms: open.began_unix_ms,
            ended_unix_ms: open.ended_unix_ms().unwrap_or(0),
            flags: open.flags(),
            // A copy of its own: a slice would keep the whole segment's or request's buffer alive.
            answer: match open.core.heuristic() {
                Some(_) => open.client_answer().map(|answer| answer.encode()).unwrap_or_default(),
                None => Bytes::copy_from_slice(open.answer.as_deref().unwrap_or_default()),
            },
        })
    }

    /// What the client is told.
    pub(crate) fn client_answer(&self, id: Id) -> ClientAnswer {
        decode_answer(id, &self.answer)
    }

    pub(crate) fn state(&self) -> State {
        match self.verdict {
            Verdict::Commit => State::Committed,
            Verdict::Rollback => State::RolledBack,
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.ready.outline.mode()
    }
}

/// All that is remembered, by id, and by the batch that holds its end.
///
/// Invariant: nothing is here that history holds, and never more than the limit: while history takes nothing, the
/// oldest ends are forgotten. They stand in the journal, and are recalled when history has read it.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: usize,
    /// History holds whatever ended in this batch or before.
    covered: u64,
    ends: BTreeMap<Id, Finished>,
    by_batch: BTreeMap<u64, Vec<Id>>,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Memory {
        Memory { limit, covered: 0, ends: BTreeMap::new(), by_batch: BTreeMap::new() }
    }

    /// Remembers an end that stands in this batch.
    pub(crate) fn insert(&mut self, id: Id, batch: u64, finished: Finished) {
        if batch <= self.covered {
            return;
        }
        self.ends.insert(id, finished);
        self.by_batch.entry(batch).or_default().push(id);
        while self.ends.len() > self.limit
            && let Some((_, ids)) = self.by_batch.pop_first()
        {
            ids.iter().for_each(|id| drop(self.ends.remove(id)));
        }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Finished> {
        self.ends.get(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Everything, by id.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Id, &Finished)> {
        self.ends.iter()
    }

    /// History holds whatever ended in this batch or before.
    pub(crate) fn cover(&mut self, batch: u64) {
        self.covered = self.covered.max(batch);
        while let Some(entry) = self.by_batch.first_entry().filter(|entry| *entry.key() <= self.covered) {
            entry.remove().iter().for_each(|id| drop(self.ends.remove(id)));
        }
    }
}
