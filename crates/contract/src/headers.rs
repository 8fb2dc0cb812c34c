//! Header names, spelled once. HTTP compares them without case; they are written here in lower case.

/// The transaction's id, to participants and clients.
pub const TRANSACTION: &str = "unanimo-transaction";
/// The branch's name, to participants.
pub const BRANCH: &str = "unanimo-branch";
/// What the participant is asked, as [`crate::Operation::as_str`] spells it.
pub const OPERATION: &str = "unanimo-operation";
/// Milliseconds that are left before the transaction's deadline, to participants on first operations.
pub const DEADLINE_MS: &str = "unanimo-deadline-ms";
/// The attempt's number, from 1, to participants.
pub const ATTEMPT: &str = "unanimo-attempt";
/// Where a participant that asks for the verdict finds it, on first operations.
pub const INQUIRE: &str = "unanimo-inquire";
/// The outcome in a participant's own words.
pub const OUTCOME: &str = "unanimo-outcome";
/// `true` or `false`, to clients: whether every branch has acknowledged the verdict.
pub const FINISHED: &str = "unanimo-finished";
/// To participants `<transaction>/<branch>/<operation>`; from clients their own key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The trace that a request belongs to, and its step in it, as W3C trace context has them.
pub const TRACEPARENT: &str = "traceparent";
/// What other members of a trace say about it.
pub const TRACESTATE: &str = "tracestate";
/// The prefix of every header that is ours alone: stripped from what comes from outside.
pub const PREFIX: &str = "unanimo-";
