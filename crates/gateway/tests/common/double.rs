//! Stands in for the runtime: it keeps what is submitted, and replies as it is told.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use unanimo_contract::{
    ClientAnswer, Id, Inquiry, Reply, Severed, State, Status, Submission, Token, Transactions, Unavailable,
    Verdict,
};

/// The only transaction that it knows.
pub const ID: Id = Id::from_bits(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
pub const TOKEN: Token = Token(0x0123_4567_89ab_cdef);

/// What becomes of a submission.
#[derive(Clone, Debug)]
pub enum Fate {
    Reply(Reply),
    Severed,
    Panic,
    /// Nothing, ever.
    Silence,
}

type Decide = dyn Fn(&Submission) -> Fate + Send + Sync;

/// Stands in for the runtime.
#[derive(Clone)]
pub struct Double {
    fate: Arc<Decide>,
    submissions: Arc<Mutex<Vec<Submission>>>,
    /// How many waiters went before they had an answer.
    pub abandoned: Arc<AtomicUsize>,
}

impl Default for Double {
    fn default() -> Double {
        Double::always(Fate::Reply(committed()))
    }
}

/// A transaction that committed and is finished.
pub fn committed() -> Reply {
    Reply { transaction: Some(ID), finished: Some(true), answer: ClientAnswer::json(200, r#"{"done":true}"#) }
}

impl Double {
    pub fn new(fate: impl Fn(&Submission) -> Fate + Send + Sync + 'static) -> Double {
        Double { fate: Arc::new(fate), submissions: Arc::default(), abandoned: Arc::default() }
    }

    pub fn always(fate: Fate) -> Double {
        Double::new(move |_| fate.clone())
    }

    /// All that was submitted, in its order.
    pub fn submissions(&self) -> Vec<Submission> {
        self.submissions.lock().unwrap().clone()
    }

    /// The only submission.
    pub fn submission(&self) -> Submission {
        let submissions = self.submissions();
        assert_eq!(submissions.len(), 1);
        submissions[0].clone()
    }
}

/// Counts a waiter that goes too early.
struct Waiter(Option<Arc<AtomicUsize>>);

impl Drop for Waiter {
    fn drop(&mut self) {
        if let Some(abandoned) = &self.0 {
            abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Transactions for Double {
    async fn submit(&self, submission: Submission) -> Result<Reply, Severed> {
        let fate = (self.fate)(&submission);
        self.submissions.lock().unwrap().push(submission);
        let mut waiter = Waiter(Some(self.abandoned.clone()));
        // As in the real one, the answer never comes at once.
        tokio::task::yield_now().await;
        let reply = match fate {
            Fate::Reply(reply) => Ok(reply),
            Fate::Severed => Err(Severed),
            Fate::Panic => panic!("a mistake, made on purpose"),
            Fate::Silence => pending().await,
        };
        waiter.0 = None;
        reply
    }

    async fn status(&self, transaction: Id, token: Token) -> Result<Option<Status>, Unavailable> {
        let known = transaction == ID && token.matches(TOKEN);
        Ok(known.then(|| Status {
            transaction,
            state: State::Committing,
            verdict: Some(Verdict::Commit),
            finished: false,
            heuristic: false,
            answer: Some(ClientAnswer::json(200, "{}")),
        }))
    }

    async fn inquire(&self, transaction: Id) -> Inquiry {
        if transaction == ID { Inquiry::Known(Verdict::Commit) } else { Inquiry::NotMine }
    }

    fn is_ready(&self) -> bool {
        true
    }
}
