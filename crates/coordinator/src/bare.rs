//! What a plan sends, without a transaction around it: for measurements of what a transaction adds.

use crate::plans::Ready;
use crate::{InvalidPlan, render, span};
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::trace::{Trace, TraceContext};
use unanimo_contract::{
    BranchIndex, Calls, Id, Operation, ParticipantCall, Plan, Reply, Submission, Verdict,
};
use unanimo_protocol::Call;

/// A plan whose calls can be rendered.
#[derive(Debug)]
pub struct Bare(Ready);

/// The rendered calls of one submission.
#[derive(Debug)]
pub struct BareCalls {
    id: Id,
    calls: Calls,
    trace: TraceContext,
}

impl Bare {
    /// Parses every expression once, as a transaction's plan is parsed.
    pub fn new(plan: &Arc<Plan>) -> Result<Bare, InvalidPlan> {
        let stored = plan.encode();
        Ready::new(plan.clone(), Plan::digest_of(&stored), stored).map(Bare)
    }

    /// Renders what a transaction with this id would send. The error is what the client would be told.
    pub fn render(&self, id: Id, submission: Submission) -> Result<BareCalls, Reply> {
        let rendered = render::first_wave(&self.0, id, &submission.request).map_err(|told| *told.reply)?;
        let own_trace = || TraceContext { trace: Trace::of_transaction(id), state: None };
        Ok(BareCalls { id, calls: rendered.calls, trace: submission.trace.unwrap_or_else(own_trace) })
    }

    /// The first operation of every branch.
    pub fn first(&self, calls: &BareCalls) -> impl Iterator<Item = ParticipantCall> {
        let deadline = Some(self.0.outline.deadline());
        self.all(calls, self.0.outline.mode().first(), deadline)
    }

    /// The commit of every branch, or what the mode calls it.
    pub fn commit(&self, calls: &BareCalls) -> impl Iterator<Item = ParticipantCall> {
        self.all(calls, self.0.outline.mode().telling(Verdict::Commit), None)
    }

    fn all(
        &self,
        calls: &BareCalls,
        operation: Operation,
        remaining: Option<Duration>,
    ) -> impl Iterator<Item = ParticipantCall> {
        (0..).map(BranchIndex).zip(&self.0.branches).map(move |(branch, ready)| {
            let rendered = &calls.calls.branches[branch.at()];
            let call = Call { branch, operation, attempt: 1 };
            ParticipantCall {
                transaction: calls.id,
                branch,
                name: ready.name.clone(),
                service: ready.service.clone(),
                operation,
                attempt: 1,
                conflicts: 0,
                remaining,
                timeout: ready.timeout,
                step: ready.step,
                unfenced: ready.unfenced,
                method: rendered.method.clone().unwrap_or(Method::POST),
                path: rendered.path_of(operation),
                headers: rendered.headers.clone(),
                body: rendered.body.clone(),
                trace: calls.trace.clone(),
                span: span::of_call(calls.id, calls.id.epoch(), call),
                credentials: Arc::default(),
                asks: false,
            }
        })
    }
}
