//! What is remembered of transactions whose every branch has heard.
//!
//! Until history holds it, durably: the end, for whoever comes back with a key or a status address. From then on it is
//! recalled from there.

use crate::Config;
use crate::open::{Open, decode_answer};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use unanimo_contract::operations::{Flag, Flags};
use unanimo_contract::sealing::{self, Keyring, Part};
use unanimo_contract::{ClientAnswer, Id, Key, Mode, Problem, State, Token, Verdict};
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
    pub(crate) fn client_answer(&self, id: Id, config: &Config) -> ClientAnswer {
        self.opened(id, config).unwrap_or_else(|unopened| unopened)
    }

    /// The same, as others may see it.
    pub(crate) fn shown_answer(&self, id: Id, config: &Config) -> ClientAnswer {
        // A heuristic end is told in words of our own.
        let verdict = Some(self.verdict).filter(|_| !self.flags.has(Flag::Heuristic));
        match self.opened(id, config) {
            Ok(answer) => self.ready.masked_answer(verdict, self.cause, answer),
            Err(unopened) => unopened,
        }
    }

    /// What replay has found ended is opened only now; the error says to the client why that cannot be.
    fn opened(&self, id: Id, config: &Config) -> Result<ClientAnswer, ClientAnswer> {
        match sealing::is_sealed(&self.answer) {
            true => unsealed(config.keyring.as_deref(), id, &self.answer),
            false => Ok(decode_answer(id, &self.answer)),
        }
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

/// A client's answer that was stored with its verdict, opened where it is sealed; nothing where it cannot be read. The
/// error says to the client why it does not open.
pub fn stored_answer(
    keyring: Option<&Keyring>,
    id: Id,
    stored: &Bytes,
) -> Result<Option<ClientAnswer>, ClientAnswer> {
    match sealing::is_sealed(stored) {
        true => unsealed(keyring, id, stored).map(Some),
        false => Ok(ClientAnswer::decode(stored.clone()).ok()),
    }
}

fn unsealed(keyring: Option<&Keyring>, id: Id, stored: &Bytes) -> Result<ClientAnswer, ClientAnswer> {
    let opened = sealing::open(keyring, id, Part::Answer, stored);
    opened.map(|answer| decode_answer(id, &answer)).map_err(|error| {
        let detail = format!("the transaction has ended, and its answer cannot be shown: {error}");
        Problem::Internal.answer_for(Some(id), None, &detail)
    })
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
