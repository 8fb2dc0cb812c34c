//! Carry one call to one participant.
//!
//! **Owns**: how a call looks on the wire of each driver, its credentials and its time-out, and how what comes back
//! becomes an [`Answer`].
//!
//! **Never**: decides what a transaction does next, repeats a call, or fails: what cannot be known is `Unknown`.
//!
//! **Read next**: [`http::Http`], and `contract::outcome` for what answers mean.

pub mod http;

pub use http::Http;

use unanimo_contract::{Answer, ParticipantCall};

/// Carries calls to participants. Local: its futures stay on their worker.
pub trait Participant: 'static {
    /// Carries one call, once. It ends within the call's time-out.
    fn call(&self, call: &ParticipantCall) -> impl Future<Output = Answer>;
}
