//! What a participant hears that asks for the verdict of what it has prepared.

use crate::owner::Owner;
use unanimo_contract::{Id, Inquiry};
use unanimo_protocol::Verdict;
use unanimo_protocol::planted::{Mistake, planted};

impl Owner {
    /// Whether this transaction is open, or has ended and is not in history yet: then [`Owner::inquire`] presumes
    /// nothing.
    pub fn remembers(&self, id: Id) -> bool {
        self.open.contains_key(&id) || self.memory.get(id).is_some()
    }

    /// The verdict of a transaction of this owner's shards.
    ///
    /// One that nobody knows was rolled back: it was never written, or every participant has acknowledged its end. That
    /// is only true once replay has ended, and while the journal still takes what must be known; before and after, the
    /// answer is that nobody knows yet.
    pub fn inquire(&self, id: Id) -> Inquiry {
        if id.node() != self.config.node {
            return Inquiry::NotMine;
        }
        let known = |verdict: Option<Verdict>| verdict.map_or(Inquiry::Pending, Inquiry::Known);
        if let Some(open) = self.open.get(&id) {
            let presumed = planted(Mistake::PresumesWhileCollecting).then_some(Verdict::Rollback);
            return known(open.verdict().or(presumed));
        }
        if let Some(finished) = self.memory.get(id) {
            return Inquiry::Known(finished.verdict);
        }
        let replayed = self.replayed || planted(Mistake::PresumesEarly);
        known((replayed && !self.poisoned).then_some(Verdict::Rollback))
    }
}
