//! One step: decide what waits, send what is due, answer who waits, and set the timer.

use crate::action::{Action, Append, Notice, Now};
use crate::finished::Finished;
use crate::open::Open;
use crate::owner::Owner;
use crate::view::heard;
use crate::{span, timeline};
use http::Method;
use std::sync::Arc;
use unanimo_contract::trace::{Span, Trace};
use unanimo_contract::{BranchIndex, Id, ParticipantCall, TraceContext};
use unanimo_protocol::{Call, Durability, Event, Record, Settled};

impl Owner {
    /// Brings a transaction as far as it can get now.
    pub(crate) fn drive(&mut self, now: Now, id: Id) {
        if self.poisoned {
            return;
        }
        let leaving = self.leaving;
        while let Some(event) = self.open.get_mut(&id).and_then(|open| open.next_event(now.time, leaving)) {
            self.decide(now, id, &event);
        }
        self.send_due(now, id);
        self.reply_if_due(now, id);
        self.end_if_finished(id);
        let stuck_after = self.config.retry.stuck_after;
        if let Some(open) = self.open.get_mut(&id) {
            let wake = open.wake(stuck_after);
            self.timers.set(id, &mut open.timer, wake);
        }
    }

    /// One decision. Volatile records apply at once; any other makes the whole decision wait for the journal.
    fn decide(&mut self, now: Now, id: Id, event: &Event) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let records = open.core.decide(event, &**open);
        let unrendered = open.unrendered.take();
        if records.iter().any(|record| record.durability() != Durability::Volatile) {
            open.under_way = true;
            let begins = records.iter().any(|record| matches!(record, Record::Begun(_)));
            let plan = begins.then(|| (open.ready.digest, open.ready.stored.clone()));
            let records = self.sealed(id, records);
            self.actions.push_back(Action::Append(Append { transaction: id, plan, records }));
        } else {
            for record in records {
                let Ok(settled) = Settled::volatile(record) else {
                    unreachable!("{id}: a record that the journal must settle was taken for a volatile one")
                };
                self.apply(now, id, settled);
            }
        }
        for what in unrendered {
            self.actions.push_back(Action::Notice { transaction: id, notice: Notice::Unrendered { what } });
        }
    }

    /// Applies a settled record to the core, and notes it around the core.
    pub(crate) fn apply(&mut self, now: Now, id: Id, record: Settled) {
        self.note_applied(now, id, record.record());
        let open = self.open.get(&id);
        let moment = open.and_then(|open| timeline::moment(open, record.record(), Some(now.unix_ms)));
        self.with(id, |open| {
            open.core.apply(record);
            if open.bound_at.is_none() && open.core.is_past_return() {
                open.bound_at = Some(now.time);
            }
        });
        if let Some(moment) = moment {
            self.note_moment(id, moment);
        }
    }

    /// Sends what the state owes the world, as far as pauses and budgets allow.
    fn send_due(&mut self, now: Now, id: Id) {
        let Some(open) = self.open.get(&id).filter(|open| !open.under_way) else { return };
        let due: Vec<Call> = open.core.due().collect();
        for call in due {
            if self.may_leave(now, id, call) {
                let event = Event::Sending { branch: call.branch, operation: call.operation };
                self.decide(now, id, &event);
                self.send(now, id, call);
            }
        }
    }

    /// Whether a call may leave now. A retry needs its pause behind it, and a token of its service's budget; the first
    /// call of this process needs neither. What nobody waits for needs the right to go before those that somebody does.
    fn may_leave(&mut self, now: Now, id: Id, call: Call) -> bool {
        let retry = self.config.retry;
        let Some(open) = self.open.get_mut(&id) else { return false };
        let unwaited = open.is_unwaited(call.branch);
        let service = &open.ready.branches[call.branch.at()].service;
        let side = &mut open.branches[call.branch.at()];
        if side.holds || side.queues {
            return false;
        }
        if side.sent > 0 {
            if side.retry_at > now.time {
                return false;
            }
            if !side.has_token && !self.budgets.take(service, (id, call.branch), now.time, &retry) {
                side.holds = true;
                self.tally.retries_held += 1;
                return false;
            }
            side.has_token = true;
        }
        if unwaited && !side.has_right && !self.share.take(service, (id, call.branch), now.time) {
            side.queues = true;
            return false;
        }
        if side.sent == 0 {
            self.budgets.note_first_call(service, now.time, &retry);
        }
        (side.has_token, side.has_right) = (false, false);
        true
    }

    fn send(&mut self, now: Now, id: Id, call: Call) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if open.is_unwaited(call.branch) {
            let service = &open.ready.branches[call.branch.at()].service;
            self.share.left(service, (id, call.branch, call.operation));
            self.tally.unwaited += 1;
        } else {
            self.share.note_other();
        }
        if open.waiter.is_some() {
            self.share.moved(now.time);
        }
        open.branches[call.branch.at()].sent += 1;
        let span = span::of_call(id, self.config.epoch, call);
        let call = participant_call(open, now, call, span);
        self.tally.calls += 1;
        self.tally.retries += u64::from(call.attempt > 1);
        self.actions.push_back(Action::Call(Box::new(call)));
    }

    /// Lets calls leave that have waited for others, as far as they may now.
    pub(crate) fn serve_waiting(&mut self, now: Now) {
        self.serve_budgets(now);
        self.serve_share(now);
    }

    /// Gives recovery the right to the calls that it may send now.
    pub(crate) fn serve_share(&mut self, now: Now) {
        while let Some((id, branch)) = self.share.next_ready(now.time) {
            if let Some(open) = self.open.get_mut(&id) {
                let side = &mut open.branches[branch.at()];
                (side.queues, side.has_right) = (false, true);
            }
            self.drive(now, id);
        }
    }

    /// Gives tokens to the retries that wait for one, in their order.
    fn serve_budgets(&mut self, now: Now) {
        let retry = self.config.retry;
        while let Some((service, id, branch)) = self.budgets.next_ready(now.time, &retry) {
            let mut needed = false;
            if let Some(open) = self.open.get_mut(&id) {
                needed = !open.under_way && open.core.due().any(|call| call.branch == branch);
                let side = &mut open.branches[branch.at()];
                side.holds = false;
                side.has_token = needed;
            }
            if !needed {
                self.budgets.give_back(&service, now.time, &retry);
            }
            self.drive(now, id);
        }
    }

    /// Moves a transaction that has ended to what is remembered.
    pub(crate) fn end_if_finished(&mut self, id: Id) {
        if !self.open.get(&id).is_some_and(|open| open.core.is_finished() && open.waiter.is_none()) {
            return;
        }
        let Some(mut open) = self.open.remove(&id) else { return };
        self.timers.set(id, &mut open.timer, None);
        // What was never written is not remembered either: unknown means rolled back.
        if let Some(finished) = Finished::of(&open).filter(|_| open.core.is_written()) {
            self.memory.insert(id, open.batch, finished);
            let heard = open.core.indices().map(|branch| heard(&open, branch)).collect();
            let timeline = std::mem::take(&mut open.timeline);
            self.actions.push_back(Action::Ended { transaction: id, timeline, heard });
        }
        self.note_recovered(&open);
    }

    /// A branch keeps its transaction from ending: the operators are told of the first one.
    pub(crate) fn note_stuck(&mut self, now: Now, id: Id, branch: BranchIndex) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if std::mem::replace(&mut open.stuck, true) {
            return;
        }
        let notice = Notice::Stuck { branch: open.ready.branches[branch.at()].name.to_string() };
        self.actions.push_back(Action::Notice { transaction: id, notice });
        self.note_stuck_moment(now, id, branch);
    }

    fn note_recovered(&mut self, open: &Open) {
        if !open.recovered {
            return;
        }
        self.tally.recovering = self.tally.recovering.saturating_sub(1);
        if self.tally.recovering == 0 {
            self.actions.push_back(Action::Notice { transaction: open.core.id(), notice: Notice::Recovered });
        }
    }
}

/// The call as it leaves: the rendered bytes, with what is known only now.
fn participant_call(open: &Open, now: Now, call: Call, span: Span) -> ParticipantCall {
    let at = call.branch.at();
    let ready = &open.ready.branches[at];
    let rendered = &open.calls[at];
    let first = open.core.verdict().is_none();
    let carries_credentials = first && ready.carries_credentials;
    let own_trace = || TraceContext { trace: Trace::of_transaction(open.core.id()), state: None };
    ParticipantCall {
        transaction: open.core.id(),
        branch: call.branch,
        name: ready.name.clone(),
        service: ready.service.clone(),
        operation: call.operation,
        attempt: call.attempt,
        conflicts: open.branches[at].conflicts,
        remaining: open.core.wake().filter(|_| first).map(|deadline| deadline.since(now.time)),
        timeout: ready.timeout,
        step: ready.step,
        unfenced: ready.unfenced,
        method: rendered.method.clone().unwrap_or(Method::POST),
        path: rendered.path_of(call.operation),
        headers: rendered.headers.clone(),
        body: rendered.body.clone(),
        credentials: if carries_credentials { open.credentials.clone() } else { Arc::default() },
        trace: open.trace.clone().unwrap_or_else(own_trace),
        span,
        asks: ready.asks && first,
    }
}
