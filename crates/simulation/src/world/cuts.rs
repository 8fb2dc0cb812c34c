//! Crashes at a point that was chosen before: what the enumeration of all crash points is made of.

use super::World;
use std::collections::VecDeque;
use unanimo_journal::simulated::Simulated;

/// Where the gateway's process ends, counted from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// After so many steps of the world: whatever happens is one, and everything that the process does about it (each
    /// append, each call, each answer) is one more.
    Step(u64),
    /// After so many changes of its disk: before a write, between a write and its sync, and after it.
    Disk(u64),
}

/// An end of the gateway's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When it comes.
    pub point: Point,
    /// Whether the power goes: then what was not synced is there, or not, sector by sector.
    pub power: bool,
}

/// The cuts of a run.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    /// One for each life that is to come.
    waiting: VecDeque<Cut>,
    /// The one of this life.
    now: Option<Cut>,
    steps: u64,
    /// How many changes the disk still carries out.
    changes_left: Option<u64>,
    /// Whether the process ends at the end of this step, and does nothing more until then.
    pub(super) reached: bool,
    /// How many came about.
    pub(super) met: usize,
}

impl Cuts {
    pub(super) fn new(cuts: &[Cut]) -> Cuts {
        Cuts { waiting: cuts.iter().copied().collect(), ..Cuts::default() }
    }

    /// A life begins. Says after how many changes the disk is off.
    pub(super) fn next(&mut self) -> Option<u64> {
        self.steps = 0;
        self.now = self.waiting.pop_front();
        self.changes_left = match self.now?.point {
            Point::Disk(changes) => Some(changes),
            Point::Step(_) => None,
        };
        self.changes_left
    }

    /// Nothing is cut from now on.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        (self.now, self.changes_left) = (None, None);
    }

    /// One step is behind us.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        self.reached |= self.now.is_some_and(|cut| cut.point == Point::Step(self.steps));
    }

    /// After how many more changes the disk is off.
    pub(super) fn disk(&self) -> Option<u64> {
        self.changes_left
    }

    pub(super) fn note_disk(&mut self, disk: &Simulated) {
        if self.changes_left.is_some() {
            self.changes_left = disk.faults().off_after;
        }
    }

    pub(super) fn disk_is_off(&self) -> bool {
        self.changes_left == Some(0)
    }
}

impl World {
    /// After each step: whether the process ends here.
    pub(super) fn cut_if_reached(&mut self) {
        if self.gateway.is_some() {
            self.cuts.step();
        }
        if !std::mem::take(&mut self.cuts.reached) {
            return;
        }
        let power = self.cuts.now.take().is_some_and(|cut| cut.power);
        self.cuts.changes_left = None;
        self.cuts.met += 1;
        self.crash(power);
    }
}
