//! When which transaction must be looked at: one timer each.

use std::collections::BTreeSet;
use unanimo_contract::Id;
use unanimo_protocol::Time;

/// All timers, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Time, Id)>,
}

impl Timers {
    /// Moves a transaction's timer from where it was to where it shall be.
    pub(crate) fn set(&mut self, id: Id, from: &mut Option<Time>, to: Option<Time>) {
        if *from == to {
            return;
        }
        if let Some(old) = from.take() {
            self.queue.remove(&(old, id));
        }
        if let Some(new) = to {
            self.queue.insert((new, id));
        }
        *from = to;
    }

    /// The soonest.
    pub(crate) fn wake(&self) -> Option<Time> {
        self.queue.first().map(|(time, _)| *time)
    }

    /// Takes the soonest that has come. Its transaction must be told that it has no timer now.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Id> {
        let (time, _) = self.queue.first()?;
        if *time > now {
            return None;
        }
        self.queue.pop_first().map(|(_, id)| id)
    }
}
