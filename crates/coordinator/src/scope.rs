//! Where expressions find their values: in the request, the transaction, and the branches' answers.

use crate::open::Open;
use std::borrow::Cow;
use std::collections::BTreeMap;
use unanimo_contract::{Id, Request};
use unanimo_expression::{Document, Reason, Reference, Scope, Value};

/// What the calls of the first wave may name: the request and the transaction's id.
pub(crate) struct RequestScope<'a> {
    pub(crate) id: Id,
    /// Nothing where nobody names a part of it.
    pub(crate) request: Option<&'a Request>,
    /// The body, where it is JSON and somebody names it.
    pub(crate) document: Option<&'a Document>,
}

/// What calls of later waves, `respond` and `refused` may name: the same, and the branches' answers.
pub(crate) struct AnswerScope<'a> {
    request: RequestScope<'a>,
    answers: BTreeMap<&'a str, Result<Document, Reason>>,
}

impl Scope for RequestScope<'_> {
    fn value(&self, reference: &Reference) -> Result<Value<'_>, Reason> {
        let text = |text: &'_ str| Value::Text(Cow::Owned(text.to_owned()));
        let named = |pairs: &[(String, String)], name: &str| {
            pairs.iter().find(|(known, _)| known == name).map(|(_, value)| text(value)).ok_or(Reason::Missing)
        };
        match reference {
            Reference::RequestBody(path) => {
                let document = self.document.ok_or(Reason::NotJson)?;
                document.get(path).map(|token| Value::Json(Cow::Borrowed(token)))
            }
            Reference::RequestHeader(name) => named(&self.asked()?.headers, name),
            Reference::RequestQuery(name) => named(&self.asked()?.query, name),
            Reference::RequestParameter(name) => named(&self.asked()?.parameters, name),
            Reference::RequestMethod => Ok(text(&self.asked()?.method)),
            Reference::RequestPath => Ok(text(&self.asked()?.path)),
            Reference::TransactionId => Ok(Value::Text(Cow::Owned(self.id.to_string()))),
            Reference::BranchResponse { .. } => Err(Reason::Missing),
        }
    }
}

impl RequestScope<'_> {
    fn asked(&self) -> Result<&Request, Reason> {
        self.request.ok_or(Reason::Missing)
    }
}

impl<'a> AnswerScope<'a> {
    /// The scope of an answer that names these references. Only the answers that it names are parsed.
    pub(crate) fn new(open: &'a Open, references: impl Iterator<Item = &'a Reference>) -> AnswerScope<'a> {
        let mut answers = BTreeMap::new();
        for reference in references {
            if let Reference::BranchResponse { branch, .. } = reference {
                answers.entry(branch.as_str()).or_insert_with(|| document_of(open, branch));
            }
        }
        let request = open.asked.as_ref().map(|asked| &asked.request);
        let document = open.asked.as_ref().and_then(|asked| asked.document.as_ref());
        AnswerScope { request: RequestScope { id: open.core.id(), request, document }, answers }
    }

    /// The same where nobody has answered.
    pub(crate) fn without_answers(self) -> RequestScope<'a> {
        self.request
    }
}

impl Scope for AnswerScope<'_> {
    fn value(&self, reference: &Reference) -> Result<Value<'_>, Reason> {
        let Reference::BranchResponse { branch, path } = reference else {
            return self.request.value(reference);
        };
        let document = self.answers.get(branch.as_str()).ok_or(Reason::Missing)?.as_ref();
        document.map_err(|reason| *reason)?.get(path).map(|token| Value::Json(Cow::Borrowed(token)))
    }
}

/// The answer of a branch to its first operation, where it is JSON.
fn document_of(open: &Open, branch: &str) -> Result<Document, Reason> {
    let at = open.ready.branches.iter().position(|ready| &*ready.name == branch);
    let vote = at.and_then(|at| open.branches[at].vote.as_ref()).ok_or(Reason::Missing)?;
    let nothing_kept = if vote.status.is_some() { Reason::TooLong } else { Reason::Missing };
    Document::parse(vote.body.clone().ok_or(nothing_kept)?).map_err(|_| Reason::NotJson)
}
