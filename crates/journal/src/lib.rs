//! Durable facts: append, sync, replay.
//!
//! **Owns**: the stored format (`docs/journal-format.md` has every byte), the batches in which records reach the
//! disk, the watermark that settles forced records, the lock that gives a directory one owner, and the decision
//! whether an unreadable place is a torn tail or damage; looks at a directory, backups, and what is made of them.
//!
//! **Never**: awaits, calls anybody but its listener, looks inside plans, calls and answers, retries a sync that
//! failed, or writes over a tail that it has cut.
//!
//! **Read next**: [`Journal`] for what callers do, `batcher` for what is decided, `committer` for how it is carried out,
//! `recovery` for how it comes back.

mod allocation;
mod appended;
mod backup;
mod batch;
mod batcher;
mod clock;
mod codec;
mod committer;
mod config;
mod counters;
pub mod disk;
mod error;
mod follow;
mod inspect;
mod journal;
mod layout;
mod ledger;
mod lookup;
mod manifest;
mod pacing;
mod recovery;
mod scan;
mod segments;
mod tail;

#[cfg(test)]
extern crate self as unanimo_journal;
#[cfg(test)]
mod tests;

pub use appended::{Append, Appended, Position, SegmentNumber, Watermark};
pub use backup::{Restored, backup, restore};
pub use clock::Now;
pub use codec::Entry;
pub use committer::{Committer, Committing, Progress, Turn};
pub use config::{Config, Misconfigured};
pub use counters::{Counters, Histogram};
pub use disk::files::Files;
#[cfg(any(test, feature = "simulation"))]
pub use disk::simulated;
pub use disk::{Disk, Identity};
pub use error::{AppendError, Error, Poison};
pub use follow::{Durable, Followed, Follower};
pub use inspect::{Inspection, Seen, SegmentFacts, inspect};
pub use journal::Journal;
pub use manifest::Kind;
pub use recovery::{Recovery, open};
pub use scan::{Replayed, Report, Torn};
