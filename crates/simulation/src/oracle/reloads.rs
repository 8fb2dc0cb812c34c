//! What a change of the configuration must leave alone.

use super::Oracle;
use crate::scenario::Route;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Oracle {
    /// A route has this plan from now on.
    pub(crate) fn configured(&mut self, route: &Route) {
        self.routes.push(route.clone());
    }

    /// The process has taken the change, and says which services its open transactions still need.
    pub(crate) fn reloaded(&mut self, needed: &BTreeSet<Arc<str>>) {
        self.saw("reloaded");
        let open = self.stories.values().filter(|story| story.begun.is_some() && !story.ended);
        let mut missing = None;
        let mut pinned = 0;
        for story in open {
            let gone = |branch: &&unanimo_contract::BranchPlan| !needed.contains(branch.service.as_str());
            let gone = story.plan.branches.iter().find(gone).filter(|_| story.is_written());
            missing = missing.or(gone.map(|branch| {
                format!(
                    "T{} is open, and its service {} is said to be no more needed",
                    story.number, branch.service
                )
            }));
            pinned += 1;
        }
        if pinned > 0 {
            self.saw("reloaded while transactions were open");
        }
        if let Some(missing) = missing {
            self.blame(missing);
        }
    }
}
