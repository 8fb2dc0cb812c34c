//! What people see of a transaction with secrets: everything but those.

use crate::open::Open;
use crate::plans::{Ready, ReadyRefused, ReadyResponse};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use unanimo_contract::{BranchIndex, Cause, ClientAnswer, Digest, Plan, RenderedCall, Verdict};
use unanimo_expression::{Document, MASK, Reference};

/// What a client was told under this plan and verdict, as others may see it.
pub fn shown_answer(
    plan: &Plan,
    verdict: Option<Verdict>,
    cause: Option<Cause>,
    answer: ClientAnswer,
) -> ClientAnswer {
    if plan.secret.is_empty() {
        return answer;
    }
    match Ready::new(Arc::new(plan.clone()), Digest([0; 16]), Bytes::new()) {
        Ok(ready) => ready.masked_answer(verdict, cause, answer),
        Err(_) => ClientAnswer { headers: Vec::new(), body: Bytes::from_static(MASK.as_bytes()), ..answer },
    }
}

impl Ready {
    fn is_secret(&self, named: &Reference) -> bool {
        self.secrets.iter().any(|secret| secret.touches(named))
    }

    /// The body of a branch's answer as it may be shown: where some of it is secret and it is not JSON, nothing of it.
    pub(crate) fn masked_body(&self, branch: BranchIndex, body: &Bytes) -> Bytes {
        let name = self.branches.get(branch.at()).map(|branch| &*branch.name);
        let hidden = || {
            self.secrets.iter().filter_map(|secret| match secret {
                Reference::BranchResponse { branch, path } if Some(branch.as_str()) == name => {
                    Some(path.as_slice())
                }
                _ => None,
            })
        };
        if hidden().next().is_none() {
            return body.clone();
        }
        let document = Document::parse(body.clone());
        document.map_or(Bytes::from_static(MASK.as_bytes()), |document| document.mask(hidden()))
    }

    /// What a client was told under this verdict, as others may see it.
    pub(crate) fn masked_answer(
        &self,
        verdict: Option<Verdict>,
        cause: Option<Cause>,
        answer: ClientAnswer,
    ) -> ClientAnswer {
        if !self.seals() {
            return answer;
        }
        match (verdict, cause, &self.refused, &self.respond) {
            (Some(Verdict::Commit), None, _, Some(response)) => self.masked_response(response, answer),
            (Some(Verdict::Rollback), Some(Cause::Refused(_)), Some(ReadyRefused::Respond(response)), _) => {
                self.masked_response(response, answer)
            }
            (Some(Verdict::Rollback), Some(Cause::Refused(branch)), Some(ReadyRefused::PassOn), _) => {
                ClientAnswer { body: self.masked_body(branch, &answer.body), ..answer }
            }
            _ => answer,
        }
    }

    fn masked_response(&self, response: &ReadyResponse, answer: ClientAnswer) -> ClientAnswer {
        let is_secret = |named: &Reference| self.is_secret(named);
        let header = |(name, value): (String, String)| {
            let of_template = response.headers.iter().filter(|(known, _)| *known == name);
            let hides = of_template.flat_map(|(_, template)| template.references()).any(is_secret);
            (name, if hides { MASK.to_owned() } else { value })
        };
        let body = response.body.as_ref().map(|template| template.mask(&answer.body, is_secret));
        ClientAnswer {
            status: answer.status,
            headers: answer.headers.into_iter().map(header).collect(),
            body: body.unwrap_or_default(),
        }
    }
}

impl Open {
    /// The call of a branch as it may be shown.
    pub(crate) fn shown_call(&self, branch: BranchIndex) -> Cow<'_, RenderedCall> {
        let (call, ready) = (&self.calls[branch.at()], &self.ready.branches[branch.at()]);
        if !self.ready.seals() {
            return Cow::Borrowed(call);
        }
        let own = ready.compensate.as_ref().filter(|_| self.compensating.contains(branch));
        let template = own.unwrap_or(&ready.call);
        Cow::Owned(template.masked(call, |named| self.ready.is_secret(named)))
    }

    /// What the client is told, as others may see it.
    pub(crate) fn shown_answer(&self) -> Option<ClientAnswer> {
        let answer = self.client_answer()?;
        // A heuristic end is told in words of our own.
        let cause = self.core.cause();
        let verdict = self.verdict().filter(|_| self.core.heuristic().is_none());
        Some(self.ready.masked_answer(verdict, cause, answer))
    }
}
