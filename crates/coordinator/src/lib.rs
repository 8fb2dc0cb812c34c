//! Drive many transactions: the shards that one worker owns.
//!
//! **Owns**: the open transactions of its shards and what is remembered of finished ones; idempotency keys; timers,
//! retries with full jitter and budgets; when a waiter is answered, and with what; recovery.
//!
//! **Never**: does IO, reads a clock, awaits, or draws a random number that it was not given a seed for. What it wants
//! done comes out as [`Action`]s; what happened goes in as a call of one of [`Owner`]'s methods.
//!
//! **Read next**: [`Owner`] for the inputs, `drive` for one step, `render` for how a plan meets a request.

mod action;
mod admit;
#[cfg(feature = "bench")]
pub mod bare;
mod budget;
mod change;
mod config;
mod drive;
mod finished;
mod inquire;
mod keys;
mod load;
mod mask;
mod open;
mod owner;
mod pace;
mod plans;
mod ready_call;
mod render;
mod replay;
mod reply;
mod resolve;
mod retry;
mod scope;
mod seal;
mod share;
mod span;
mod tally;
mod timeline;
mod timers;
mod turned;
mod view;

pub use action::{Action, Append, CallId, Entropy, Notice, Now, WaiterId};
pub use config::{Change, Config, KeyPromise, Retry};
pub use finished::stored_answer;
pub use keys::shard_of;
pub use mask::shown_answer;
pub use open::heuristic_answer;
pub use owner::{Owner, Unwritten};
pub use plans::{InvalidPlan, Plans, check, unnamed_secrets, waves};
pub use replay::ReplayError;
pub use tally::Tally;
