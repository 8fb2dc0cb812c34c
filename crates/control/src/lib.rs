//! The control plane: what operators see and say, on a listener and a runtime of its own.
//!
//! **Owns**: the admin listener's pages: liveness, readiness, metrics, and the transaction API.
//!
//! **Never**: touches the data plane's threads, reaches a transaction but by `contract::Operations`, or serves anybody
//! who came by a name that is not this machine's own.
//!
//! **Read next**: [`admin`] for the pages, `watch` for streams.

pub mod admin;
mod clock;
mod query;
mod transactions;
mod watch;

pub use admin::{Probe, router};
