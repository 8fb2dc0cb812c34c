//! The seam between whoever has a request and whoever drives its transaction.

use crate::{ClientAnswer, Digest, Id, Inquiry, Key, Plan, State, Token, TraceContext, Verdict};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use unanimo_protocol::fields::{self, Malformed};

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
    /// The trace that the client named; where it named none, the transaction's id names one.
    pub trace: Option<TraceContext>,
}

/// The parts of a request that expressions may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

const METHOD: u8 = 1;
const PATH: u8 = 2;
const PARAMETER: u8 = 3;
const QUERY: u8 = 4;
const HEADER: u8 = 5;
const VALUE: u8 = 6;
const BODY: u8 = 7;

impl Request {
    /// The request as it is stored.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(128 + self.body.len());
        fields::put_bytes(&mut out, METHOD, self.method.as_bytes());
        fields::put_bytes(&mut out, PATH, self.path.as_bytes());
        let named = [(PARAMETER, &self.parameters), (QUERY, &self.query), (HEADER, &self.headers)];
        for (kind, pairs) in named {
            for (name, value) in pairs {
                fields::put_bytes(&mut out, kind, name.as_bytes());
                fields::put_bytes(&mut out, VALUE, value.as_bytes());
            }
        }
        fields::put_bytes(&mut out, BODY, &self.body);
        Bytes::from(out)
    }

    /// Reads a stored request. The body is a slice of what was stored.
    pub fn decode(stored: Bytes) -> Result<Request, Malformed> {
        let mut request = Request::default();
        let mut last = None;
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                METHOD => field.text()?.clone_into(&mut request.method),
                PATH => field.text()?.clone_into(&mut request.path),
                kind @ (PARAMETER | QUERY | HEADER) => last = Some((kind, field.text()?.to_owned())),
                VALUE => {
                    let (kind, name) = last.take().ok_or(Malformed::BadValue(VALUE))?;
                    let pairs = match kind {
                        PARAMETER => &mut request.parameters,
                        QUERY => &mut request.query,
                        _ => &mut request.headers,
                    };
                    pairs.push((name, field.text()?.to_owned()));
                }
                BODY => request.body = field.value,
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        Ok(request)
    }
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

/// Nobody can answer now: whoever could is ending, or has more to do than may wait. Try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

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
    /// The status as JSON text. The answer's body stands in it byte for byte where it is JSON, so that money keeps
    /// its digits, else as text.
    pub fn to_json(&self) -> String {
        let answer = self.answer.as_ref().map(|answer| {
            let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let headers = headers.collect::<BTreeMap<_, _>>();
            format!(
                r#"{{"status":{},"headers":{},"body":{}}}"#,
                answer.status,
                json!(headers),
                as_json(&answer.body)
            )
        });
        format!(
            r#"{{"transaction":"{}","state":"{}","verdict":{},"finished":{},"heuristic":{},"answer":{}}}"#,
            self.transaction,
            self.state.as_str(),
            Verdict::number(self.verdict),
            self.finished,
            self.heuristic,
            answer.as_deref().unwrap_or("null"),
        )
    }
}

/// The bytes themselves where they are JSON, else a JSON string of them.
fn as_json(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(IgnoredAny) => text,
        Err(_) => Cow::Owned(Value::from(text).to_string()),
    }
}

/// Reaches transactions from the worker that has the request. Local: its futures stay on their thread.
pub trait Transactions: Clone + 'static {
    /// Begins a transaction and waits for what the client is to be told.
    ///
    /// Dropping the future stops nothing: after its beginning a transaction belongs to its shard.
    fn submit(&self, submission: Submission) -> impl Future<Output = Result<Reply, Severed>>;

    /// What the holder of the token may know; `None` where the id is not known or the token does not fit.
    fn status(
        &self,
        transaction: Id,
        token: Token,
    ) -> impl Future<Output = Result<Option<Status>, Unavailable>>;

    /// What a participant is told that has prepared and asks for the verdict.
    fn inquire(&self, transaction: Id) -> impl Future<Output = Inquiry>;

    /// Whether transactions can be begun now.
    fn is_ready(&self) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(answer: Option<ClientAnswer>) -> Status {
        let (state, verdict) = (State::Committed, Some(Verdict::Commit));
        Status { transaction: Id::from_bits(7), state, verdict, finished: true, heuristic: false, answer }
    }

    #[test]
    fn a_status_keeps_the_digits_of_its_answer() {
        let answer = ClientAnswer::json(201, r#"{ "amount": 12345678901234567890.10 }"#);
        let text = status(Some(answer.with_header("x-a", "\"b\""))).to_json();
        assert!(text.contains(r#""body":{ "amount": 12345678901234567890.10 }"#), "{text}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["verdict"], &read["answer"]["status"]), (&json!(1), &json!(201)));
        assert_eq!(read["answer"]["headers"], json!({ "content-type": "application/json", "x-a": "\"b\"" }));
    }

    #[test]
    fn a_body_that_is_no_json_is_shown_as_text() {
        for (body, shown) in [("", json!("")), ("a \"b\"}", json!("a \"b\"}")), ("{}{}", json!("{}{}"))] {
            let answer = ClientAnswer { status: 200, headers: Vec::new(), body: body.into() };
            let read: Value = serde_json::from_str(&status(Some(answer)).to_json()).unwrap();
            assert_eq!(read["answer"]["body"], shown);
        }
        let read: Value = serde_json::from_str(&status(None).to_json()).unwrap();
        assert_eq!(read["answer"], Value::Null);
    }
}
