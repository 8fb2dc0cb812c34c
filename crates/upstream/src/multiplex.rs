//! The connections of HTTP/2 of one worker to one endpoint: which of them takes the next request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

use crate::Kind;
use crate::services::Limits;
use crate::stream::{Shared, Stream};

/// The connections that requests share.
#[derive(Default)]
pub(crate) struct Multiplex {
    /// In the order in which they were made. One that is let go ends with the requests that it still has.
    connections: RefCell<Vec<Rc<Shared>>>,
    /// Whose turn it is to make one: all others that find no room wait for it, or each would make its own.
    making: Mutex<()>,
    /// How many could not be made, and why the last one could not.
    failures: Cell<(u64, Option<Kind>)>,
}

impl Multiplex {
    /// Room on the first connection that has some, so that in quiet times the others grow old. With `since`, on none
    /// that was made before.
    pub(crate) fn room(&self, now: Instant, since: Option<Instant>, limits: &Limits) -> Option<Stream> {
        let mut connections = self.connections.borrow_mut();
        let mut idle = 0;
        connections.retain(|shared| {
            let is_young = shared.idle_for(now).is_none_or(|idle_for| {
                idle += 1;
                idle <= limits.idle_connections && idle_for < limits.idle_timeout
            });
            is_young && shared.is_open()
        });
        let has_room = |shared: &&Rc<Shared>| {
            shared.streams() < limits.streams && since.is_none_or(|since| shared.made >= since)
        };
        connections.iter().find(has_room).map(|shared| shared.begin(now))
    }

    /// A new connection, and the first request on it.
    pub(crate) fn add(&self, shared: Rc<Shared>, now: Instant) -> Stream {
        let stream = shared.begin(now);
        self.connections.borrow_mut().push(shared);
        stream
    }

    pub(crate) fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Waits for its turn to make a connection. The error says why another one, that was waited for, could not be made:
    /// to try again for each that waits would make the last of them wait for very long.
    pub(crate) async fn turn(&self) -> Result<MutexGuard<'_, ()>, Kind> {
        let (before, _) = self.failures.get();
        let turn = self.making.lock().await;
        match self.failures.get() {
            (now, Some(kind)) if now != before => Err(kind),
            _ => Ok(turn),
        }
    }

    pub(crate) fn failed(&self, kind: Kind) {
        self.failures.set((self.failures.get().0 + 1, Some(kind)));
    }

    /// Lets all connections go.
    pub(crate) fn clear(&self) {
        self.connections.borrow_mut().clear();
    }
}
