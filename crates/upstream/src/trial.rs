//! How far a request has come, as whoever waits for it can tell.

use std::cell::Cell;

use crate::Affinity;
use crate::standing::Passage;

/// One request on its way to a service, over all times that it is sent. Only who waits for the answer knows that it took
/// too long, and says so here; a trial that is dropped says nothing, since a client may have hung up.
#[derive(Default)]
pub struct Trial {
    pub(crate) affinity: Option<Affinity>,
    passage: Cell<Option<Passage>>,
    /// The endpoints that it was sent to, one bit for each of the first 64: another one is preferred.
    tried: Cell<u64>,
}

impl Trial {
    /// A request that may go to any endpoint.
    pub fn new() -> Trial {
        Trial::default()
    }

    /// A request that belongs to one endpoint, where the service asks for that, and to no other while that one is down.
    pub fn of(affinity: Affinity) -> Trial {
        Trial { affinity: Some(affinity), ..Trial::default() }
    }

    /// The endpoint did not answer in time, or broke off while a body was still being sent to it, and it was not the
    /// body's own fault. Said before the future of the sending is dropped or after it has failed.
    pub fn failed(&self) {
        if let Some(passage) = self.passage.take() {
            passage.failed();
        }
    }

    pub(crate) fn begin(&self, endpoint: usize, passage: Passage) {
        self.passage.set(Some(passage));
        self.tried.set(self.tried.get() | bit(endpoint));
    }

    /// Who was given the request, and has not yet answered it.
    pub(crate) fn take(&self) -> Option<Passage> {
        self.passage.take()
    }

    pub(crate) fn is_first(&self) -> bool {
        self.tried.get() == 0
    }

    pub(crate) fn has_tried(&self, endpoint: usize) -> bool {
        self.tried.get() & bit(endpoint) != 0
    }
}

fn bit(endpoint: usize) -> u64 {
    u32::try_from(endpoint).ok().and_then(|endpoint| 1_u64.checked_shl(endpoint)).unwrap_or(0)
}
