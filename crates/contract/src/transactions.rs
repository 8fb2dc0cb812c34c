//! The seam between whoever has a request and whoever drives its transaction.

use crate::{ClientAnswer, Digest, Id, Key, Plan, State, Token, Verdict};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;

/// A request for a transaction.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The route's transaction.
    pub plan: Arc<Plan>,
    /// [`Plan::digest_of`] its encoding, made once with the route.
    pub digest: Digest,
    /// The parts of the request that expressions may name.
    pub request: Request,
    /// The client's credentials that the route lets travel on first operations.
    pub credentials: Arc<[(HeaderName, HeaderValue)]>,
    /// The idempotency key, where the client gave one.
    pub key: Option<Key>,
    /// Whether the client asked for 202 as soon as the beginning is durable.
    pub respond_async: bool,
}

/// The parts of a request that expressions may name.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The normalised path, without the query.
    pub path: String,
    /// Names and values of the route's path parameters, percent-decoded.
    pub parameters: Vec<(String, String)>,
    /// Names and values of the query, percent-decoded.
    pub query: Vec<(String, String)>,
    /// Header names (lower case) and values, where the value is text.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// What is to be told to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The transaction, where one was begun.
    pub transaction: Option<Id>,
    /// Whether every branch has acknowledged the verdict; `None` where nothing was begun.
    pub finished: Option<bool>,
    /// The answer.
    pub answer: ClientAnswer,
}

impl Reply {
    /// Nothing was begun.
    pub fn not_begun(answer: ClientAnswer) -> Reply {
        Reply { transaction: None, finished: None, answer }
    }

    /// The transaction stands, and its answer will be found at its status address.
    pub fn accepted(transaction: Id, token: Token) -> Reply {
        let location = status_address(transaction, token);
        let body = json!({ "transaction": transaction.to_string(), "verdict": Verdict::number(None), "status": location });
        let answer = ClientAnswer::json(202, body.to_string()).with_header("location", location);
        Reply { transaction: Some(transaction), finished: Some(false), answer }
    }
}

/// The public, read-only address of a transaction's status, on the listener that took the request.
pub fn status_address(transaction: Id, token: Token) -> String {
    format!("{STATUS_ADDRESS}{transaction}.{token}")
}

/// The prefix of [`status_address`].
pub const STATUS_ADDRESS: &str = "/transactions/";

/// Reads what follows [`STATUS_ADDRESS`].
pub fn parse_status_address(rest: &str) -> Option<(Id, Token)> {
    let (id, token) = rest.split_once('.')?;
    Some((id.parse().ok()?, token.parse().ok()?))
}

/// Nobody knows whether the transaction began: the connection is closed without an answer, since any would be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Severed;

/// What the holder of a transaction's token may know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The transaction.
    pub transaction: Id,
    /// Where it stands.
    pub state: State,
    /// The verdict, once there is one.
    pub verdict: Option<Verdict>,
    /// Whether every branch has acknowledged the verdict.
    pub finished: bool,
    /// Whether a branch ended against the verdict.
    pub heuristic: bool,
    /// What the client is told, once there is a verdict.
    pub answer: Option<ClientAnswer>,
}

impl Status {
    /// The status as JSON. The answer's body is shown as JSON where it is JSON, else as text.
    pub fn to_json(&self) -> Value {
        let answer = self.answer.as_ref().map(|answer| {
            let body = serde_json::from_slice::<Value>(&answer.body)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&answer.body).into_owned()));
            let headers =
                answer.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            json!({ "status": answer.status, "headers": Value::Object(headers.collect()), "body": body })
        });
        json!({
            "transaction": self.transaction.to_string(),
            "state": self.state.as_str(),
            "verdict": Verdict::number(self.verdict),
            "finished": self.finished,
            "heuristic": self.heuristic,
            "answer": answer,
        })
    }
}

/// Reaches transactions from the worker that has the request. Local: its futures stay on their thread.
pub trait Transactions: Clone + 'static {
    /// Begins a transaction and waits for what the client is to be told.
    ///
    /// Dropping the future stops nothing: after its beginning a transaction belongs to its shard.
    fn submit(&self, submission: Submission) -> impl Future<Output = Result<Reply, Severed>>;

    /// What the holder of the token may know; `None` where the id is not known or the token does not fit.
    fn status(&self, transaction: Id, token: Token) -> impl Future<Output = Option<Status>>;

    /// Whether transactions can be begun now.
    fn is_ready(&self) -> bool;
}
