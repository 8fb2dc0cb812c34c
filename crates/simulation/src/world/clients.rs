//! What clients do: ask, wait, lose their connection, come back with their key, and compare.

use super::{Event, Phase, World};
use crate::oracle::Heard;
use crate::scenario::Errand;
use std::time::Duration;
use unanimo_contract::{Id, Reply, Request, Severed, Submission, Token};
use unanimo_coordinator::{Entropy, WaiterId, shard_of};

/// How much longer than its route's `answer_timeout` a waiter may wait: the process may stand still for a while.
const SLACK: Duration = Duration::from_secs(5);

/// A client with its errand.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) errand: Errand,
    curiosity: u32,
    /// Whether it has not yet come to its end. Invariant: then something is to come that concerns it.
    pub(super) busy: bool,
}

impl Client {
    pub(super) fn new(errand: Errand) -> Client {
        Client { curiosity: errand.curiosity, busy: true, errand }
    }
}

impl World {
    /// A client asks, with its key where it has one.
    pub(super) fn ask(&mut self, client: usize) {
        let Some(gateway) = &mut self.gateway else { return self.ask_later(client) };
        let errand = &self.clients[client].errand;
        let route = &self.scenario.routes[errand.route];
        let answer_by = self.now + Duration::from_millis(route.plan.answer_timeout_ms) + SLACK;
        let workers = gateway.workers.len();
        let worker = match &errand.key {
            Some(key) => shard_of(key).worker(workers),
            None => self.dice.below(workers as u64) as usize,
        };
        let submission = Submission {
            plan: route.plan.clone(),
            digest: route.digest,
            request: Request { method: "POST".into(), body: errand.body.clone(), ..Request::default() },
            credentials: self.credentials.clone(),
            key: errand.key,
            respond_async: errand.respond_async,
            trace: None,
        };
        let entropy = Entropy { token: self.dice.bits(), random: self.dice.bits() as u32 };
        self.oracle.submitted(errand, &submission.plan, entropy);
        self.numbers += 1;
        let waiter = WaiterId(self.numbers);
        self.waiters.insert(waiter, (client, answer_by));
        self.trace.note("ask", &[client as u64, waiter.0], || format!("client {client}"));
        let now = gateway.now(self.now);
        gateway.workers[worker].owner.submit(now, submission, entropy, waiter);
        self.pump(worker);
    }

    /// The gateway answers a waiter.
    pub(super) fn reply(&mut self, waiter: WaiterId, reply: Result<Reply, Severed>) {
        let Some((client, answer_by)) = self.waiters.remove(&waiter) else {
            return self.oracle.blame(format!("waiter {} was answered twice", waiter.0));
        };
        let Some(gateway) = &self.gateway else { return };
        let errand = &self.clients[client].errand;
        if self.now > answer_by {
            self.oracle.blame(format!("client {client} waited longer than it had to"));
        }
        let durable = gateway.journal.watermark();
        let heard = reply
            .as_ref()
            .ok()
            .map(|r| self.oracle.replied(self.now, r, errand, durable, &self.participants));
        if reply.is_err() {
            self.oracle.severed();
        }
        let status = reply.as_ref().map_or(0, |reply| reply.answer.status);
        self.trace.note("reply", &[client as u64, u64::from(status)], || {
            let body = reply.as_ref().map(|reply| String::from_utf8_lossy(&reply.answer.body));
            format!("client {client}: {status}, {heard:?} {body:?}")
        });
        // Where nothing began nothing is lost: whoever has no key would give up, and nothing would ever begin.
        let lost = self.dice.chance(self.weather.lost_replies);
        let heard = heard.filter(|heard| !lost || *heard == Heard::AskAgain);
        let at = self.now + self.dice.micros(50, 5_000);
        self.queue.push(at, Event::Hear(client, heard));
    }

    /// A client hears its answer, or has lost its connection.
    pub(super) fn hear(&mut self, client: usize, heard: Option<Heard>) {
        let keyed = self.clients[client].errand.key.is_some();
        match heard {
            Some(Heard::AskAgain) => self.ask_later(client),
            Some(Heard::LookAt(id, token)) => self.look_later(client, id, token),
            Some(Heard::TurnedAway) => self.clients[client].busy = false,
            // Without a key nobody knows whether asking again would do it twice.
            None if !keyed => self.clients[client].busy = false,
            None => self.ask_later(client),
            Some(Heard::Ended) => {
                let curious = keyed && self.phase != Phase::LastLook && self.clients[client].curiosity > 0;
                if curious {
                    self.clients[client].curiosity -= 1;
                    self.ask_later(client);
                } else {
                    self.clients[client].busy = false;
                }
            }
        }
    }

    /// A client looks at the status address that it was given.
    pub(super) fn look(&mut self, client: usize, id: Id, token: Token) {
        let Some(gateway) = &self.gateway else { return self.look_later(client, id, token) };
        let status = gateway.workers[gateway.worker_of(id)].owner.status(id, token);
        let status = status.or_else(|| self.history.status(id, token));
        let durable = gateway.journal.watermark();
        self.trace.note("look", &[client as u64], || format!("client {client}: {status:?}"));
        self.oracle.showed(id, status.as_ref(), durable, &self.participants);
        match status {
            Some(status) if status.verdict.is_none() => self.look_later(client, id, token),
            Some(_) if self.clients[client].errand.key.is_some() => self.ask_later(client),
            _ => self.clients[client].busy = false,
        }
    }

    fn ask_later(&mut self, client: usize) {
        let after = self.dice.micros(10_000, 2_000_000);
        self.queue.push(self.now + after, Event::Ask(client));
    }

    fn look_later(&mut self, client: usize, id: Id, token: Token) {
        let after = self.dice.micros(10_000, 1_000_000);
        self.queue.push(self.now + after, Event::Look(client, id, token));
    }
}
