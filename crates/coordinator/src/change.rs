//! Another configuration, while transactions are open: each ends under the plan with which it began.

use crate::config::Change;
use crate::owner::Owner;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Owner {
    /// From now on this is configured. Plans that no route has any more are let go of here: an open transaction holds
    /// its own. A request that came by a former route brings its plan with it.
    pub fn change(&mut self, change: Change) {
        let Change { open_limit, retry, plans, keyring } = change;
        // What has begun under a plan with secrets is never written in clear: without new keys, the old ones serve it.
        self.config.keyring = keyring.or_else(|| self.config.keyring.take());
        (self.config.open_limit, self.config.retry, self.plans) = (open_limit, retry, plans);
    }

    /// The services that open transactions name, and how many of them name each: what is not among them, no
    /// transaction will call any more.
    pub fn services(&self) -> BTreeMap<Arc<str>, usize> {
        let mut named = BTreeMap::new();
        for open in self.open.values() {
            let mut services: Vec<_> = open.ready.branches.iter().map(|branch| &branch.service).collect();
            services.sort_unstable();
            services.dedup();
            services.into_iter().for_each(|service| *named.entry(service.clone()).or_default() += 1);
        }
        named
    }
}
