//! What one expression may cost, whatever the values are that it meets.

use crate::Reason;
use crate::value::Fault;
use std::cell::Cell;

/// The units of one evaluation. A unit is a step, or 32 bytes read, or 16 bytes written: some tens of
/// nanoseconds, and never more than one value kept.
pub(crate) const UNITS: u32 = 50_000;

/// The most bytes that one expression may give.
pub(crate) const MAX_RESULT: usize = 256 * 1024;

/// What is left of the units.
#[derive(Debug)]
pub(crate) struct Budget {
    left: Cell<u32>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { left: Cell::new(UNITS) }
    }

    pub(crate) fn step(&self) -> Result<(), Reason> {
        self.spend(1)
    }

    /// Bytes that are looked through.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Reason> {
        self.spend(bytes / 32 + 1)
    }

    /// Bytes that are copied.
    pub(crate) fn write(&self, bytes: usize) -> Result<(), Reason> {
        self.spend(bytes / 16 + 1)
    }

    /// Takes units. Once they do not suffice there are none: an error that an operator absorbs stops what follows.
    pub(crate) fn spend(&self, units: usize) -> Result<(), Reason> {
        let left = u32::try_from(units).ok().and_then(|units| self.left.get().checked_sub(units));
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Reason::Uncomputable(Fault::TooCostly))
    }
}
