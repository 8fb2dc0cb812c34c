//! An operator's word: what a transaction owes is called now, however long its pauses still are.

use crate::action::Now;
use crate::owner::Owner;
use unanimo_contract::{BranchIndex, Id, Retried, State};
use unanimo_protocol::{Call, Progress};

impl Owner {
    /// Ends every pause of a transaction, and sends what is due. Its next pauses begin from the shortest again, and it
    /// needs no token of a service's budget: somebody has looked. `None` where the id is not known.
    ///
    /// A call that is under way is not repeated; its answer comes, or its time-out.
    pub fn retry(&mut self, now: Now, id: Id) -> Option<Retried> {
        if !self.open.contains_key(&id) {
            let state = self.memory.get(id)?.state();
            return Some(Retried { id, state, called: Vec::new(), under_way: Vec::new() });
        }
        let under_way = self.under_way(id);
        let due = self.end_pauses(now, id);
        self.drive(now, id);
        let state = self.open.get(&id).map_or(State::Initial, |open| open.core.state());
        Some(Retried { id, state, called: self.names(id, &due), under_way: self.names(id, &under_way) })
    }

    /// Lets every due call of a transaction leave at the next drive; gives back which branches have one.
    fn end_pauses(&mut self, now: Now, id: Id) -> Vec<BranchIndex> {
        let Some(open) = self.open.get_mut(&id) else { return Vec::new() };
        // While a decision waits for the disk nothing is due; what it brings is not held back then either.
        let due: Vec<Call> =
            if open.under_way || self.poisoned { Vec::new() } else { open.core.due().collect() };
        for side in &mut open.branches {
            side.retry_at = now.time;
        }
        for call in &due {
            let side = &mut open.branches[call.branch.at()];
            side.eased = call.attempt.saturating_sub(1);
            if side.holds {
                let service = &open.ready.branches[call.branch.at()].service;
                self.budgets.withdraw(service, (id, call.branch));
                side.holds = false;
            }
            if side.queues {
                let service = &open.ready.branches[call.branch.at()].service;
                self.share.withdraw(service, (id, call.branch));
                side.queues = false;
            }
            side.has_right = true;
            // Only a retry spends it: a first call needs none, and must not leave one for later.
            side.has_token = side.sent > 0;
        }
        due.into_iter().map(|call| call.branch).collect()
    }

    /// The branches whose call is under way.
    fn under_way(&self, id: Id) -> Vec<BranchIndex> {
        let Some(open) = self.open.get(&id) else { return Vec::new() };
        let asked: Vec<BranchIndex> = match open.verdict() {
            Some(_) => open.core.untold().collect(),
            None => {
                let is_asked = |branch: &BranchIndex| open.core.progress(*branch) == Some(Progress::Asked);
                open.core.indices().filter(is_asked).collect()
            }
        };
        let is_due = |branch: &BranchIndex| open.core.due().any(|call| call.branch == *branch);
        asked.into_iter().filter(|branch| !is_due(branch)).collect()
    }

    fn names(&self, id: Id, branches: &[BranchIndex]) -> Vec<String> {
        let Some(open) = self.open.get(&id) else { return Vec::new() };
        branches.iter().map(|branch| open.ready.branches[branch.at()].name.to_string()).collect()
    }
}
