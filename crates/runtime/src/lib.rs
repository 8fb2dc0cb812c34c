//! The coordinator's shell: shards on workers, their mailboxes, journal and calls.
//!
//! **Owns**: the clock and the random numbers that the core is given; one [`Worker`] per thread, which carries out what
//! its owner of shards wants done; the bounded mailboxes between workers; recovery at the start; counts for metrics.
//!
//! **Never**: decides what follows from an event, knows a route, or speaks HTTP. It starts no thread but the journal's:
//! whoever has the threads puts a [`Seat`] on each.
//!
//! **Read next**: [`start`] for how a process comes up, `worker` for how one event goes round.

mod caught;
mod clock;
mod guard;
mod handle;
pub mod history;
mod mailbox;
pub mod metrics;
mod signal;
pub mod start;
mod stream;
mod worker;

pub use handle::Handle;
pub use history::History;
pub use start::{Config, Error, Recovered, Seat, recover};
pub use stream::Watcher;
pub use worker::Worker;
