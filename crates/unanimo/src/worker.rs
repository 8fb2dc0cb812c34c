//! One worker's thread: a runtime of its own, with everything that serves requests and runs transactions on it.

use crate::failure::Failure;
use crate::reload::Edition;
use crate::serve::runtime;
use std::convert::Infallible;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use unanimo_contract::Transactions;
use unanimo_gateway::{Governed, Metrics, Rules, Socket};
use unanimo_participants::Http;
use unanimo_runtime::Seat;
use unanimo_upstream::Upstream;

/// How far the process's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Serving,
    /// No connection is taken any more; what is under way goes on for a while.
    Leaving,
    /// Nobody waits any more.
    Ending,
}

/// What one worker's thread needs.
pub struct Worker {
    /// Its sockets for clients.
    pub listeners: Vec<Socket>,
    /// Its sockets of the listener for participants, where there is one.
    pub inquiries: Vec<Socket>,
    /// How participants reach that listener.
    pub gateway: Option<Arc<str>>,
    /// What is served by: another one takes the place of the former.
    pub editions: watch::Receiver<Arc<Edition>>,
    /// Where requests are counted.
    pub metrics: Metrics,
    /// How far the process's end has come.
    pub phases: watch::Receiver<Phase>,
    /// Held until this worker has drained.
    pub draining: mpsc::Sender<Infallible>,
    /// Where it says why it cannot go on.
    pub failed: mpsc::Sender<Failure>,
}

impl Worker {
    /// Starts the thread. `take` makes of the seat what is behind transactional routes.
    pub fn spawn<T: Transactions>(
        self,
        seat: Seat,
        take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error> + Send + 'static,
    ) -> Result<JoinHandle<()>, Failure> {
        let name = format!("worker-{}", seat.number());
        let failed = self.failed.clone();
        let thread = std::thread::Builder::new().name(name);
        let run = move || {
            if let Err(failure) = self.run(seat, take) {
                // Full only if other workers have failed as well: one failure is enough to end.
                let _ = failed.try_send(failure);
            }
        };
        thread.spawn(run).map_err(Failure::thread)
    }

    fn run<T: Transactions>(
        mut self,
        seat: Seat,
        take: impl FnOnce(Seat, Http) -> Result<T, unanimo_runtime::Error>,
    ) -> Result<(), Failure> {
        let runtime = runtime().map_err(Failure::thread)?;
        LocalSet::new().block_on(&runtime, async move {
            let edition = self.editions.borrow_and_update().clone();
            let upstream = Upstream::new(edition.services.clone());
            let participants = Http::new(upstream.clone(), self.gateway.as_deref());
            let transactions = take(seat, participants.clone()).map_err(Failure::start)?;
            let governed = Governed::new(rules(&edition, upstream), &self.metrics);
            drop(edition);
            spawn_local(follow(self.editions, governed.clone(), participants));
            let worker = unanimo_gateway::Worker {
                listeners: self.listeners,
                inquiries: self.inquiries,
                governed,
                transactions,
            };
            let shutdown = async {
                // The sender is gone only when the process ends anyway.
                let _ = self.phases.wait_for(|phase| *phase >= Phase::Leaving).await;
            };
            let drained = unanimo_gateway::serve(worker, shutdown).await.map_err(Failure::serve)?;
            if drained.cut > 0 {
                tracing::warn!(
                    connections = drained.cut,
                    "closed with a request under way: the grace was over"
                );
            }
            drop(self.draining);
            // Its transactions may be awaited by the clients of workers that have not drained yet.
            let _ = self.phases.wait_for(|phase| *phase == Phase::Ending).await;
            Ok(())
        })
    }
}

/// Serves by each edition from when it comes. Connections to services that stay are kept.
async fn follow(mut editions: watch::Receiver<Arc<Edition>>, governed: Governed, participants: Http) {
    while editions.changed().await.is_ok() {
        let edition = editions.borrow_and_update().clone();
        let upstream = governed.upstream().succeeded_by(edition.services.clone());
        participants.follow(upstream.clone());
        governed.replace(rules(&edition, upstream));
    }
}

fn rules(edition: &Edition, upstream: Upstream) -> Rules {
    let Edition { table, limits, logs_requests, .. } = edition;
    Rules { table: table.clone(), upstream, limits: limits.clone(), logs_requests: *logs_requests }
}
