//! The facts in which a transaction is remembered, and how durable each must be.

use crate::{BranchIndex, BranchSet, Operation, Outcome, Resolved, Token, Verdict};
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

/// The first record of a transaction. It is forced before anything is sent, or, where every participant asks, only
/// written with what must be durable: see [`Begun::durability`].
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
    /// Of how many waves it holds the calls; 1 where it is written at the beginning.
    pub waves: u8,
    /// The rendered calls of these waves. Opaque here.
    pub calls: Bytes,
    /// Forced as a rule. Volatile where nobody needs it: every participant asks, and an unknown transaction means
    /// rollback. Then it is written later, lazy beside a commit's verdict, or forced before a client is promised that
    /// the answer will be found.
    pub durability: Durability,
}

/// The calls of a later wave, which name answers of earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wave {
    /// The rendered calls. Opaque here.
    pub calls: Bytes,
    /// Forced before they leave; volatile where the beginning was not written either.
    pub durability: Durability,
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
    /// A call could not be rendered from this branch's answer.
    Unusable(BranchIndex),
    /// What had to be written next is larger than a segment of the journal.
    Unwritable,
    /// An operator chose so, for a transaction in quarantine.
    ByHand,
    /// This branch was asked as often as it may be, and nobody knows what it did.
    Unanswered(BranchIndex),
}

impl Cause {
    /// The word that APIs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Refused(_) => "refused",
            Cause::Deadline => "deadline",
            Cause::Interrupted => "interrupted",
            Cause::Unusable(_) => "unusable-answer",
            Cause::Unwritable => "too-large",
            Cause::ByHand => "by-hand",
            Cause::Unanswered(_) => "unanswered",
        }
    }
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
    /// The rendered compensations of a saga that differ from what was sent before; empty elsewhere. Opaque here.
    pub calls: Bytes,
    /// A commit is forced. A rollback is lazy where its absence already means rollback, and forced where a client may
    /// come back for the answer with its idempotency key, and in every saga, which would go on without it. Volatile
    /// where nothing was written: a rollback then, or a commit that nobody needs to hear of.
    pub durability: Durability,
}

/// One fact about one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// It exists. As durable as it says.
    Begun(Begun),
    /// The calls of its next wave are rendered. As durable as it says.
    Wave(Wave),
    /// A call left. Volatile.
    Sent {
        /// To which branch.
        branch: BranchIndex,
        /// Asking what.
        operation: Operation,
        /// The attempt's number, from 1.
        attempt: u32,
    },
    /// A call was answered, and nothing that must be remembered follows from it. Volatile: presumed abort forgets
    /// votes, and where nothing was written it forgets who has heard.
    Answered {
        /// By which branch.
        branch: BranchIndex,
        /// To which operation.
        operation: Operation,
        /// With which meaning.
        outcome: Outcome,
    },
    /// A branch of a saga has acted, and others go on. Lazy: a crash only makes us ask it again.
    Acted {
        /// Which branch.
        branch: BranchIndex,
        /// Done, or done with nothing to compensate.
        outcome: Outcome,
        /// What it answered, where somebody names that later; else empty. Opaque here.
        answer: Bytes,
    },
    /// It was decided. As durable as it says.
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
    /// A person has ended something by hand. Forced: who and why must not be forgotten.
    Resolved(Resolved),
    /// Every branch has acknowledged the verdict. Lazy.
    Ended,
    /// The same, where nothing was ever written. Volatile.
    Forgotten,
}

impl Record {
    /// How durable it must be before it is applied.
    pub fn durability(&self) -> Durability {
        match self {
            Record::Begun(begun) => begun.durability,
            Record::Wave(wave) => wave.durability,
            Record::Concluded(concluded) => concluded.durability,
            Record::Heuristic { .. } | Record::Resolved(_) => Durability::Forced,
            Record::Sent { .. } | Record::Answered { .. } | Record::Forgotten => Durability::Volatile,
            Record::Acted { .. } | Record::Told { .. } | Record::Ended => Durability::Lazy,
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
