//! The same calls without a transaction: what all-or-nothing is measured against.
//!
//! It renders the same bodies, sends them by the same participants and connections in the same order (first operations
//! side by side, then the commits side by side, then the answer), and keeps no promise: nothing is decided, written,
//! repeated or undone.

use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use unanimo_contract::{
    ClientAnswer, Digest, Epoch, Id, Inquiry, Node, Outcome, ParticipantCall, Problem, Reply, Severed, Shard,
    Status, Submission, Token, Transactions, Unavailable, Verdict,
};
use unanimo_coordinator::bare::Bare;
use unanimo_participants::{Http, Participant};

/// A worker's fan-out. `T` has the worker's seat, so that the rest of the process finds it where it looks for it.
#[derive(Clone)]
pub struct FanOut<T> {
    seated: T,
    inner: Rc<Inner>,
}

struct Inner {
    participants: Http,
    plans: RefCell<BTreeMap<Digest, Rc<Bare>>>,
    counter: Cell<u64>,
}

impl<T> FanOut<T> {
    pub fn new(seated: T, participants: Http) -> FanOut<T> {
        let inner = Inner { participants, plans: RefCell::default(), counter: Cell::new(0) };
        FanOut { seated, inner: Rc::new(inner) }
    }
}

impl Inner {
    async fn send(&self, submission: Submission) -> Reply {
        let plan = match self.plan(&submission) {
            Ok(plan) => plan,
            Err(error) => return Reply::not_begun(Problem::Internal.answer(&error.to_string())),
        };
        self.counter.set(self.counter.get() + 1);
        let id = Id::new(Node(0), Shard(0), Epoch(1), self.counter.get(), 0);
        let calls = match plan.render(id, submission) {
            Ok(calls) => calls,
            Err(reply) => return reply,
        };
        if !self.all_done(plan.first(&calls)).await || !self.all_done(plan.commit(&calls)).await {
            return Reply::not_begun(Problem::BadGateway.answer("a service did not do its share"));
        }
        let body = json!({
            "transaction": id.to_string(),
            "verdict": Verdict::number(Some(Verdict::Commit)),
        });
        let answer = ClientAnswer::json(200, body.to_string());
        Reply { transaction: Some(id), finished: Some(true), answer }
    }

    fn plan(&self, submission: &Submission) -> Result<Rc<Bare>, unanimo_coordinator::InvalidPlan> {
        let mut plans = self.plans.borrow_mut();
        if let Some(plan) = plans.get(&submission.digest) {
            return Ok(plan.clone());
        }
        let plan = Rc::new(Bare::new(&submission.plan)?);
        plans.insert(submission.digest, plan.clone());
        Ok(plan)
    }

    /// Sends the calls side by side, in one task, and says whether every service has done its share.
    async fn all_done(&self, calls: impl Iterator<Item = ParticipantCall>) -> bool {
        let exchange = |call| async move { self.participants.call(&call).await.reading.outcome };
        let mut waiting: Vec<Pin<Box<_>>> = calls.map(exchange).map(Box::pin).collect();
        let mut all_done = true;
        poll_fn(|cx| {
            waiting.retain_mut(|exchange| match exchange.as_mut().poll(cx) {
                Poll::Ready(outcome) => {
                    all_done &= outcome == Outcome::Done;
                    false
                }
                Poll::Pending => true,
            });
            if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        all_done
    }
}

impl<T: Transactions> Transactions for FanOut<T> {
    async fn submit(&self, submission: Submission) -> Result<Reply, Severed> {
        Ok(self.inner.send(submission).await)
    }

    async fn status(&self, transaction: Id, token: Token) -> Result<Option<Status>, Unavailable> {
        self.seated.status(transaction, token).await
    }

    async fn inquire(&self, transaction: Id) -> Inquiry {
        self.seated.inquire(transaction).await
    }

    fn is_ready(&self) -> bool {
        self.seated.is_ready()
    }
}
