//! The reading side: connections of their own, on threads of their own. No worker ever waits for one.
//!
//! Whoever asks puts a question into a bounded queue and awaits the answer; where the queue is full, nobody can answer
//! now.

use super::shared::Shared;
use super::store::{id_bytes, token_hash};
use super::{list, schema};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;
use unanimo_contract::operations::{Flag, Flags};
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{
    ClientAnswer, Detail, Filter, Id, Page, State, Status, Token, Unavailable, Verdict, View,
};

/// How many questions may wait.
const QUESTIONS: usize = 1024;

/// How many threads answer them: one long list holds up nobody.
const THREADS: usize = 2;

type Question = Box<dyn FnOnce(&mut Reader) + Send>;

/// Where questions are put. Cheap to clone.
#[derive(Clone, Debug)]
pub struct History {
    questions: SyncSender<Question>,
    shared: Arc<Shared>,
}

/// One thread's connection.
pub(crate) struct Reader {
    path: PathBuf,
    shared: Arc<Shared>,
    /// With the file's generation.
    open: Option<(u64, Connection)>,
}

impl History {
    /// Starts the threads that answer. They end when nobody can ask any more.
    pub(crate) fn start(path: &Path, shared: Arc<Shared>) -> std::io::Result<History> {
        let (questions, asked) = sync_channel(QUESTIONS);
        let asked: Arc<Mutex<Receiver<Question>>> = Arc::new(Mutex::new(asked));
        for number in 0..THREADS {
            let mut reader = Reader { path: path.to_owned(), shared: shared.clone(), open: None };
            let asked = asked.clone();
            let run = move || {
                loop {
                    let question = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(question) = question else { return };
                    question(&mut reader);
                }
            };
            std::thread::Builder::new().name(format!("history-reader-{number}")).spawn(run)?;
        }
        Ok(History { questions, shared })
    }

    /// How history does.
    pub fn counters(&self) -> &Shared {
        &self.shared
    }

    /// What the client of a finished transaction was told, also where only that is left of it.
    pub(crate) async fn answer_of(&self, id: Id) -> Result<Option<ClientAnswer>, Unavailable> {
        match self.ask(move |connection| answer_of(connection, id)).await? {
            // It may stand in what has not been read yet.
            None if self.shared.is_behind() => Err(Unavailable),
            answer => {
                let keyring = self.shared.keyring();
                Ok(answer.and_then(|stored| told(keyring.as_deref(), id, stored.into())))
            }
        }
    }

    /// A finished transaction, for the holder of its token.
    pub async fn find_by_token(&self, id: Id, token: Token) -> Result<Option<Status>, Unavailable> {
        let keyring = self.shared.keyring();
        match self.ask(move |connection| find_by_token(connection, id, token, keyring.as_deref())).await? {
            None if self.shared.is_failing() => Err(Unavailable),
            status => Ok(status),
        }
    }

    /// A finished transaction with all that is kept of it; `None` where it is not known here.
    pub async fn get(&self, id: Id) -> Result<Option<Detail>, Unavailable> {
        let keyring = self.shared.keyring();
        self.ask(move |connection| list::get(connection, id, keyring.as_deref())).await
    }

    /// The newest finished transactions that a page reaches: at most one more than it holds.
    pub async fn list(&self, filter: Filter, page: Page) -> Result<Vec<View>, Unavailable> {
        let keyring = self.shared.keyring();
        self.ask(move |connection| list::list(connection, &filter, page, keyring.as_deref())).await
    }

    /// How a finished transaction has ended; `None` where it is not known here.
    pub(crate) async fn verdict_of(&self, id: Id) -> Result<Option<Verdict>, Unavailable> {
        self.ask(move |connection| verdict_of(connection, id)).await
    }

    /// Puts a question to the first thread that is free.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let put = move |reader: &mut Reader| {
            // Whoever asked may be gone.
            let _ = reply.send(reader.answer(question));
        };
        self.questions.try_send(Box::new(put)).map_err(|_| Unavailable)?;
        answer.await.unwrap_or(Err(Unavailable))
    }
}

impl Reader {
    fn answer<T>(
        &mut self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Unavailable> {
        let answer = self.connection().and_then(question);
        answer.map_err(|error| {
            tracing::warn!(%error, file = %self.path.display(), "history could not be read");
            self.open = None;
            Unavailable
        })
    }

    fn connection(&mut self) -> rusqlite::Result<&Connection> {
        let generation = self.shared.generation();
        let kept = self.open.take().filter(|(of, _)| *of == generation);
        let open = match kept {
            Some(open) => open,
            None => (generation, schema::open_to_read(&self.path)?),
        };
        Ok(&self.open.insert(open).1)
    }
}

pub(crate) fn answer_of(connection: &Connection, id: Id) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut statement = connection.prepare_cached(
        "SELECT answer FROM transactions WHERE id = ?1 \
         UNION ALL SELECT answer FROM keys WHERE id = ?1 AND answer IS NOT NULL",
    )?;
    statement.query_row([id_bytes(id)], |row| row.get(0)).optional()
}

/// What the client was told, opened where it is sealed; where that cannot be, why.
fn told(keyring: Option<&Keyring>, id: Id, stored: Bytes) -> Option<ClientAnswer> {
    unanimo_coordinator::stored_answer(keyring, id, &stored).unwrap_or_else(Some)
}

fn find_by_token(
    connection: &Connection,
    id: Id,
    token: Token,
    keyring: Option<&Keyring>,
) -> rusqlite::Result<Option<Status>> {
    let mut statement =
        connection.prepare_cached("SELECT token, verdict, flags, answer FROM transactions WHERE id = ?1")?;
    let hash = token_hash(id, token).0;
    let found = statement.query_row([id_bytes(id)], |row| {
        if row.get::<_, [u8; 16]>(0)? != hash {
            return Ok(None);
        }
        let verdict = verdict(row, 1)?;
        let answer = told(keyring, id, Bytes::from(row.get::<_, Vec<u8>>(3)?));
        let heuristic = Flags::from_bits(row.get(2)?).has(Flag::Heuristic);
        Ok(Some(Status {
            transaction: id,
            state: ended(verdict),
            verdict: Some(verdict),
            finished: true,
            heuristic,
            answer,
        }))
    });
    Ok(found.optional()?.flatten())
}

fn verdict_of(connection: &Connection, id: Id) -> rusqlite::Result<Option<Verdict>> {
    let mut statement = connection.prepare_cached("SELECT verdict FROM transactions WHERE id = ?1")?;
    statement.query_row([id_bytes(id)], |row| verdict(row, 0)).optional()
}

pub(crate) fn verdict(row: &Row<'_>, column: usize) -> rusqlite::Result<Verdict> {
    Ok(if row.get(column)? { Verdict::Commit } else { Verdict::Rollback })
}

/// The state of what has ended so.
pub(crate) fn ended(verdict: Verdict) -> State {
    match verdict {
        Verdict::Commit => State::Committed,
        Verdict::Rollback => State::RolledBack,
    }
}
