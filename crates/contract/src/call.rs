//! Calls to participants: as they are rendered and stored, as they are sent, and what comes back.

use crate::trace::{Span, TraceContext};
use crate::{Asked, BranchIndex, Id, Operation, Outcome, Reading, Request, Step};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;
use std::time::Duration;
use unanimo_protocol::fields::{self, Malformed};

/// Rendered calls of a transaction: wave by wave, and within a wave in the order of its branches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// In the order of the branches.
    pub branches: Vec<RenderedCall>,
    /// The client's trace, where it named one: later calls belong to it too, also after a crash.
    pub trace: Option<TraceContext>,
    /// What is named of the request after a crash, where that can be: in a saga, which may go on.
    pub request: Option<Request>,
}

/// One branch's call. Every operation of the branch carries the same headers and body, byte for byte, so that nothing
/// that has left is ever rendered again; but for a saga's compensation that is described as a call of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedCall {
    /// The method; POST where there is none.
    pub method: Option<Method>,
    /// The path to which `/<operation>` is added.
    pub path: String,
    /// Paths of operations that do not follow that rule.
    pub paths: Vec<(String, String)>,
    /// Header names (lower case) and values.
    pub headers: Arc<[(String, String)]>,
    /// The body; empty where the branch has none.
    pub body: Bytes,
}

const CALL: u8 = 1;
const TRACE: u8 = 2;
const REQUEST: u8 = 3;
const PATH: u8 = 1;
const OWN_PATH_OPERATION: u8 = 2;
const OWN_PATH: u8 = 3;
const HEADER_NAME: u8 = 4;
const HEADER_VALUE: u8 = 5;
const BODY: u8 = 6;
const METHOD: u8 = 7;

impl Calls {
    /// The calls as they are stored.
    pub fn encode(&self) -> Bytes {
        Calls::encode_each(self.branches.iter(), self.trace.as_ref(), self.request.as_ref())
    }

    /// The same of calls that stand elsewhere, without a copy of them.
    pub fn encode_each<'a>(
        calls: impl Iterator<Item = &'a RenderedCall> + Clone,
        trace: Option<&TraceContext>,
        request: Option<&Request>,
    ) -> Bytes {
        let size = calls.clone().map(|call| call.size() + 32).sum();
        let mut out = Vec::with_capacity(size);
        let mut one = Vec::new();
        for call in calls {
            one.clear();
            call.encode_into(&mut one);
            fields::put_bytes(&mut out, CALL, &one);
        }
        if let Some(trace) = trace {
            fields::put_bytes(&mut out, TRACE, &trace.encode());
        }
        if let Some(request) = request {
            fields::put_bytes(&mut out, REQUEST, &request.encode());
        }
        Bytes::from(out)
    }

    /// Reads stored calls. Bodies are slices of what was stored.
    pub fn decode(stored: Bytes) -> Result<Calls, Malformed> {
        let mut calls = Calls::default();
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                CALL => calls.branches.push(RenderedCall::decode(field.value)?),
                TRACE => calls.trace = Some(TraceContext::decode(field.value)?),
                REQUEST => calls.request = Some(Request::decode(field.value)?),
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        Ok(calls)
    }

    /// How many bytes all calls have together.
    pub fn size(&self) -> usize {
        self.branches.iter().map(RenderedCall::size).sum()
    }
}

impl RenderedCall {
    /// A call that cannot be sent: whoever owes it is stuck, and a person has to look.
    pub fn unsendable(operation: Operation) -> RenderedCall {
        let nowhere = (operation.as_str().to_owned(), String::new());
        RenderedCall { paths: vec![nowhere], ..RenderedCall::default() }
    }

    /// How many bytes of path, headers and body it has.
    pub fn size(&self) -> usize {
        let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(a, b)| a.len() + b.len()).sum::<usize>();
        self.path.len() + pairs(&self.paths) + pairs(&self.headers) + self.body.len()
    }

    /// The path of an operation.
    pub fn path_of(&self, operation: Operation) -> String {
        match self.paths.iter().find(|(word, _)| word == operation.as_str()) {
            Some((_, path)) => path.clone(),
            None => [self.path.as_str(), "/", operation.as_str()].concat(),
        }
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        if let Some(method) = &self.method {
            fields::put_bytes(out, METHOD, method.as_str().as_bytes());
        }
        fields::put_bytes(out, PATH, self.path.as_bytes());
        for (operation, path) in &self.paths {
            fields::put_bytes(out, OWN_PATH_OPERATION, operation.as_bytes());
            fields::put_bytes(out, OWN_PATH, path.as_bytes());
        }
        for (name, value) in self.headers.iter() {
            fields::put_bytes(out, HEADER_NAME, name.as_bytes());
            fields::put_bytes(out, HEADER_VALUE, value.as_bytes());
        }
        fields::put_bytes(out, BODY, &self.body);
    }

    fn decode(stored: Bytes) -> Result<RenderedCall, Malformed> {
        let (mut call, mut headers) = (RenderedCall::default(), Vec::new());
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                PATH => field.text()?.clone_into(&mut call.path),
                OWN_PATH_OPERATION => call.paths.push((field.text()?.to_owned(), String::new())),
                OWN_PATH => set_last(&mut call.paths, &field)?,
                HEADER_NAME => headers.push((field.text()?.to_owned(), String::new())),
                HEADER_VALUE => set_last(&mut headers, &field)?,
                BODY => call.body = field.value,
                METHOD => {
                    let method = Method::from_bytes(&field.value).map_err(|_| Malformed::BadValue(METHOD))?;
                    call.method = Some(method);
                }
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        call.headers = if headers.is_empty() { Arc::default() } else { headers.into() };
        Ok(call)
    }
}

/// Gives the last name its value: a value without a name before it is malformed.
fn set_last(pairs: &mut [(String, String)], field: &fields::Field) -> Result<(), Malformed> {
    let (_, value) = pairs.last_mut().ok_or(Malformed::BadValue(field.number))?;
    field.text()?.clone_into(value);
    Ok(())
}

/// A call that is to leave now.
#[derive(Clone, Debug)]
pub struct ParticipantCall {
    /// The transaction.
    pub transaction: Id,
    /// The branch's place in its plan.
    pub branch: BranchIndex,
    /// The branch's name.
    pub name: Arc<str>,
    /// The service that carries the branch.
    pub service: Arc<str>,
    /// What is asked.
    pub operation: Operation,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How many earlier attempts after the first were answered with 409.
    pub conflicts: u32,
    /// What is left until the transaction's deadline, for first operations.
    pub remaining: Option<Duration>,
    /// How long this call may take.
    pub timeout: Duration,
    /// What the branch is to a saga.
    pub step: Step,
    /// Whether the service keeps none of a participant's duties.
    pub unfenced: bool,
    /// The method.
    pub method: Method,
    /// The operation's path.
    pub path: String,
    /// Header names (lower case) and values.
    pub headers: Arc<[(String, String)]>,
    /// The body; empty where the branch has none.
    pub body: Bytes,
    /// The client's own credentials, on first operations only. Never journaled.
    pub credentials: Arc<[(HeaderName, HeaderValue)]>,
    /// The trace that it belongs to.
    pub trace: TraceContext,
    /// Which step of the trace it is: no other call is the same.
    pub span: Span,
    /// Whether the participant asks for the verdict, and is told where.
    pub asks: bool,
}

impl ParticipantCall {
    /// What was asked, as the rules of outcomes see it.
    pub fn asked(&self) -> Asked {
        let ParticipantCall { operation, attempt, conflicts, step, unfenced, .. } = *self;
        Asked { operation, attempt, conflicts, step, unfenced }
    }
}

/// What came back from a participant, or did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub reading: Reading,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// The media type of the body, where one was given.
    pub content_type: Option<String>,
    /// The body; `None` where it was longer than [`crate::plan::ANSWER_LIMIT`], or there was no answer.
    pub body: Option<Bytes>,
}

const ANSWER_STATUS: u8 = 1;
const ANSWER_TYPE: u8 = 2;
const ANSWER_BODY: u8 = 3;

impl Answer {
    /// The answer of who has acted, as it is stored for those who name it later.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.body.as_ref().map_or(0, Bytes::len));
        if let Some(status) = self.status {
            fields::put_number(&mut out, ANSWER_STATUS, status.into());
        }
        if let Some(content_type) = &self.content_type {
            fields::put_bytes(&mut out, ANSWER_TYPE, content_type.as_bytes());
        }
        if let Some(body) = &self.body {
            fields::put_bytes(&mut out, ANSWER_BODY, body);
        }
        Bytes::from(out)
    }

    /// Reads what [`Answer::encode`] stored, for an action that was done.
    pub fn decode(stored: Bytes) -> Result<Answer, Malformed> {
        let reading = Reading::of(Outcome::Done);
        let mut answer = Answer { reading, status: None, content_type: None, body: None };
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                ANSWER_STATUS => answer.status = Some(field.small()?),
                ANSWER_TYPE => answer.content_type = Some(field.text()?.to_owned()),
                ANSWER_BODY => answer.body = Some(field.value),
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    #[test]
    fn calls_come_back() {
        let debit = RenderedCall {
            method: Some(Method::PUT),
            path: "/debits".into(),
            paths: vec![("commit".into(), "/done".into())],
            headers: [("x-tenant".into(), "a".into()), ("x-empty".into(), String::new())].into(),
            body: Bytes::from_static(b"{\"amount\":10.10}"),
        };
        let trace = TraceContext { trace: Trace::new(7), state: Some("a=1".into()) };
        let pair = |name: &str| vec![(name.to_owned(), "v".to_owned())];
        let request = Request {
            method: "POST".into(),
            path: "/orders".into(),
            parameters: pair("p"),
            query: pair("q"),
            headers: pair("h"),
            body: Bytes::from_static(b"{}"),
        };
        for (trace, request) in [(None, None), (Some(trace), Some(request)), (None, Some(Request::default()))]
        {
            let calls = Calls { branches: vec![debit.clone(), RenderedCall::default()], trace, request };
            assert_eq!(Calls::decode(calls.encode()), Ok(calls));
        }
    }

    #[test]
    fn an_answer_comes_back() {
        let reading = Reading::of(Outcome::Done);
        let nothing = Answer { reading, status: None, content_type: None, body: None };
        let whole = Answer {
            status: Some(201),
            content_type: Some("application/json".into()),
            body: Some(Bytes::from_static(b"{}")),
            ..nothing.clone()
        };
        for answer in [nothing, whole] {
            assert_eq!(Answer::decode(answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn an_operation_follows_the_rule_or_its_own_path() {
        let paths = vec![("commit".to_owned(), "/done".to_owned())];
        let call = RenderedCall { path: "/debits".into(), paths, ..RenderedCall::default() };
        assert_eq!(call.path_of(Operation::Prepare), "/debits/prepare");
        assert_eq!(call.path_of(Operation::Commit), "/done");
    }
}
