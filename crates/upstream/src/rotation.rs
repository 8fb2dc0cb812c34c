//! Which endpoint of a service takes the next request.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use crate::pool::{Lease, Pool, Wanted};
use crate::services::{Endpoint, Service};
use crate::standing::Passage;
use crate::{Balance, Error, Kind, Trial, clock};

/// The endpoints of one service.
pub(crate) struct Rotation {
    /// Invariant: not empty.
    pools: Box<[Rc<Pool>]>,
    balance: Balance,
    affinity: bool,
    /// Whose turn it is.
    next: Cell<usize>,
}

/// Which endpoints may be chosen.
struct Round {
    /// Also those that are put aside, since they could not be connected to.
    aside: bool,
    /// Also those that have had this request already.
    again: bool,
    /// No circuit lets the request pass: each of them is asked as the last one.
    is_last: bool,
}

const ROUNDS: [Round; 4] = [
    Round { aside: false, again: false, is_last: false },
    Round { aside: true, again: false, is_last: false },
    Round { aside: true, again: true, is_last: false },
    Round { aside: true, again: true, is_last: true },
];

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

    /// A connection to the endpoint that is chosen, or to the next that can be had, by the order of [`ROUNDS`]. Nothing
    /// has been sent yet, so that each may be tried; but what has its own endpoint waits for that one alone.
    pub(crate) async fn lease(&self, trial: &Trial, wanted: Wanted) -> Result<Lease, Error> {
        let now = clock::now();
        if let Some(affinity) = trial.affinity.filter(|_| self.affinity) {
            let own = affinity.choose(self.pools.iter().map(|pool| pool.lot()));
            // No other can take its place, so it is asked as the last one is.
            let Some(passage) = self.pools[own].ask(now, true) else {
                return Err(withheld(&self.pools[own]));
            };
            return self.lease_at(own, passage, trial, now, wanted).await;
        }
        let start = self.choose(now);
        let mut failed = Vec::new();
        let mut last = None;
        for round in ROUNDS {
            if round.is_last && !failed.is_empty() {
                break;
            }
            for turn in start..start + self.pools.len() {
                let index = turn % self.pools.len();
                let pool = &self.pools[index];
                if failed.contains(&index)
                    || !round.aside && pool.is_aside(now)
                    || self.is_worse(pool)
                    || !round.again && trial.has_tried(index)
                {
                    continue;
                }
                let Some(passage) = pool.ask(now, round.is_last) else {
                    last = Some(withheld(pool));
                    continue;
                };
                // A retry takes no turn, or of two endpoints the same one would begin each time.
                if trial.is_first() {
                    self.next.set((index + 1) % self.pools.len());
                }
                match self.lease_at(index, passage, trial, now, wanted).await {
                    Ok(lease) => return Ok(lease),
                    Err(error) => last = Some(error),
                }
                failed.push(index);
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Connect, None)))
    }

    async fn lease_at(
        &self,
        index: usize,
        passage: Passage,
        trial: &Trial,
        now: Instant,
        wanted: Wanted,
    ) -> Result<Lease, Error> {
        let leased = lease_of(&self.pools[index], now, wanted).await;
        match &leased {
            Ok(_) => trial.begin(index, passage),
            // That is of our own making.
            Err(Error { kind: Kind::Overloaded, .. }) => {}
            Err(_) => passage.failed(),
        }
        leased
    }

    /// Whether the endpoint is ill while another is well. Where all are ill, it is the checks that are more likely wrong.
    fn is_worse(&self, pool: &Pool) -> bool {
        pool.is_ill() && self.pools.iter().any(|other| !other.is_ill())
    }

    fn choose(&self, now: Instant) -> usize {
        match self.balance {
            Balance::RoundRobin => self.next.get(),
            // Two are enough: looking at all of them would send what comes at the same time to the same endpoint.
            Balance::LeastRequest => {
                let one = fastrand::usize(..self.pools.len());
                let other = (one + fastrand::usize(..self.pools.len().max(2) - 1) + 1) % self.pools.len();
                let burden = |at: &usize| {
                    let pool = &self.pools[*at];
                    let is_worse = pool.is_aside(now) || pool.withholds(now) || pool.is_ill();
                    (is_worse, pool.under_way())
                };
                [one, other].into_iter().min_by_key(burden).unwrap_or(one)
            }
        }
    }
}

fn withheld(pool: &Pool) -> Error {
    Error::new(Kind::CircuitOpen, pool.address().clone())
}

async fn lease_of(pool: &Rc<Pool>, now: Instant, wanted: Wanted) -> Result<Lease, Error> {
    if let Some(lease) = pool.take(now, wanted) {
        return Ok(lease);
    }
    // Boxed, since it is rare and large: most requests find a connection.
    Box::pin(pool.open(now, wanted)).await
}
