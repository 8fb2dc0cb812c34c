//! The facts in which a transaction is remembered, and how durable each must be.

use crate::{BranchIndex, BranchSet, Operation, Outcome, Token, Verdict};
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

/// How far a record must have got before it may change state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Durability {
    /// Never written: a crash may forget it.
    Volatile,
    /// Written, but nobody waits for the disk: a crash soon after may forget it.
    Lazy,
    /// Durable before it is applied, and before anybody hears of it.
    Forced,
}

/// 128 bits of a cryptographic hash of what something holds: a plan, an idempotency key, a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 16]);

/// A client's idempotency key, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Hash of the key's scope and text: route, key, consumer.
    pub scope: Digest,
    /// Hash of what was asked: method, target, body. Another fingerprint under the same scope is a misuse.
    pub fingerprint: Digest,
}

/// The first record of a transaction: nothing is sent before it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Guards the public status address.
    pub token: Token,
    /// The plan that the transaction began with, and ends under.
    pub plan: Digest,
    /// The idempotency key, where the client gave one.
    pub key: Option<Key>,
    /// How long branches may take to vote, from the beginning on.
    pub deadline: Duration,
    /// Milliseconds since 1970 on the wall clock: shown to people, decides nothing.
    pub began_unix_ms: u64,
    /// The rendered calls of the first wave. Opaque here.
    pub calls: Bytes,
}

/// Why a transaction was rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This branch refused.
    Refused(BranchIndex),
    /// The deadline came before every branch had voted.
    Deadline,
    /// A crash came before the verdict.
    Interrupted,
}

/// The verdict with what is needed to carry it out after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// What was decided.
    pub verdict: Verdict,
    /// Why it was not a commit; `None` for a commit.
    pub cause: Option<Cause>,
    /// The branches that must hear of it.
    pub tell: BranchSet,
    /// What the client is told. Opaque here.
    pub answer: Bytes,
    /// A commit is always forced. A rollback is lazy where its absence already means rollback, and forced where a
    /// client may come back for the answer with its idempotency key.
    pub durability: Durability,
}

/// One fact about one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// It exists. Forced.
    Begun(Begun),
    /// A call left. Volatile.
    Sent {
        /// To which branch.
        branch: BranchIndex,
        /// Asking what.
        operation: Operation,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// A first operation was answered. Volatile: presumed abort forgets votes.
    Answered {
        /// By which branch.
        branch: BranchIndex,
        /// To which operation.
        operation: Operation,
        /// With which meaning.
        outcome: Outcome,
    },
    /// It was decided. Forced or lazy, see [`Concluded::durability`].
    Concluded(Concluded),
    /// A branch acknowledged the verdict. Lazy: a crash only makes us tell it again.
    Told {
        /// Which branch.
        branch: BranchIndex,
    },
    /// A branch ended against the verdict. Forced: only a person may end this.
    Heuristic {
        /// Which branch.
        branch: BranchIndex,
    },
    /// Every branch has acknowledged the verdict. Lazy.
    Ended,
}

impl Record {
    /// How durable it must be before it is applied.
    pub fn durability(&self) -> Durability {
        match self {
            Record::Begun(_) | Record::Heuristic { .. } => Durability::Forced,
            Record::Sent { .. } | Record::Answered { .. } => Durability::Volatile,
            Record::Concluded(concluded) => concluded.durability,
            Record::Told { .. } | Record::Ended => Durability::Lazy,
        }
    }
}

/// A record that may change state: it is as durable as it has to be.
///
/// There are two ways to get one: [`Settled::volatile`], and the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled(Record);

/// A record that needs the journal was called volatile: a mistake in the shard.
#[derive(Debug, PartialEq, Eq)]
pub struct NotVolatile(pub Record);

impl fmt::Display for NotVolatile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {:?} record can only be settled by the journal", self.0.durability())
    }
}

impl std::error::Error for NotVolatile {}

impl Settled {
    /// Settles a record that is never written; refuses any other.
    pub fn volatile(record: Record) -> Result<Settled, NotVolatile> {
        match record.durability() {
            Durability::Volatile => Ok(Settled(record)),
            Durability::Lazy | Durability::Forced => Err(NotVolatile(record)),
        }
    }

    /// Settles a record on the journal's word. Called by the journal alone (`tidy` sees to it): at append for lazy
    /// records, once synced for forced ones, and at replay.
    pub fn journaled(record: Record) -> Settled {
        Settled(record)
    }

    /// The record, to look at.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// The record, to apply.
    pub(crate) fn into_record(self) -> Record {
        self.0
    }
}
