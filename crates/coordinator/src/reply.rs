//! When a waiter is answered, and with what. Never a guess.

use crate::open::Open;
use crate::{Action, Now, Owner};
use std::sync::Arc;
use unanimo_contract::{AnswerAt, Reply, Severed, Verdict};
use unanimo_protocol::planted::{Mistake, planted};

/// What the waiter is told now; `None` where it is better to wait.
pub(crate) fn due(open: &Open, now: Now, leaving: bool) -> Option<Result<Reply, Severed>> {
    let late = open.waiter?.answer_by <= now.time;
    let ready = match open.verdict() {
        // Not known to be durable: the connection is closed only if the disk never answers.
        _ if !open.core.has_begun() => late,
        None => (late || leaving || open.respond_async) && may_promise(open),
        Some(Verdict::Commit) if open.ready.plan.answer_at == AnswerAt::Verdict => true,
        Some(Verdict::Commit) => {
            late || leaving || open.core.is_finished() || open.core.heuristic().is_some()
        }
        Some(Verdict::Rollback) => true,
    };
    ready.then(|| known(open))
}

/// Whether a client may be told where the answer will be: a crash does not forget it.
fn may_promise(open: &Open) -> bool {
    open.core.is_written() || planted(Mistake::PromisesUnwritten)
}

/// All that is known now, and nothing that is not.
pub(crate) fn known(open: &Open) -> Result<Reply, Severed> {
    if !may_promise(open) && open.verdict().is_none() {
        return Err(Severed);
    }
    let (transaction, finished) = (open.core.id(), open.core.is_finished());
    Ok(match open.client_answer() {
        Some(answer) => Reply { transaction: Some(transaction), finished: Some(finished), answer },
        None => Reply::accepted(transaction, open.token),
    })
}

impl Owner {
    /// Answers a transaction's waiter, if there is one and the time has come.
    pub(crate) fn reply_if_due(&mut self, now: Now, id: unanimo_contract::Id) {
        let leaving = self.leaving;
        let Some(open) = self.open.get_mut(&id) else { return };
        let Some(reply) = due(open, now, leaving) else { return };
        if let Some(waiter) = open.waiter.take() {
            // A client's identity travels while its request lives.
            open.credentials = Arc::default();
            self.share.parted();
            self.paces.answered(open.ready.digest, now.time);
            self.actions.push_back(Action::Reply { waiter: waiter.id, reply: Box::new(reply) });
        }
    }
}
