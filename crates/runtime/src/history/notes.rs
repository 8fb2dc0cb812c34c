//! What workers know of a transaction that has ended, and the journal does not: which calls left and what came back.
//!
//! It is for people: where the queue is full or the process dies, history shows what the journal knows.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use unanimo_contract::Id;
use unanimo_contract::operations::{Heard, Timeline};

/// How many notes may wait for the writer, and as many more may wait there for the journal.
const NOTES: usize = 16 * 1024;

/// Of one transaction.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) id: Id,
    pub(crate) timeline: Timeline,
    /// The last answer of each branch, in the order of the plan.
    pub(crate) heard: Vec<Option<Heard>>,
}

/// Where workers put theirs. Never waits.
#[derive(Clone)]
pub(crate) struct Notebook(SyncSender<Box<Note>>);

/// The writer's side.
pub(crate) struct Notes {
    incoming: Receiver<Box<Note>>,
    waiting: BTreeMap<Id, Box<Note>>,
}

pub(crate) fn notebook() -> (Notebook, Notes) {
    let (out, incoming) = sync_channel(NOTES);
    (Notebook(out), Notes { incoming, waiting: BTreeMap::new() })
}

impl Notebook {
    /// Leaves a note, if there is room.
    pub(crate) fn leave(&self, note: Box<Note>) {
        let _ = self.0.try_send(note);
    }
}

impl Notes {
    /// Takes in what has come.
    pub(crate) fn collect(&mut self) {
        while self.waiting.len() < NOTES
            && let Ok(note) = self.incoming.try_recv()
        {
            self.waiting.insert(note.id, note);
        }
    }

    /// The note of this transaction, if there is one.
    pub(crate) fn take(&mut self, id: Id) -> Option<Box<Note>> {
        self.waiting.remove(&id)
    }

    /// Makes room where notes have come too late for their transactions: nobody takes those any more.
    pub(crate) fn shed(&mut self) {
        if self.waiting.len() >= NOTES {
            self.waiting.clear();
        }
    }
}
