//! The words between processes, and between the crates that carry them.
//!
//! **Owns**: the headers, the rules by which a participant's answer gets its meaning, plans and rendered calls as
//! they are stored, what a client is told, the problem types, what retries may cost a service, and the traits [`Transactions`] and [`Operations`]
//! by which a transaction is reached, near or far.
//!
//! **Never**: does IO, reads a clock, renders an expression, or decides what becomes of a transaction.
//!
//! **Read next**: [`outcome`] for what answers mean, [`plan`] for what a route becomes, [`transactions`] for the
//! seam between gateway and runtime.

pub mod answer;
pub mod budget;
pub mod call;
pub mod headers;
pub mod inquiry;
pub mod operations;
pub mod outcome;
pub mod plan;
pub mod problem;
pub mod sealing;
pub mod shown;
pub mod trace;
pub mod transactions;

pub use answer::ClientAnswer;
pub use call::{Answer, Calls, ParticipantCall, RenderedCall};
pub use inquiry::Inquiry;
pub use operations::{Detail, Filter, Listed, Operations, Page, Retried, View};
pub use outcome::{Asked, Reading};
pub use plan::{AnswerAt, BranchPlan, Plan, RefusedPlan, ResponsePlan};
pub use problem::Problem;
pub use trace::TraceContext;
pub use transactions::{Reply, Request, Severed, Status, Submission, Transactions, Unavailable};
pub use unanimo_protocol::{
    BranchIndex, Cause, Digest, Epoch, Id, Key, Mode, Node, Operation, Outcome, Resolution, Shard, State,
    Step, Token, Verdict,
};
