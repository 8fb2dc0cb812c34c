//! What happens to the gateway's process: starts, turns of its journal, timers, and ends of every kind.

use super::{Event, Phase, World};
use crate::Mistake;
use crate::gateway::{Boot, Gateway, NotStarted};
use crate::medium::Medium;
use crate::oracle::Stand;
use unanimo_coordinator::{Action, Append, Notice, Unwritten};
use unanimo_journal::simulated::Faults;
use unanimo_journal::{AppendError, Error, Progress, Turn};
use unanimo_protocol::{Record, Time};

/// What the wall clock shows at first, in milliseconds since 1970.
const WALL_MS: u64 = 1_800_000_000_000;

/// The wall clock jumps to this much before or after that: less than what would age segments.
const JUMP_MS: u64 = 10 * 3600 * 1000;

/// The most crashes of one storm. Beyond that it only blows.
const CRASHES: u64 = 10;

/// What an honest wall clock shows.
fn wall_ms(now: Time) -> u64 {
    WALL_MS + now.0 / 1000
}

impl World {
    pub(super) fn start(&mut self) {
        self.lives += 1;
        let (life, workers) = (self.lives, self.dice.pick([1, 2]));
        let jump =
            if self.dice.chance(self.weather.clock_jumps) { self.dice.below(2 * JUMP_MS) } else { JUMP_MS };
        let breaks = self.dice.chance(self.weather.broken_starts);
        let sync = if self.dice.chance(self.weather.failed_syncs) { 0.1 } else { 0.0 };
        let off_after = if breaks { Some(self.dice.below(20)) } else { self.cuts.next() };
        self.disk.set_faults(Faults { sync, off_after, space: self.disk_space, ..Faults::default() });
        let boot = Boot {
            life,
            at: self.now,
            unix_ms: wall_ms(self.now) + jump - JUMP_MS,
            workers,
            seed: self.dice.bits(),
            scenario: &self.scenario,
            history: &self.history,
            plans: &self.plans,
            medium: Medium { disk: self.disk.clone(), lies: self.mistake == Some(Mistake::SyncLies) },
        };
        let started = Gateway::start(boot, &mut self.oracle);
        self.cuts.note_disk(&self.disk);
        self.trace.note("start", &[u64::from(life), u64::from(started.is_ok())], || match &started {
            Ok(_) => format!("process {life} with {workers} workers"),
            Err(error) => format!("process {life} fails: {error}"),
        });
        match started {
            Ok(mut gateway) => {
                if gateway.found.torn.is_some() {
                    self.oracle.saw("torn tail");
                }
                if gateway.found.closed {
                    self.oracle.saw("closed in good order");
                }
                self.disk.set_faults(Faults::default());
                gateway.crashes_in = self.draw_crash();
                self.gateway = Some(gateway);
                self.look_at_history_later(life);
                self.see_what_came_back();
                (0..workers).for_each(|worker| self.pump(worker));
                self.wake_journal();
            }
            Err(NotStarted::Journal(Error::Io { .. })) if self.cuts.disk_is_off() => {
                self.cuts.reached = true;
            }
            Err(NotStarted::Journal(Error::Io { .. }))
                if breaks || sync > 0.0 || self.disk_space.is_some() =>
            {
                self.crashes += 1;
                self.oracle.saw("broken start");
                let power = breaks && self.dice.chance(500);
                self.reopen_disk(power);
                self.start_later();
            }
            Err(error) => self.oracle.blame(format!("the gateway does not start: {error}")),
        }
    }

    /// After how many steps a process crashes, if it does.
    fn draw_crash(&mut self) -> Option<u64> {
        let storm = self.phase == Phase::Storm && self.crashes < CRASHES;
        let soon = self.crashes < self.scenario.crashes_least;
        if !storm || !soon && (self.weather.gateway_crashes == 0 || !self.dice.chance(800)) {
            return None;
        }
        let steps = 2000 / u64::from(self.weather.gateway_crashes).max(2);
        Some(1 + self.dice.micros(1, steps.max(2)).as_micros() as u64)
    }

    fn see_what_came_back(&mut self) {
        let Some(gateway) = &self.gateway else { return };
        let known: Vec<_> = self.oracle.known().collect();
        for id in known {
            let view = gateway.workers[gateway.worker_of(id)].owner.view(id);
            self.oracle.viewed(id, view);
        }
    }

    /// The process ends against its will; with it the machine, where the power goes.
    pub(super) fn crash(&mut self, power: bool) {
        self.trace.note("crash", &[u64::from(power)], || if power { "power" } else { "process" }.to_owned());
        self.crashes += 1;
        self.gone(power);
    }

    /// The process ends by itself.
    pub(super) fn end(&mut self, life: u32) {
        if self.gateway.as_ref().is_none_or(|gateway| gateway.life != life) {
            return;
        }
        let poisoned = self.gateway.as_ref().is_some_and(|gateway| gateway.journal.poison().is_some());
        if poisoned {
            let power = self.weather.power_cuts > 0 && self.dice.chance(200);
            return self.crash(power);
        }
        self.trace.note("ends", &[], || "in good order".to_owned());
        if let Some(gateway) = self.gateway.take() {
            gateway.close(self.now);
        }
        self.gone(false);
    }

    fn gone(&mut self, power: bool) {
        self.gateway = None;
        self.history.crash();
        self.stands_still_until = self.now;
        self.exchanges.clear();
        for (client, _) in std::mem::take(&mut self.waiters).into_values() {
            let after = self.dice.micros(50, 100_000);
            self.queue.push(self.now + after, Event::Hear(client, None));
        }
        self.reopen_disk(power);
        self.start_later();
    }

    fn reopen_disk(&mut self, power: bool) {
        self.disk = if power { self.disk.crash() } else { self.disk.restart() };
    }

    fn start_later(&mut self) {
        let after = self.dice.micros(1_000, 1_000_000);
        self.queue.push(self.now + after, Event::Start);
    }

    /// After each step of the process: what the weather does to it.
    pub(super) fn misfortune(&mut self) {
        let Some(gateway) = &mut self.gateway else { return };
        let life = gateway.life;
        if let Some(steps) = &mut gateway.crashes_in {
            *steps -= 1;
            if *steps == 0 {
                let power = self.dice.chance(500);
                return self.crash(power);
            }
        }
        if self.dice.chance(self.weather.pauses) {
            self.stands_still_until = self.now + self.dice.micros(1_000, 2_000_000);
            let until = self.stands_still_until.0;
            self.oracle.saw("stood still");
            self.trace.note("stands still", &[until], || format!("until {until} µs"));
        }
        if self.dice.chance(self.weather.clock_jumps / 100) {
            gateway.unix_ms = wall_ms(gateway.booted) + self.dice.below(2 * JUMP_MS) - JUMP_MS;
            let unix_ms = gateway.unix_ms;
            self.oracle.saw("the wall clock jumped");
            self.trace.note("wall clock", &[unix_ms], || format!("jumps to {unix_ms} ms"));
        }
        if !gateway.ending && self.crashes < CRASHES && self.dice.chance(self.weather.orderly_ends) {
            gateway.ending = true;
            let now = gateway.now(self.now);
            gateway.workers.iter_mut().for_each(|worker| worker.owner.leave(now));
            let workers = gateway.workers.len();
            self.trace.note("leaves", &[], String::new);
            (0..workers).for_each(|worker| self.pump(worker));
            let after = self.dice.micros(1_000, 2_000_000);
            self.queue.push(self.now + after, Event::End(life));
        }
    }

    // ---- the journal's thread ----

    pub(super) fn turn(&mut self, life: u32, due: Time) {
        let Some(gateway) = self.gateway.as_mut().filter(|gateway| gateway.life == life) else { return };
        if gateway.turn_at != Some(due) {
            return;
        }
        let (dice, weather) = (&mut self.dice, &self.weather);
        let may_crash = self.crashes < CRASHES;
        let cut = (may_crash && dice.chance(weather.power_cuts)).then(|| dice.below(4));
        let write = if may_crash && dice.chance(weather.failed_writes) { 0.3 } else { 0.0 };
        let sync = if may_crash && dice.chance(weather.failed_syncs) { 0.5 } else { 0.0 };
        let slow = dice.chance(weather.slow_disk);
        let took = if slow { dice.micros(10_000, 2_000_000) } else { dice.micros(20, 2_000) };
        let off_after = cut.or(self.cuts.disk());
        self.disk.set_faults(Faults { write, sync, off_after, space: self.disk_space });
        let turn = gateway.committer.turn(gateway.journal_now(self.now));
        self.cuts.note_disk(&self.disk);
        self.disk.set_faults(Faults { space: self.disk_space, ..Faults::default() });
        gateway.idle = matches!(turn, Turn::Idle(_));
        gateway.turn_at = match &turn {
            Turn::Idle(until) => until.map(|until| self.now.max(gateway.booted + until.since(Time(0)))),
            Turn::Did(Some(Progress::Poisoned(_))) | Turn::Ended => None,
            Turn::Did(_) => Some(self.now + took),
        };
        if let Some(at) = gateway.turn_at {
            self.queue.push(at, Event::Turn(life, at));
        }
        if !gateway.idle {
            self.trace.note("turn", &[u64::from(life)], || format!("{turn:?}"));
        }
        let Turn::Did(Some(progress)) = turn else { return };
        self.has_synced = matches!(progress, Progress::Synced(_));
        if matches!(progress, Progress::Poisoned(_)) && self.cuts.disk_is_off() {
            self.cuts.reached = true;
            return;
        }
        if matches!(progress, Progress::Poisoned(_)) {
            self.oracle.saw(if cut.is_some() { "power cut in a write" } else { "poisoned" });
            if cut.is_some() {
                let power = self.dice.chance(700);
                return self.crash(power);
            }
            let after = self.dice.micros(1_000, 200_000);
            self.queue.push(self.now + took + after, Event::End(life));
        }
        for (number, worker) in gateway.workers.iter_mut().enumerate() {
            worker.told_at = worker.told_at.max(self.now + took + self.dice.micros(1, 100));
            self.queue.push(worker.told_at, Event::Told(life, number, progress.clone()));
        }
        if self.dice.chance(self.weather.full_disk) {
            self.disk_space = Some(self.disk.image().values().map(|bytes| bytes.len() as u64).sum());
            let after = self.dice.micros(100_000, 2_000_000);
            self.queue.push(self.now + after, Event::Room);
            self.oracle.saw("full disk");
            self.trace.note("disk is full", &[], String::new);
        }
    }

    /// Something was appended: a journal that only waits looks at it soon.
    pub(super) fn wake_journal(&mut self) {
        let Some(gateway) = self.gateway.as_mut().filter(|gateway| gateway.idle) else { return };
        let at = self.now + self.dice.micros(1, 50);
        if gateway.turn_at.is_none_or(|turn_at| turn_at > at) {
            gateway.turn_at = Some(at);
            self.queue.push(at, Event::Turn(gateway.life, at));
        }
    }

    /// A worker hears from the journal.
    pub(super) fn told(&mut self, life: u32, at: usize, progress: Progress) {
        let Some(gateway) = self.gateway.as_mut().filter(|gateway| gateway.life == life) else { return };
        let worker = &mut gateway.workers[at];
        match progress {
            Progress::Synced(_) => self.settle(at),
            Progress::Dropped { oldest } => {
                self.oracle.saw("dropped segment");
                self.trace.note("dropped", &[oldest.0], || format!("segments before {oldest}"));
            }
            Progress::Poisoned(_) => {
                worker.owner.poison();
                worker.poisoned = true;
            }
        }
        self.pump(at);
    }

    /// Gives a worker's owner what has become durable.
    fn settle(&mut self, at: usize) {
        let Some(gateway) = &mut self.gateway else { return };
        let (now, durable) = (gateway.now(self.now), gateway.journal.watermark());
        let worker = &mut gateway.workers[at];
        while worker.unsettled.front().is_some_and(|(_, first)| durable.covers(first.position())) {
            let Some((id, appended)) = worker.unsettled.pop_front() else { break };
            let batch = appended.position().number();
            if let Ok(settled) = appended.settle(durable).map_err(drop)
                && !worker.poisoned
            {
                self.oracle.applied(id, &settled);
                worker.owner.settled(now, id, settled, batch);
            }
        }
    }

    // ---- a worker ----

    pub(super) fn tick(&mut self, life: u32, at: usize, due: Time) {
        let Some(gateway) = self.gateway.as_mut().filter(|gateway| gateway.life == life) else { return };
        let now = gateway.now(self.now);
        let worker = &mut gateway.workers[at];
        if worker.tick_at == Some(due) {
            worker.tick_at = None;
            worker.owner.tick(now);
            self.pump(at);
        }
    }

    /// Does what a worker's owner wants done, and sets its timer.
    pub(super) fn pump(&mut self, at: usize) {
        while let Some(action) = self.gateway.as_mut().and_then(|g| g.workers[at].owner.poll_action()) {
            if self.cuts.reached {
                // The process is gone in the middle of this.
                continue;
            }
            match action {
                Action::Append(append) => self.append(at, append),
                Action::Call(call) => self.send(at, *call),
                Action::Reply { waiter, reply } => self.reply(waiter, *reply),
                Action::Watched(_) => self.oracle.blame("a change is told, and nobody watches".to_owned()),
                Action::Ended { .. } => {}
                Action::Recall { waiter, transaction } => self.recall(at, waiter, transaction),
                Action::Notice { transaction, notice } => {
                    if matches!(notice, Notice::Heuristic { .. }) {
                        self.oracle.heuristic_told(transaction);
                    }
                    self.oracle.saw(in_a_word(&notice));
                    let (trace, oracle) = (&mut self.trace, &self.oracle);
                    trace.note("notice", &[], || format!("{}: {notice:?}", oracle.name(transaction)));
                }
            }
            self.cuts.step();
        }
        let Some(gateway) = &mut self.gateway else { return };
        let worker = &mut gateway.workers[at];
        let Some(wake) = worker.owner.wake() else { return };
        // A timer is never early, and often a little late.
        let late = self.dice.micros(1, 1_000);
        let wake = self.now.max(gateway.booted + wake.since(Time(0))) + late;
        if worker.tick_at.is_none_or(|tick_at| tick_at > wake) {
            worker.tick_at = Some(wake);
            self.queue.push(wake, Event::Tick(gateway.life, at, wake));
        }
    }

    fn append(&mut self, at: usize, append: Append) {
        let Some(gateway) = &mut self.gateway else { return };
        let (id, now) = (append.transaction, gateway.now(self.now));
        let begins = append.records.iter().any(|record| matches!(record, Record::Begun(_)));
        let appended = gateway.journal.append(unanimo_journal::Append {
            transaction: id,
            epoch: gateway.journal.epoch(),
            plan: append.plan,
            records: append.records,
        });
        let durable = gateway.journal.watermark();
        let worker = &mut gateway.workers[at];
        match appended {
            Ok(appended) => {
                let (stand, batch) = (Stand::Appended(appended.position()), appended.position().number());
                let records = appended.records();
                self.oracle.appended(self.now, id, records, stand, &self.participants);
                let numbers = [id.bits() as u64, appended.position().number(), records.len() as u64];
                let oracle = &self.oracle;
                self.trace.note("append", &numbers, || {
                    let words: Vec<String> = records.iter().map(in_words).collect();
                    format!("{} {} (batch {})", oracle.name(id), words.join(", "), numbers[1])
                });
                match appended.settle(durable) {
                    Ok(settled) => worker.owner.settled(now, id, settled, batch),
                    Err(appended) => worker.unsettled.push_back((id, appended)),
                }
                self.settle(at);
                self.wake_journal();
            }
            Err(AppendError::Full) if begins => {
                self.oracle.saw("the journal's queue was full");
                worker.owner.unwritten(now, id, Unwritten::Full);
            }
            Err(AppendError::Poisoned(_)) => {
                worker.owner.unwritten(now, id, Unwritten::Poisoned);
                worker.poisoned = true;
            }
            Err(error) => self.oracle.blame(format!("the journal refuses an append: {error}")),
        }
    }
}

fn in_a_word(notice: &Notice) -> &'static str {
    match notice {
        Notice::Stuck { .. } => "noticed: stuck",
        Notice::Heuristic { .. } => "noticed: heuristic",
        Notice::Resolved { .. } => "noticed: resolved",
        Notice::Unrendered { .. } => "noticed: unrendered",
        Notice::Recovered => "noticed: recovered",
    }
}

fn in_words(record: &Record) -> String {
    match record {
        Record::Begun(_) => "begun".to_owned(),
        Record::Wave(_) => "wave".to_owned(),
        Record::Concluded(concluded) => {
            format!("{} {:?} tell {:?}", concluded.verdict, concluded.cause, concluded.tell)
        }
        Record::Told { branch } => format!("told {branch}"),
        Record::Acted { branch, outcome, .. } => format!("acted {branch}: {outcome}"),
        Record::Answered { branch, operation, outcome } => format!("{operation} {branch}: {outcome}"),
        Record::Sent { .. }
        | Record::Heuristic { .. }
        | Record::Resolved(_)
        | Record::Ended
        | Record::Forgotten => {
            format!("{record:?}")
        }
    }
}
