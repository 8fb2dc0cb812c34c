//! What a transaction is, and what may follow what.
//!
//! **Owns**: the nouns (ids, modes, operations, outcomes, verdicts), the records in which a transaction is
//! remembered, and the four verbs that drive one: [`Transaction::decide`] proposes records,
//! [`Transaction::apply`] is the only way state changes, [`Transaction::due`] says what is owed to the world,
//! [`Transaction::wake`] says when time itself becomes an event.
//!
//! **Never**: reads a clock, does IO, awaits, draws random numbers, or looks inside the opaque bytes (rendered
//! calls, clients' answers) that it carries. It does not know services, routes or HTTP.
//!
//! **Read next**: [`transaction`] for the verbs, [`mode`] for the state tables, [`record`] for durability.

pub mod branches;
pub mod event;
pub mod fields;
pub mod id;
pub mod mode;
pub mod outline;
pub mod planted;
pub mod record;
pub mod resolution;
pub mod state;
pub mod time;
pub mod transaction;
mod waves;
pub mod words;

pub use branches::{BranchIndex, BranchSet};
pub use event::Event;
pub use id::{Epoch, Id, Node, Shard, Token};
pub use outline::{BranchOutline, Outline, OutlineError, Step};
pub use record::{Begun, Cause, Concluded, Digest, Durability, Key, NotVolatile, Record, Settled, Wave};
pub use resolution::{Resolution, Resolved, Unresolvable};
pub use state::{Progress, State};
pub use time::Time;
pub use transaction::{Call, Render, Transaction};
pub use words::{Mode, Operation, Outcome, Verdict};
