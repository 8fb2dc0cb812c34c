//! What is lost when manager and store are killed at the same moment: transactions whose client was told that they are
//! taken, and that never end after both have been started again.
//!
//! Clients ask for the next one as soon as they are told that the last is taken, so that many are under way. An end is one
//! after which every branch was told the same. `SIGKILL` loses nothing that the operating system has taken, so a store
//! that doesn't sync looks better here than after the loss of power.

use super::errand::Mode;
use super::manager::Manager;
use crate::bench::Context;
use crate::clock;
use crate::load::{Asked, BOTH, Call, Calls, Errands, Seen, World};
use std::collections::HashMap;
use std::io;
use std::time::Duration;

const CLIENTS: usize = 64;

/// How long nothing may happen until nothing more is expected: longer than dtmrs waits for a process that is gone.
const QUIET: Duration = Duration::from_secs(7);

/// How long the new processes get in all.
const PATIENCE: Duration = Duration::from_secs(40);

/// How long the participants answer until it is looked again.
const TURN: Duration = Duration::from_millis(20);

/// What was seen.
pub struct Loss {
    /// Transactions whose clients were told that they are taken.
    pub acknowledged: usize,
    /// Those of them that had not ended when everything was killed.
    pub open: usize,
    /// Those of them that never ended.
    pub lost: usize,
    /// How long after the start the last one ended.
    pub recovered: Duration,
}

/// What became of a transaction, in bits of branches.
#[derive(Clone, Copy, Default)]
struct Marks {
    acknowledged: bool,
    first: u8,
    confirmed: u8,
    undone: u8,
}

impl Marks {
    fn note(&mut self, call: Call) {
        let bits = match call.asked {
            Asked::First => &mut self.first,
            Asked::Confirm => &mut self.confirmed,
            Asked::Undo => &mut self.undone,
        };
        *bits |= call.branch;
    }

    fn has_ended(self, mode: Mode) -> bool {
        let forward = match mode {
            Mode::Saga => self.first == BOTH && self.undone == 0,
            Mode::Tcc => self.confirmed == BOTH,
        };
        forward || (self.undone != 0 && self.undone & self.first == self.first)
    }
}

/// Kills a manager under load, starts it again, and counts.
pub fn take(
    context: &Context,
    world: &mut World,
    manager: &mut Manager,
    calls: &Calls,
    (mode, first): (Mode, u64),
) -> io::Result<Loss> {
    // What the first process holds, it holds for as long as it was told when it began.
    manager.kill();
    manager.start(true)?;
    let errand = manager.errand(mode, false)?;
    let window = Duration::from_millis(if context.quick { 200 } else { 1000 });
    let errands = Errands { errand: &errand, clients: CLIENTS, first, warm: Duration::ZERO, window };
    let mut seen: HashMap<u64, Marks> = HashMap::new();
    world.run_into(
        &errands,
        calls,
        || manager.kill(),
        |event| match event {
            Seen::Acknowledged(transaction) => seen.entry(transaction).or_default().acknowledged = true,
            Seen::Called(call) => seen.entry(call.transaction).or_default().note(call),
            Seen::Done(_) | Seen::Failed | Seen::Lost => {}
        },
    )?;
    let acknowledged = seen.values().filter(|marks| marks.acknowledged).count();
    let left = |seen: &HashMap<u64, Marks>| {
        seen.values().filter(|marks| marks.acknowledged && !marks.has_ended(mode)).count()
    };
    let open = left(&seen);
    let start = clock::now();
    manager.start(true)?;
    let mut lost = open;
    let mut last = start;
    while lost > 0 && clock::now() < last.max(start) + QUIET && clock::now() < start + PATIENCE {
        world.serve_calls(clock::now() + TURN, calls, |call| {
            seen.entry(call.transaction).or_default().note(call);
        })?;
        let now = left(&seen);
        if now < lost {
            (lost, last) = (now, clock::now());
        }
    }
    Ok(Loss { acknowledged, open, lost, recovered: last - start })
}
