//! Calls to participants: as they are rendered and stored, as they are sent, and what comes back.

use crate::trace::{Span, TraceContext};
use crate::{BranchIndex, Id, Operation, Reading};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
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
}

/// One branch's call. Every operation of the branch carries the same headers and body, byte for byte, so that nothing
/// that has left is ever rendered again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedCall {
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
const PATH: u8 = 1;
const OWN_PATH_OPERATION: u8 = 2;
const OWN_PATH: u8 = 3;
const HEADER_NAME: u8 = 4;
const HEADER_VALUE: u8 = 5;
const BODY: u8 = 6;

impl Calls {
    /// The calls as they are stored.
    pub fn encode(&self) -> Bytes {
        Calls::encode_each(self.branches.iter(), self.trace.as_ref())
    }

    /// The same of calls that stand elsewhere, without a copy of them.
    pub fn encode_each<'a>(
        calls: impl Iterator<Item = &'a RenderedCall> + Clone,
        trace: Option<&TraceContext>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    #[test]
    fn calls_come_back() {
        let debit = RenderedCall {
            path: "/debits".into(),
            paths: vec![("commit".into(), "/done".into())],
            headers: [("x-tenant".into(), "a".into()), ("x-empty".into(), String::new())].into(),
            body: Bytes::from_static(b"{\"amount\":10.10}"),
        };
        let trace = TraceContext { trace: Trace::new(7), state: Some("a=1".into()) };
        for trace in [None, Some(trace)] {
            let calls = Calls { branches: vec![debit.clone(), RenderedCall::default()], trace };
            assert_eq!(Calls::decode(calls.encode()), Ok(calls));
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
