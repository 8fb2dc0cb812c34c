//! Which endpoint of a service takes the next request.

use std::cell::Cell;
use std::rc::Rc;

use crate::pool::{Lease, Pool};
use crate::services::Service;
use crate::stats::Counters;
use crate::{Error, Kind, clock};

/// The endpoints of one service, in turn.
pub(crate) struct Rotation {
    /// Invariant: not empty.
    pools: Box<[Rc<Pool>]>,
    /// Whose turn it is.
    next: Cell<usize>,
}

/// Which connection will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    New,
}

impl Rotation {
    pub(crate) fn new(service: &Service) -> Self {
        let pools = service.endpoints.iter().map(|endpoint| Pool::new(endpoint.clone(), service.limits));
        let pools: Box<[_]> = pools.collect();
        // Each worker begins elsewhere, or all would call the same endpoint at the same time.
        let next = Cell::new(fastrand::usize(..pools.len()));
        Self { pools, next }
    }

    /// A connection to the endpoint whose turn it is, or to the next that can be had: first among those that
    /// are not put aside, then among all. Nothing has been sent yet, so that each may be tried.
    pub(crate) async fn lease(&self, wanted: Wanted, counters: &Counters) -> Result<Lease, Error> {
        let now = clock::now();
        let start = self.next.get();
        let mut failed = Vec::new();
        let mut last = None;
        for any_will_do in [false, true] {
            for turn in start..start + self.pools.len() {
                let index = turn % self.pools.len();
                let pool = &self.pools[index];
                if failed.contains(&index) || !any_will_do && pool.is_aside(now) {
                    continue;
                }
                self.next.set((index + 1) % self.pools.len());
                if wanted == Wanted::Any
                    && let Some(lease) = pool.take_idle(now)
                {
                    counters.reused.count();
                    return Ok(lease);
                }
                // Boxed, since it is rare and large: most requests find an idle connection.
                match Box::pin(pool.open(counters)).await {
                    Ok(lease) => return Ok(lease),
                    Err(error) => last = Some(error),
                }
                failed.push(index);
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Connect, None)))
    }
}
