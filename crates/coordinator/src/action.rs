//! What goes in beside the events, and what comes out.

use bytes::Bytes;
use unanimo_contract::operations::{Heard, Timeline, Watched, Word};
use unanimo_contract::{BranchIndex, Digest, Id, Operation, ParticipantCall, Reply, Severed};
use unanimo_protocol::{Record, Time};

/// The moment at which something is told to the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// On the shell's monotonic clock: decides.
    pub time: Time,
    /// Milliseconds since 1970 on the wall clock: shown to people, decides nothing.
    pub unix_ms: u64,
}

/// Randomness for one transaction, from a source that nobody can foretell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entropy {
    /// The bits of the token.
    pub token: u64,
    /// The random bits of the id, of which 24 are used.
    pub random: u32,
}

/// Who waits for an answer: the shell's own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// Which call an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId {
    /// The transaction.
    pub transaction: Id,
    /// The branch.
    pub branch: BranchIndex,
    /// What was asked.
    pub operation: Operation,
    /// The attempt's number, from 1.
    pub attempt: u32,
}

impl From<&ParticipantCall> for CallId {
    fn from(call: &ParticipantCall) -> CallId {
        let ParticipantCall { transaction, branch, operation, attempt, .. } = *call;
        CallId { transaction, branch, operation, attempt }
    }
}

/// Records of one decision, for the journal.
#[derive(Debug)]
pub struct Append {
    /// Whose they are.
    pub transaction: Id,
    /// The stored plan that a `Begun` among them names.
    pub plan: Option<(Digest, Bytes)>,
    /// The records, in order. They settle together.
    pub records: Vec<Record>,
}

/// What the owner wants done.
#[derive(Debug)]
pub enum Action {
    /// Append these, and bring them back by [`crate::Owner::settled`] once they are settled.
    Append(Append),
    /// Send this call, and bring its answer by [`crate::Owner::answered`].
    Call(Box<ParticipantCall>),
    /// Tell this waiter. Nothing more comes for it.
    Reply {
        /// Whom.
        waiter: WaiterId,
        /// What.
        reply: Box<Result<Reply, Severed>>,
    },
    /// Tell the watchers. Only where somebody watches: see [`crate::Owner::set_watched`].
    Watched(Box<Watched>),
    /// A transaction has ended: give history what the journal does not hold of it. Nobody waits for this.
    Ended {
        /// Which transaction.
        transaction: Id,
        /// What happened to it, and when.
        timeline: Timeline,
        /// The last answer of each branch, in the order of its plan.
        heard: Vec<Option<Heard>>,
    },
    /// Look up in history what the client of this finished transaction was told, and bring it by
    /// [`crate::Owner::recalled`].
    Recall {
        /// Who waits for it.
        waiter: WaiterId,
        /// Which transaction.
        transaction: Id,
    },
    /// Tell the operators.
    Notice {
        /// Of which transaction.
        transaction: Id,
        /// What.
        notice: Notice,
    },
}

/// What operators should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Its verdict has not been acknowledged for long, or a participant says no where it may not.
    Stuck {
        /// The branch that has not acknowledged it, by name.
        branch: String,
    },
    /// A branch ended against the verdict.
    Heuristic {
        /// The branch, by name.
        branch: String,
    },
    /// A person has ended something by hand.
    Resolved {
        /// What, in a word.
        what: &'static str,
        /// The branch, by name, where it is about one.
        branch: Option<String>,
        /// Who, when and why.
        word: Word,
    },
    /// The client's answer named a value that was not there.
    Unrendered {
        /// What is missing, in words.
        what: String,
    },
    /// The last of the transactions that replay had found open has ended.
    Recovered,
}
