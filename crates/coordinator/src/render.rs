//! How a plan meets a request: the calls before anything begins, and the client's answer under the verdict.

use crate::open::Open;
use crate::plans::{Ready, ReadyBranch, ReadyRefused, ReadyResponse};
use crate::scope::{AnswerScope, RequestScope};
use crate::turned::Turned;
use bytes::Bytes;
use unanimo_contract::plan::{CALL_LIMIT, CALLS_LIMIT, RESPONSE_LIMIT};
use unanimo_contract::{Calls, ClientAnswer, Id, Problem, RenderedCall, Request, Verdict};
use unanimo_expression::{Document, Scope, Unrenderable};
use unanimo_protocol::{Begun, BranchIndex, Cause, Progress, Render};

/// The calls of the first wave, and the request's body where it was read as JSON.
pub(crate) struct Rendered {
    pub(crate) calls: Calls,
    pub(crate) document: Option<Document>,
}

/// Renders the first wave. What the request lacks is told to the client before anything begins.
pub(crate) fn first_wave(ready: &Ready, id: Id, request: &Request) -> Result<Rendered, Turned> {
    let document = match ready.names_body {
        true => Some(Document::parse(request.body.clone()).map_err(|error| {
            let detail = format!(
                "the body is not JSON: line {}, column {}: {}",
                error.line, error.column, error.message
            );
            Turned::away(Problem::Unrenderable, &detail)
        })?),
        false => None,
    };
    let scope = RequestScope { id, request, document: document.as_ref() };
    let mut calls = Vec::with_capacity(ready.branches.len());
    for branch in &ready.branches {
        let call = render_call(branch, &scope).map_err(|error| {
            let detail = format!("branch {}: {error}", branch.name);
            Turned::at_branch(Problem::Unrenderable, &branch.name, &detail)
        })?;
        if call.size() > CALL_LIMIT {
            let detail = format!(
                "the call of branch {} would have {} bytes, of {CALL_LIMIT}",
                branch.name,
                call.size()
            );
            return Err(Turned::at_branch(Problem::TooLarge, &branch.name, &detail));
        }
        calls.push(call);
    }
    let calls = Calls { branches: calls, trace: None };
    if calls.size() > CALLS_LIMIT {
        let detail = format!("the calls together would have {} bytes, of {CALLS_LIMIT}", calls.size());
        return Err(Turned::away(Problem::TooLarge, &detail));
    }
    Ok(Rendered { calls, document })
}

fn render_call(branch: &ReadyBranch, scope: &dyn Scope) -> Result<RenderedCall, Unrenderable> {
    let mut body = Vec::new();
    if let Some(template) = &branch.body {
        template.render(scope, &mut body)?;
    }
    let paths = branch.paths.iter().map(|(word, path)| Ok((word.clone(), path.render_path(scope)?)));
    let headers = branch.headers.iter().map(|(name, value)| Ok((name.clone(), value.render_header(scope)?)));
    Ok(RenderedCall {
        path: branch.path.render_path(scope)?,
        paths: paths.collect::<Result<_, _>>()?,
        headers: headers.collect::<Result<_, _>>()?,
        body: Bytes::from(body),
    })
}

impl Render for Open {
    fn begun(&self) -> Begun {
        Begun {
            token: self.token,
            plan: self.ready.digest,
            key: self.key,
            deadline: self.ready.outline.deadline(),
            began_unix_ms: self.began_unix_ms,
            calls: self.calls.encode(),
        }
    }

    fn answer(&self, verdict: Verdict, cause: Option<Cause>) -> Bytes {
        let answer = match (verdict, cause) {
            (Verdict::Commit, _) => self.committed(),
            (Verdict::Rollback, Some(Cause::Refused(branch))) => self.refused(branch),
            (Verdict::Rollback, Some(Cause::Deadline)) => self.too_late(),
            (Verdict::Rollback, Some(Cause::Interrupted) | None) => {
                let detail =
                    "the gateway restarted before it had decided, and rolled back; try again with a new key";
                Problem::Interrupted.answer_for(Some(self.core.id()), None, detail)
            }
        };
        answer.encode()
    }
}

impl Open {
    fn committed(&self) -> ClientAnswer {
        if let Some(response) = &self.ready.respond {
            return self.respond(response);
        }
        let body = serde_json::json!({
            "transaction": self.core.id().to_string(),
            "verdict": Verdict::number(Some(Verdict::Commit)),
        });
        ClientAnswer::json(200, body.to_string())
    }

    fn refused(&self, branch: BranchIndex) -> ClientAnswer {
        let name = &self.ready.branches[branch.at()].name;
        let vote = self.branches[branch.at()].vote.as_ref();
        match (&self.ready.refused, vote) {
            (Some(ReadyRefused::Respond(response)), _) => self.respond(response),
            (Some(ReadyRefused::PassOn), Some(vote)) if vote.body.is_some() => ClientAnswer {
                // A refusal in the participant's own word may come with any status: success is not passed on.
                status: vote.status.filter(|status| (400..500).contains(status)).unwrap_or(409),
                headers: vote
                    .content_type
                    .iter()
                    .map(|text| ("content-type".to_owned(), text.clone()))
                    .collect(),
                body: vote.body.clone().unwrap_or_default(),
            },
            (_, vote) => {
                let status =
                    vote.and_then(|vote| vote.status).map_or(String::new(), |status| format!(" ({status})"));
                let detail =
                    format!("branch {name} refused{status}, and what others have done is being undone");
                Problem::Refused.answer_for(Some(self.core.id()), Some(name), &detail)
            }
        }
    }

    fn too_late(&self) -> ClientAnswer {
        let asked = |branch: &BranchIndex| self.core.progress(*branch) == Some(Progress::Asked);
        let silent = self.core.indices().find(asked);
        let name = silent.map(|branch| &*self.ready.branches[branch.at()].name);
        let millis = self.ready.outline.deadline().as_millis();
        let detail = match name {
            Some(name) => {
                format!("branch {name} did not vote within {millis} ms, and everything is being rolled back")
            }
            None => format!("the votes took longer than {millis} ms, and everything is being rolled back"),
        };
        Problem::Deadline.answer_for(Some(self.core.id()), name, &detail)
    }

    /// Renders a route's own answer. What is missing is null, or a header left out; it never
    /// changes the verdict.
    fn respond(&self, response: &ReadyResponse) -> ClientAnswer {
        let scope = AnswerScope::new(self, response.references());
        let header =
            |(name, value): &(String, unanimo_expression::Template)| match value.render_header(&scope) {
                Ok(value) => Some((name.clone(), value)),
                Err(missing) => {
                    self.unrendered.borrow_mut().push(missing.to_string());
                    None
                }
            };
        let mut headers: Vec<_> = response.headers.iter().filter_map(header).collect();
        let mut body = Vec::new();
        if let Some(template) = &response.body {
            let missing = template.render_or_null(&scope, &mut body);
            self.unrendered.borrow_mut().extend(missing.iter().map(ToString::to_string));
            if body.len() > RESPONSE_LIMIT {
                self.unrendered
                    .borrow_mut()
                    .push(format!("a body of {} bytes, of {RESPONSE_LIMIT}", body.len()));
                body = b"null".to_vec();
            }
            if !headers.iter().any(|(name, _)| name == "content-type") {
                headers.push(("content-type".to_owned(), "application/json".to_owned()));
            }
        }
        ClientAnswer { status: response.status, headers, body: Bytes::from(body) }
    }
}
