//! Whether a submission becomes a transaction, and what its client hears where it doesn't.

use crate::action::{Entropy, Now, WaiterId};
use crate::keys::{Found, shard_of};
use crate::open::{Asked, Open, Waiter};
use crate::owner::Owner;
use crate::plans::Ready;
use crate::render;
use crate::turned::{Told, Turned};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::transactions::status_address;
use unanimo_contract::{Id, Key, Problem, Reply, Shard, Submission, Token};
use unanimo_protocol::Transaction;

impl Owner {
    /// Turns a submission into an open transaction, or says why not.
    pub(crate) fn admit(
        &mut self,
        now: Now,
        submission: Submission,
        entropy: Entropy,
        waiter: WaiterId,
    ) -> Result<Id, Turned> {
        if let Some(key) = &submission.key {
            match self.keys.find(key, now.unix_ms, |id| self.open.contains_key(&id)) {
                Found::New => {}
                Found::Known(id) => return Err(self.seen_before(id)),
                Found::Reused => {
                    return Err(Told::away(Problem::KeyReused, "another request came with this key").into());
                }
            }
        }
        if !self.accepting {
            let detail = "the gateway is starting, ending, or has lost its journal; try again";
            return Err(Told::away(Problem::NotReady, detail).into());
        }
        let ready = self.plans.get_or_make(submission.digest, &submission.plan).map_err(|error| {
            Told::away(Problem::Internal, &format!("the route's plan cannot be run: {error}"))
        })?;
        if ready.seals() && self.config.keyring.is_none() {
            let detail = "the route has secrets, and there is no key that seals them";
            return Err(Told::away(Problem::Internal, detail).into());
        }
        let services = ready.branches.iter().map(|branch| &branch.service);
        if let Some(why) = self.load.too_much(self.config.open_limit, services) {
            return Err(Told::away(Problem::Overloaded, &why).into());
        }
        let deadline = ready.outline.deadline();
        if let Some(wait) = self.paces.too_long(ready.digest, deadline, now.time) {
            let detail = format!(
                "those before it are answered so slowly that it would wait for {} ms; try again in a moment",
                wait.as_millis()
            );
            return Err(Told::away(Problem::Overloaded, &detail).into());
        }
        let id = self.mint(submission.key.as_ref(), entropy);
        let mut submission = submission;
        if ready.keeps_request {
            // A copy of its own: the slice would keep a whole buffer of the connection for as long as this lasts.
            submission.request.body = Bytes::copy_from_slice(&submission.request.body);
        }
        let rendered = render::first_wave(&ready, id, &submission.request)?;
        let answer_by = now.time + Duration::from_millis(ready.plan.answer_timeout_ms);
        let plan = ready.digest;
        let mut open = opened(now, id, ready, submission, rendered);
        open.token = Token(entropy.token);
        open.waiter = Some(Waiter { id: waiter, answer_by });
        if let Some(key) = &open.key {
            self.keys.insert(key, id, self.config.keys.until(now.unix_ms));
            self.keys.sweep(now.unix_ms, |id| self.open.contains_key(&id));
        }
        self.open.insert(id, Box::new(open));
        self.load.admitted();
        self.paces.joined(plan, now.time);
        self.share.joined(now.time);
        Ok(id)
    }

    /// What a client hears whose key stands for this transaction.
    fn seen_before(&self, id: Id) -> Turned {
        if let Some(finished) = self.memory.get(id) {
            return Told::known(id, true, finished.client_answer(id, &self.config)).into();
        }
        let Some(open) = self.open.get(&id) else { return Turned::Recall(id) };
        match open.client_answer() {
            Some(answer) => Told::known(id, false, answer).into(),
            None => {
                let detail = "the first request with this key has not been decided yet";
                let answer = Problem::InProgress.answer_for(Some(id), None, detail);
                let answer = answer.with_header("retry-after", "1");
                let answer = answer.with_header("location", status_address(id, open.token));
                let reply = Reply { transaction: Some(id), finished: Some(false), answer };
                Told { problem: Some(Problem::InProgress), reply: Box::new(reply) }.into()
            }
        }
    }

    fn mint(&mut self, key: Option<&Key>, entropy: Entropy) -> Id {
        let shard = match key {
            Some(key) => shard_of(key),
            None => {
                self.next_shard = (self.next_shard + 1) % self.config.shards.len().max(1);
                self.config.shards.get(self.next_shard).copied().unwrap_or(Shard(0))
            }
        };
        let counter = self.counters.entry(shard).or_default();
        *counter += 1;
        Id::new(self.config.node, shard, self.config.epoch, *counter, entropy.random)
    }
}

fn opened(now: Now, id: Id, ready: Arc<Ready>, submission: Submission, rendered: render::Rendered) -> Open {
    let Submission { request, credentials, key, respond_async, trace, .. } = submission;
    let core = Transaction::new(id, ready.outline.clone(), key.is_some(), now.time);
    let mut open = Open::new(core, ready, key);
    open.began_unix_ms = now.unix_ms;
    open.trace = trace;
    let first = open.ready.outline.rendered(1);
    open.set_calls(first, rendered.calls);
    open.asked = open.ready.keeps_request.then(|| Box::new(Asked { request, document: rendered.document }));
    open.credentials = credentials;
    open.respond_async = respond_async;
    open
}
