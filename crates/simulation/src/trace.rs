//! What happened, as a hash that tells two runs apart, and as lines for whoever wants to read along.

use std::fmt;
use unanimo_protocol::Time;

/// Takes the lines of a trace.
pub type Show = Box<dyn FnMut(&str)>;

/// The trace of one run.
pub struct Trace {
    hash: u64,
    now: Time,
    show: Option<Show>,
}

impl Trace {
    /// A trace that only hashes, or that also shows its lines.
    pub fn new(show: Option<Show>) -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, now: Time(0), show }
    }

    pub(crate) fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Something happened. `numbers` say what, for the hash; `words` say it for people, where somebody reads.
    pub(crate) fn note(&mut self, what: &str, numbers: &[u64], words: impl FnOnce() -> String) {
        what.bytes().for_each(|byte| self.mix(u64::from(byte)));
        self.mix(self.now.0);
        numbers.iter().for_each(|number| self.mix(*number));
        if let Some(show) = &mut self.show {
            let micros = self.now.0;
            show(&format!("{:>4}.{:06} {what}: {}", micros / 1_000_000, micros % 1_000_000, words()));
        }
    }

    /// The hash of everything that was noted.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    fn mix(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({:016x})", self.hash)
    }
}
