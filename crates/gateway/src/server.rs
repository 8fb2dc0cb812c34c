//! One worker of the data plane: its listeners, its connections, and its end.

use crate::listener::Socket;
use crate::metrics::Tally;
use crate::rules::Governed;
use crate::{clock, listener};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_local;
use tokio::time::timeout_at;
use unanimo_contract::Transactions;

/// How many participants may ask each worker at a time.
const INQUIRY_CONNECTIONS: u32 = 1024;

/// How long an idle connection is kept when the worker drains: whoever sends a request in this time has an answer, and
/// knows by it that the connection is closed. Without it, a request that crosses the close would be lost.
const LAST_CALL: Duration = Duration::from_secs(1);

/// What one worker serves with.
pub struct Worker<T> {
    /// One of each listener's sockets, as [`crate::bind`] makes them.
    pub listeners: Vec<Socket>,
    /// Sockets of the listener for participants, where there is one.
    pub inquiries: Vec<Socket>,
    /// The rules, which may be replaced while it serves.
    pub governed: Governed,
    /// The way to transactions.
    pub transactions: T,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// How many connections were closed with a request under way, since the grace was over.
    pub cut: usize,
}

/// What all connections of a worker share.
pub(crate) struct Shared<T> {
    pub(crate) governed: Governed,
    pub(crate) transactions: T,
    pub(crate) tally: Arc<Tally>,
    pub(crate) stages: Stages,
    /// One for each connection of a client that may be open.
    permits: Arc<Semaphore>,
    /// The same for participants: clients that come in crowds are not in the way of whoever asks for a verdict.
    inquiry_permits: Arc<Semaphore>,
}

impl<T> Shared<T> {
    /// Of which every connection by this door takes one.
    pub(crate) fn permits(&self, door: Door) -> &Arc<Semaphore> {
        match door {
            Door::Clients => &self.permits,
            Door::Participants => &self.inquiry_permits,
        }
    }
}

/// Serves until `shutdown` is done. Then no connection is taken any more, idle ones are closed, and requests under way
/// have the grace to end.
///
/// Runs in a `LocalSet`, on a runtime with one thread. Fails where a listener's socket cannot be watched.
///
/// # Panics
///
/// Outside of a `LocalSet`.
pub async fn serve<T: Transactions>(
    worker: Worker<T>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<Drained> {
    let Worker { listeners, inquiries, governed, transactions } = worker;
    let doors = listeners.into_iter().map(|listener| (Door::Clients, listener));
    let doors = doors.chain(inquiries.into_iter().map(|listener| (Door::Participants, listener)));
    let doors = doors.map(|(door, Socket { listener, is_shared })| {
        Ok((door, TcpListener::from_std(listener)?, is_shared))
    });
    let doors = doors.collect::<io::Result<Vec<_>>>()?;
    // More than the system has numbers for is as many as there are.
    let all =
        u32::try_from(governed.now().rules.limits.connections).unwrap_or(u32::MAX - INQUIRY_CONNECTIONS);
    let shared = Rc::new(Shared {
        tally: governed.tally().clone(),
        stages: Stages::default(),
        permits: Arc::new(Semaphore::new(all as usize)),
        inquiry_permits: Arc::new(Semaphore::new(INQUIRY_CONNECTIONS as usize)),
        governed,
        transactions,
    });
    let accepting: Vec<_> = doors
        .into_iter()
        .map(|(door, listener, is_shared)| {
            spawn_local(listener::accept(door, listener, is_shared, shared.clone()))
        })
        .collect();
    shutdown.await;
    shared.stages.advance(Stage::Draining);
    for accepting in accepting {
        if let Err(error) = accepting.await {
            tracing::error!(%error, "a listener had ended before its time");
        }
    }
    let grace = clock::now() + shared.governed.now().rules.limits.grace;
    let ended = async || {
        let _clients = shared.permits.acquire_many(all).await;
        let _participants = shared.inquiry_permits.acquire_many(INQUIRY_CONNECTIONS).await;
    };
    let last_call = (clock::now() + LAST_CALL).min(grace);
    if timeout_at(last_call.into(), ended()).await.is_err() {
        shared.stages.advance(Stage::Parting);
    }
    let cut = match timeout_at(grace.into(), ended()).await {
        Ok(()) => 0,
        Err(_late) => {
            let free = shared.permits.available_permits() + shared.inquiry_permits.available_permits();
            (all + INQUIRY_CONNECTIONS) as usize - free
        }
    };
    shared.stages.advance(Stage::Closing);
    // They see it at once: nothing that they wait for outlives the stage.
    let _clients = shared.permits.acquire_many(all).await;
    let _participants = shared.inquiry_permits.acquire_many(INQUIRY_CONNECTIONS).await;
    Ok(Drained { cut })
}

/// By which listener somebody has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Requests are routed.
    Clients,
    /// Inquiries are answered, and nothing else.
    Participants,
}

/// How far the worker's end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Open,
    /// No connection is taken, and each that is there hears with its next answer that it was the last. What is idle
    /// stays for a moment: a request may be on its way.
    Draining,
    /// What is idle is closed.
    Parting,
    /// Everything ends.
    Closing,
}

/// The worker's stage, and who waits for the next.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    now: Cell<Stage>,
    advanced: Notify,
}

impl Stages {
    pub(crate) fn is_before(&self, stage: Stage) -> bool {
        self.now.get() < stage
    }

    fn advance(&self, stage: Stage) {
        self.now.set(stage);
        self.advanced.notify_waiters();
    }

    pub(crate) async fn reached(&self, stage: Stage) {
        while self.is_before(stage) {
            self.advanced.notified().await;
        }
    }

    /// What the future comes to, if it does before this stage.
    pub(crate) async fn before<F: Future>(&self, stage: Stage, future: F) -> Option<F::Output> {
        let mut reached = pin!(self.reached(stage));
        let mut future = pin!(future);
        poll_fn(|cx| {
            if reached.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
