//! How a plan meets a request: the calls before anything begins, and the client's answer under the verdict.

use crate::open::Open;
use crate::plans::{Ready, ReadyBranch, ReadyRefused, ReadyResponse};
use crate::scope::{AnswerScope, RequestScope};
use crate::turned::Told;
use bytes::Bytes;
use unanimo_contract::plan::{CALL_LIMIT, CALLS_LIMIT, RESPONSE_LIMIT};
use unanimo_contract::{Calls, ClientAnswer, Id, Operation, Problem, RenderedCall, Request, Verdict};
use unanimo_expression::{Document, Template, Unrenderable};
use unanimo_protocol::{Begun, BranchIndex, BranchSet, Cause, Durability, Progress, Render};

/// The calls of the first wave, and the request's body where it was read as JSON.
pub(crate) struct Rendered {
    pub(crate) calls: Calls,
    pub(crate) document: Option<Document>,
}

/// Renders the first wave. What the request lacks is told to the client before anything begins.
pub(crate) fn first_wave(ready: &Ready, id: Id, request: &Request) -> Result<Rendered, Told> {
    let document = match ready.names_body {
        true => Some(Document::parse(request.body.clone()).map_err(|error| {
            let detail = format!(
                "the body is not JSON: line {}, column {}: {}",
                error.line, error.column, error.message
            );
            Told::away(Problem::Unrenderable, &detail)
        })?),
        false => None,
    };
    let scope = RequestScope { id, request: Some(request), document: document.as_ref() };
    let first = ready.outline.waves().first().copied().unwrap_or_default();
    let mut calls = Vec::with_capacity(first.len());
    for branch in first.iter().map(|branch| &ready.branches[branch.at()]) {
        let call = branch.call.render(&scope).map_err(|error| unrenderable(branch, &error))?;
        check_call(branch, call.size()).map_err(|detail| too_large(branch, &detail))?;
        calls.push(call);
    }
    let calls = Calls { branches: calls, ..Calls::default() };
    let mut size = calls.size();
    for branch in ready.outline.waves().iter().skip(1).flat_map(|wave| wave.iter()) {
        let branch = &ready.branches[branch.at()];
        let least = branch.call.probe(&scope).map_err(|error| unrenderable(branch, &error))?;
        check_call(branch, least).map_err(|detail| too_large(branch, &detail))?;
        size += least;
    }
    for branch in &ready.branches {
        let Some(compensate) = &branch.compensate else { continue };
        // Without any answer it can be rendered, whatever comes: that is what compensates an unknown action.
        let call = compensate.render(&scope).map_err(|error| unrenderable(branch, &error))?;
        check_call(branch, call.size()).map_err(|detail| too_large(branch, &detail))?;
        size += call.size();
    }
    check_calls(size).map_err(|detail| Told::away(Problem::TooLarge, &detail))?;
    Ok(Rendered { calls, document })
}

fn unrenderable(branch: &ReadyBranch, error: &Unrenderable) -> Told {
    let detail = format!("branch {}: {error}", branch.name);
    Told::at_branch(Problem::Unrenderable, &branch.name, &detail)
}

fn too_large(branch: &ReadyBranch, detail: &str) -> Told {
    Told::at_branch(Problem::TooLarge, &branch.name, detail)
}

fn check_call(branch: &ReadyBranch, size: usize) -> Result<(), String> {
    let fits = size <= CALL_LIMIT;
    fits.then_some(())
        .ok_or_else(|| format!("the call of branch {} would have {size} bytes, of {CALL_LIMIT}", branch.name))
}

fn check_calls(size: usize) -> Result<(), String> {
    let fits = size <= CALLS_LIMIT;
    fits.then_some(()).ok_or_else(|| format!("the calls together would have {size} bytes, of {CALLS_LIMIT}"))
}

impl Render for Open {
    fn begun(&self, waves: u8, durability: Durability) -> Begun {
        let is_written = durability != Durability::Volatile;
        Begun {
            token: self.token,
            plan: self.ready.digest,
            key: self.key,
            deadline: self.ready.outline.deadline(),
            began_unix_ms: self.began_unix_ms,
            waves,
            calls: if is_written { self.stored_calls(waves) } else { Bytes::new() },
            durability,
        }
    }

    fn wave(&self, branches: BranchSet) -> Result<Bytes, BranchIndex> {
        self.later_wave(branches).map(|calls| calls.encode()).map_err(|unusable| unusable.branch)
    }

    fn answer(&self, verdict: Verdict, cause: Option<Cause>) -> Bytes {
        let answer = match (verdict, cause) {
            // Nobody remembers what was asked and answered.
            (Verdict::Commit, Some(Cause::ByHand)) => self.plainly_committed(),
            (Verdict::Commit, _) => self.committed(),
            (Verdict::Rollback, Some(Cause::Refused(branch))) => self.refused(branch),
            (Verdict::Rollback, Some(Cause::Deadline)) => self.too_late(),
            (Verdict::Rollback, Some(Cause::Unusable(branch))) => self.unusable(branch),
            (Verdict::Rollback, Some(Cause::Unanswered(branch))) => self.unanswered(branch),
            (Verdict::Rollback, Some(Cause::Unwritable)) => {
                let detail = "the journal's segments are too small for it; what was done is being undone";
                Problem::TooLarge.answer_for(Some(self.core.id()), None, detail)
            }
            (Verdict::Rollback, Some(Cause::ByHand)) => {
                let detail = "an operator rolled it back after a restore; try again with a new key";
                Problem::Interrupted.answer_for(Some(self.core.id()), None, detail)
            }
            (Verdict::Rollback, Some(Cause::Interrupted) | None) => {
                let detail =
                    "the gateway restarted before it had decided, and rolled back; try again with a new key";
                Problem::Interrupted.answer_for(Some(self.core.id()), None, detail)
            }
        };
        answer.encode()
    }

    fn word(&self) -> Bytes {
        self.word.clone()
    }

    fn kept(&self, branch: BranchIndex) -> Bytes {
        let is_named = self.ready.branches[branch.at()].is_named;
        let vote = self.branches[branch.at()].vote.as_ref().filter(|_| is_named);
        vote.map(|vote| vote.encode()).unwrap_or_default()
    }

    fn compensations(&self, branches: BranchSet) -> Bytes {
        let own = branches.iter().filter_map(|branch| self.compensation(branch));
        let calls: Vec<RenderedCall> = own.collect();
        if calls.is_empty() { Bytes::new() } else { Calls { branches: calls, ..Calls::default() }.encode() }
    }
}

/// An answer from which a later call could not be rendered.
struct Unusable {
    /// Whose answer it is; where that is not known, the branch whose call it is.
    branch: BranchIndex,
    detail: String,
}

impl Open {
    /// Renders the calls of a wave whose needs have all voted.
    fn later_wave(&self, wave: BranchSet) -> Result<Calls, Unusable> {
        let mut size: usize = self.calls.iter().map(RenderedCall::size).sum();
        let mut calls = Vec::with_capacity(wave.len());
        for at in wave.iter() {
            let branch = &self.ready.branches[at.at()];
            let scope = AnswerScope::new(self, branch.call.references());
            let call = branch.call.render(&scope).map_err(|error| Unusable {
                branch: self.whose(at, &error).unwrap_or(at),
                detail: format!("branch {}: {error}", branch.name),
            })?;
            size += call.size();
            check_call(branch, call.size())
                .and_then(|()| check_calls(size))
                .map_err(|detail| Unusable { branch: at, detail })?;
            calls.push(call);
        }
        Ok(Calls { branches: calls, ..Calls::default() })
    }

    /// The branch whose answer lacks what this call names, as far as the text of the expression tells.
    fn whose(&self, call: BranchIndex, error: &Unrenderable) -> Option<BranchIndex> {
        let needs = self.ready.outline.branches()[call.at()].needs;
        let begins = |at: &BranchIndex| {
            let rest = error.what.strip_prefix("branches.");
            let rest = rest.and_then(|rest| rest.strip_prefix(&*self.ready.branches[at.at()].name));
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        needs.iter().find(begins).or_else(|| needs.iter().next().filter(|_| needs.len() == 1))
    }

    /// The compensation of a branch, where it is a call of its own. An answer that breaks it is taken for none: so it could
    /// be rendered at the beginning.
    fn compensation(&self, branch: BranchIndex) -> Option<RenderedCall> {
        let compensate = self.ready.branches[branch.at()].compensate.as_ref()?;
        let scope = AnswerScope::new(self, compensate.references());
        let rendered = compensate.render(&scope).ok().filter(|call| call.size() <= CALL_LIMIT);
        let rendered = rendered.map_or_else(|| compensate.render(&scope.without_answers()), Ok);
        Some(rendered.unwrap_or_else(|error| {
            self.unrendered.borrow_mut().push(error.to_string());
            RenderedCall::unsendable(Operation::Compensate)
        }))
    }

    fn unanswered(&self, branch: BranchIndex) -> ClientAnswer {
        let name = &self.ready.branches[branch.at()].name;
        let detail =
            format!("branch {name} did not say whether it has acted; everything is being compensated");
        Problem::Unanswered.answer_for(Some(self.core.id()), Some(name), &detail)
    }

    fn unusable(&self, branch: BranchIndex) -> ClientAnswer {
        let name = &self.ready.branches[branch.at()].name;
        // Rendering is pure: the same wave fails again for the same reason.
        let wave = self.ready.outline.waves().get(usize::from(self.core.waves()));
        let why = wave.and_then(|wave| self.later_wave(*wave).err()).map(|unusable| unusable.detail);
        let detail = why.unwrap_or_else(|| "an answer could not be used".to_owned());
        let detail = format!("{detail}; what was done is being undone");
        Problem::UnusableAnswer.answer_for(Some(self.core.id()), Some(name), &detail)
    }

    fn committed(&self) -> ClientAnswer {
        if let Some(response) = &self.ready.respond {
            return self.respond(response);
        }
        self.plainly_committed()
    }

    /// What is told of a commit where the route says nothing of its own.
    fn plainly_committed(&self) -> ClientAnswer {
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
        let header = |(name, value): &(String, Template)| match value.render_header(&scope) {
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
