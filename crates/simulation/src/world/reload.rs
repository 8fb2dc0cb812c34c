//! The configuration changes while transactions are open: routes get other plans, and what has begun ends under its own.

use super::World;
use crate::scenario::Route;
use unanimo_coordinator::{Change, Plans};

impl World {
    /// Some of the routes get other plans, and the process, where it is there, takes them.
    pub(super) fn reload(&mut self) {
        for (number, route) in self.scenario.routes.iter_mut().enumerate() {
            if self.dice.chance(500) {
                *route = Route::draw(number as u64, &mut self.dice);
                self.oracle.configured(route);
            }
        }
        self.trace.note("reload", &[], String::new);
        self.make_plans_ready();
        let Some(gateway) = &mut self.gateway else { return };
        let (open_limit, retry) = (self.scenario.open_limit, self.scenario.retry);
        for worker in &mut gateway.workers {
            let plans = self.plans.clone();
            worker.owner.change(Change { open_limit, retry, plans, keyring: None });
        }
        let needed = gateway.workers.iter().flat_map(|worker| worker.owner.services().into_keys()).collect();
        self.oracle.reloaded(&needed);
    }

    /// Parses the plans of the routes, once for every process that will have them.
    pub(super) fn make_plans_ready(&mut self) {
        match Plans::of(self.scenario.routes.iter().map(|route| &route.plan)) {
            Ok(plans) => self.plans = plans,
            Err(error) => self.oracle.blame(format!("a plan cannot be run: {error}")),
        }
    }
}
