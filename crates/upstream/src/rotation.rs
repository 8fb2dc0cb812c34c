//! Which endpoint of a service takes the next request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use crate::pool::{Lease, Pool};
use crate::services::{Endpoint, Service};
use crate::{Affinity, Balance, Error, Kind, clock};

/// The endpoints of one service.
pub(crate) struct Rotation {
    /// Invariant: not empty.
    pools: Box<[Rc<Pool>]>,
    balance: Balance,
    affinity: bool,
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
    /// Takes over the pools of those endpoints that the service had before.
    pub(crate) fn new(service: &Service, before: Option<&Rotation>) -> Self {
        let pool = |endpoint: &Endpoint| {
            let mut pools = before.iter().flat_map(|rotation| &rotation.pools);
            match pools.find(|pool| *pool.address() == endpoint.address) {
                Some(pool) => {
                    pool.limit(service.limits);
                    pool.clone()
                }
                None => Pool::new(endpoint.clone(), service.limits),
            }
        };
        let pools: Box<[_]> = service.endpoints.iter().map(pool).collect();
        // Each worker begins elsewhere, or all would call the same endpoint at the same time.
        let next = Cell::new(fastrand::usize(..pools.len()));
        Self { pools, balance: service.balance, affinity: service.affinity, next }
    }

    /// A connection to the endpoint that is chosen, or to the next that can be had: first among those that are not put
    /// aside, then among all. Nothing has been sent yet, so that each may be tried; but what has its own endpoint waits
    /// for that one alone.
    pub(crate) async fn lease(&self, affinity: Option<Affinity>, wanted: Wanted) -> Result<Lease, Error> {
        let now = clock::now();
        if let Some(affinity) = affinity.filter(|_| self.affinity) {
            let own = affinity.choose(self.pools.iter().map(|pool| pool.lot()));
            return lease_of(&self.pools[own], now, wanted).await;
        }
        let start = self.choose(now);
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
                match lease_of(pool, now, wanted).await {
                    Ok(lease) => return Ok(lease),
                    Err(error) => last = Some(error),
                }
                failed.push(index);
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Connect, None)))
    }

    fn choose(&self, now: Instant) -> usize {
        match self.balance {
            Balance::RoundRobin => self.next.get(),
            // Two are enough: looking at all of them would send what comes at the same time to the same endpoint.
            Balance::LeastRequest => {
                let one = fastrand::usize(..self.pools.len());
                let other = (one + fastrand::usize(..self.pools.len().max(2) - 1) + 1) % self.pools.len();
                let burden = |at: &usize| (self.pools[*at].is_aside(now), self.pools[*at].under_way());
                [one, other].into_iter().min_by_key(burden).unwrap_or(one)
            }
        }
    }
}

async fn lease_of(pool: &Rc<Pool>, now: Instant, wanted: Wanted) -> Result<Lease, Error> {
    if wanted == Wanted::Any
        && let Some(lease) = pool.take_idle(now)
    {
        return Ok(lease);
    }
    // Boxed, since it is rare and large: most requests find an idle connection.
    Box::pin(pool.open()).await
}
