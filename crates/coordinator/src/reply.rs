//! When a waiter is answered, and with what. Never a guess.

use crate::open::Open;
use crate::{Action, Now, Owner};
use unanimo_contract::{Reply, Severed, Verdict};

/// What can be told now; `None` where it is better to wait.
pub(crate) fn due(open: &Open, now: Now, leaving: bool) -> Option<Result<Reply, Severed>> {
    let waiter = open.waiter?;
    let late = waiter.answer_by <= now.time;
    if !open.core.has_begun() {
        // Not known to be durable: nothing can be promised. The connection is closed only if the disk never answers.
        return (late && open.under_way).then_some(Err(Severed));
    }
    let finished = open.core.is_finished();
    let told = match open.verdict() {
        Some(Verdict::Rollback) => true,
        Some(Verdict::Commit) => finished || late || open.core.heuristic().is_some(),
        None => false,
    };
    if told && let Some(answer) = open.client_answer() {
        return Some(Ok(Reply { transaction: Some(open.core.id()), finished: Some(finished), answer }));
    }
    let anyway = late || leaving || open.respond_async;
    anyway.then(|| Ok(Reply::accepted(open.core.id(), open.token)))
}

impl Owner {
    /// Answers a transaction's waiter, if there is one and the time has come.
    pub(crate) fn reply_if_due(&mut self, now: Now, id: unanimo_contract::Id) {
        let leaving = self.leaving;
        let Some(open) = self.open.get_mut(&id) else { return };
        let Some(reply) = due(open, now, leaving) else { return };
        if let Some(waiter) = open.waiter.take() {
            self.actions.push_back(Action::Reply { waiter: waiter.id, reply: Box::new(reply) });
        }
    }
}
