//! What workers and the admin listener ask of a shard's owner on another thread. Every mailbox has a bound.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use unanimo_contract::operations::{Refusal, Resolve, Resolved};
use unanimo_contract::{
    Detail, Filter, Id, Inquiry, Page, Reply, Retried, Severed, Status, Submission, Token, View,
};
use unanimo_coordinator::{Change, Tally};

/// How many messages may wait for a worker. Beyond that a submission is turned away as overload.
const CAPACITY: usize = 4096;

/// One message.
pub(crate) enum Mail {
    /// A keyed request that belongs to one of this worker's shards.
    Submit(Box<Submission>, oneshot::Sender<Result<Reply, Severed>>),
    /// What the holder of a token may know.
    Status(Id, Token, oneshot::Sender<Option<Status>>),
    /// What a participant hears that asks for a verdict, and whether that is only presumed.
    Inquire(Id, oneshot::Sender<(Inquiry, bool)>),
    /// One transaction.
    Detail(Id, oneshot::Sender<Option<Detail>>),
    /// What a transaction owes is to be called now.
    Retry(Id, oneshot::Sender<Option<Retried>>),
    /// Something is to be ended by hand; answered once that is durable.
    Resolve(Id, Resolve, Operator),
    /// This worker's newest transactions.
    List(Filter, Page, oneshot::Sender<Vec<View>>),
    /// The counts.
    Tally(oneshot::Sender<Tally>),
    /// Another configuration; the answer says that it is in force.
    Change(Box<Change>, oneshot::Sender<()>),
    /// Which services open transactions name, and how many of them.
    Services(oneshot::Sender<BTreeMap<Arc<str>, usize>>),
    /// The process is about to end: tell the waiters.
    Leave,
}

/// Who waits to hear that something is ended by hand; `None` where the id is not known.
pub(crate) type Operator = oneshot::Sender<Option<Result<Resolved, Refusal>>>;

/// A worker's mailbox from outside.
pub(crate) type Slot = mpsc::Sender<Mail>;

/// Makes a mailbox.
pub(crate) fn mailbox() -> (Slot, mpsc::Receiver<Mail>) {
    mpsc::channel(CAPACITY)
}

/// Posts a question and waits for its answer; `None` where the mailbox is full or its worker gone.
pub(crate) async fn ask<T>(slot: &Slot, question: impl FnOnce(oneshot::Sender<T>) -> Mail) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    slot.try_send(question(reply)).ok()?;
    answer.await.ok()
}
