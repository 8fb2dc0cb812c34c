//! By which rules a worker serves: they may be replaced while it does.
//!
//! A request takes the rules that are in force when it comes, and ends under them. To take them costs a count that no
//! other thread sees: no lock, and nothing atomic.

use crate::metrics::{RouteTallies, Tally};
use crate::retry::Budgets;
use crate::{Limits, Table};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use unanimo_upstream::Upstream;

/// What one configuration says of requests.
#[derive(Clone)]
pub struct Rules {
    /// The routes.
    pub table: Arc<Table>,
    /// The way to services, made of the services with which the table was built.
    pub upstream: Upstream,
    /// The bounds of every input. That of connections is the first rules' for as long as the worker lives.
    pub limits: Limits,
    /// Whether the log has a line for each request.
    pub logs_requests: bool,
}

/// The rules of one worker, and the way to replace them. Clones are the same; it stays on its thread.
#[derive(Clone)]
pub struct Governed {
    in_force: Rc<RefCell<Rc<InForce>>>,
    tally: Arc<Tally>,
}

/// Rules, and where what comes by them is counted.
pub(crate) struct InForce {
    pub(crate) rules: Rules,
    pub(crate) routes: RouteTallies,
    /// What plain requests may still be sent again.
    pub(crate) budgets: Budgets,
}

impl Governed {
    /// These rules are in force, and what comes by them is counted here.
    pub fn new(rules: Rules, metrics: &crate::Metrics) -> Governed {
        let tally = metrics.worker();
        let in_force = Rc::new(RefCell::new(Rc::new(InForce::new(rules, &tally))));
        Governed { in_force, tally }
    }

    /// From now on these rules are in force. Requests that came before end under the former ones.
    pub fn replace(&self, rules: Rules) {
        let former = self.in_force.replace(Rc::new(InForce::new(rules, &self.tally)));
        // Where nobody is served by them any more, their connections close here, and not while the new ones are set.
        drop(former);
    }

    /// The way to services that is in force.
    pub fn upstream(&self) -> Upstream {
        self.in_force.borrow().rules.upstream.clone()
    }

    pub(crate) fn now(&self) -> Rc<InForce> {
        self.in_force.borrow().clone()
    }

    pub(crate) fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }
}

impl InForce {
    fn new(rules: Rules, tally: &Tally) -> InForce {
        let routes = tally.of_routes(rules.table.names());
        InForce { rules, routes, budgets: Budgets::new() }
    }
}
