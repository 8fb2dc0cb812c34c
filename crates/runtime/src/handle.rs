//! The runtime from any thread: what operators ask, and how the process ends.

use crate::history::History;
use crate::mailbox::{Mail, Slot, ask};
use crate::signal::News;
use crate::start;
use crate::stream::{Stream, Watcher};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;
use unanimo_contract::operations::{Position, Refusal, Resolve, Resolved};
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{Detail, Filter, Id, Listed, Operations, Page, Retried, Unavailable};
use unanimo_coordinator::{Plans, Retry, Tally};
use unanimo_journal::{Journal, Poison};

/// Reaches every worker. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) slots: Vec<Slot>,
    pub(crate) journal: Journal,
    pub(crate) news: News,
    pub(crate) stream: Stream,
    pub(crate) history: History,
}

impl Handle {
    /// The counts of all workers; those that do not answer are left out.
    pub async fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for slot in &self.slots {
            if let Some(tally) = ask(slot, Mail::Tally).await {
                sum.add(&tally);
            }
        }
        sum
    }

    /// The mailbox of the worker that owns this transaction, if anybody does: one of a restored journal too.
    fn slot(&self, id: Id) -> &Slot {
        &self.slots[id.shard().worker(self.slots.len())]
    }

    /// Waits until every worker has done what it was asked before, and has answered: as long as one hangs, for ever.
    pub async fn pulse(&self) {
        for slot in &self.slots {
            let (reply, answer) = oneshot::channel();
            // A mailbox that is full is waited for; a worker that has ended is not.
            if slot.send(Mail::Tally(reply)).await.is_ok() {
                let _ = answer.await;
            }
        }
    }

    /// What is kept of finished transactions.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The journal, to read its counters and to close it.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Waits until the journal has failed: then the process must end.
    pub async fn poisoned(&self) -> Poison {
        let mut news = self.news.poison();
        loop {
            if let Some(poison) = news.borrow_and_update().clone() {
                return poison;
            }
            if news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// From now on this is configured: a transaction that is open goes on under its plan. `None` where a worker has
    /// too much to do, or is gone; then some have changed, and others have not: try again.
    pub async fn change(
        &self,
        open_limit: usize,
        retry: Retry,
        plans: Plans,
        keyring: Option<Arc<Keyring>>,
    ) -> Option<()> {
        self.history.counters().set_keyring(keyring.clone());
        let change = start::share(open_limit, retry, plans, keyring, self.slots.len());
        for slot in &self.slots {
            ask(slot, |done| Mail::Change(Box::new(change.clone()), done)).await?;
        }
        Some(())
    }

    /// The services that open transactions name, and how many of them name each. `None` where a worker does not answer.
    pub async fn services(&self) -> Option<BTreeMap<Arc<str>, usize>> {
        let mut sum = BTreeMap::new();
        for slot in &self.slots {
            for (service, transactions) in ask(slot, Mail::Services).await? {
                *sum.entry(service).or_default() += transactions;
            }
        }
        Some(sum)
    }

    /// Tells every waiter where its answer will be, and takes nothing new: the process is about to end.
    pub async fn leave(&self) {
        for slot in &self.slots {
            // A worker that is gone has nobody waiting.
            let _ = slot.send(Mail::Leave).await;
        }
    }
}

impl Operations for Handle {
    type Watch = Watcher;

    async fn get(&self, id: Id) -> Result<Option<Detail>, Unavailable> {
        match ask(self.slot(id), |reply| Mail::Detail(id, reply)).await.ok_or(Unavailable)? {
            // Until history has it, an owner remembers no more than its end.
            Some(detail) if !detail.view.state.is_finished() => Ok(Some(detail)),
            ended => Ok(self.history.get(id).await?.or(ended)),
        }
    }

    async fn list(&self, filter: Filter, page: Page) -> Result<Listed, Unavailable> {
        let page = Page { limit: page.limit.clamp(1, Page::LIMIT), ..page };
        let mut parts = Vec::new();
        for slot in &self.slots {
            let part = ask(slot, |reply| Mail::List(filter.clone(), page, reply)).await.ok_or(Unavailable)?;
            parts.push(part);
        }
        parts.push(self.history.list(filter, page).await?);
        Ok(Listed::merged(parts, page.limit))
    }

    fn watch(&self, from: Option<Position>) -> Option<Watcher> {
        self.stream.watch(from)
    }

    async fn retry(&self, id: Id) -> Result<Option<Retried>, Unavailable> {
        ask(self.slot(id), |reply| Mail::Retry(id, reply)).await.ok_or(Unavailable)
    }

    async fn resolve(
        &self,
        id: Id,
        resolve: Resolve,
    ) -> Result<Option<Result<Resolved, Refusal>>, Unavailable> {
        ask(self.slot(id), |reply| Mail::Resolve(id, resolve, reply)).await.ok_or(Unavailable)
    }
}
