//! The seam between operators and whoever drives transactions.

use crate::{ClientAnswer, Id, Mode, State, Unavailable, Verdict};
use serde_json::{Value, json};

/// A transaction as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The transaction.
    pub id: Id,
    /// The route that it came by.
    pub route: String,
    /// Its mode.
    pub mode: Mode,
    /// Where it stands.
    pub state: State,
    /// The verdict, once there is one.
    pub verdict: Option<Verdict>,
    /// Why it was rolled back, in words.
    pub cause: Option<String>,
    /// The branch that refused, by name, where that is why.
    pub branch: Option<String>,
    /// Whether it needs somebody's eye: see the lexicon.
    pub stuck: bool,
    /// Whether a branch ended against the verdict.
    pub heuristic: bool,
    /// Whether the client gave an idempotency key.
    pub keyed: bool,
    /// When it began, in milliseconds since 1970 on the wall clock.
    pub began_unix_ms: u64,
    /// Its branches, in the order of its plan.
    pub branches: Vec<BranchView>,
    /// What the client is told, once there is a verdict.
    pub answer: Option<ClientAnswer>,
}

/// A branch as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchView {
    /// Its name.
    pub name: String,
    /// The service that carries it.
    pub service: String,
    /// Where it stands, in a word; `ended` once its transaction has.
    pub progress: &'static str,
    /// How many calls of its present operation this process has sent; `None` once its transaction has ended.
    pub attempts: Option<u32>,
    /// What its last answer was, in words; `None` before any.
    pub last_answer: Option<String>,
}

impl View {
    /// The view as JSON.
    pub fn to_json(&self) -> Value {
        let branches = self.branches.iter().map(|branch| {
            json!({
                "name": branch.name,
                "service": branch.service,
                "progress": branch.progress,
                "attempts": branch.attempts,
                "last_answer": branch.last_answer,
            })
        });
        json!({
            "id": self.id.to_string(),
            "route": self.route,
            "mode": self.mode.as_str(),
            "state": self.state.as_str(),
            "verdict": Verdict::number(self.verdict),
            "cause": self.cause,
            "branch": self.branch,
            "stuck": self.stuck,
            "heuristic": self.heuristic,
            "keyed": self.keyed,
            "began_unix_ms": self.began_unix_ms,
            "branches": branches.collect::<Vec<_>>(),
            "answer_status": self.answer.as_ref().map(|answer| answer.status),
        })
    }
}

/// What came of the wish to try again now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retried {
    /// The transaction.
    pub id: Id,
    /// Where it stands.
    pub state: State,
    /// The branches that are called now, by name: what they owed, without the rest of their pauses.
    pub called: Vec<String>,
    /// The branches whose call was under way already: it is not repeated before it has ended.
    pub under_way: Vec<String>,
}

impl Retried {
    /// What came of it as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "state": self.state.as_str(),
            "called": self.called,
            "under_way": self.under_way,
        })
    }
}

/// Which transactions a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those that need somebody's eye: stuck or heuristic.
    pub stuck: bool,
    /// Only those with an id above this one: the cursor.
    pub after: Option<Id>,
    /// At most so many; from 1 to [`Filter::LIMIT`].
    pub limit: usize,
}

impl Filter {
    /// The longest page.
    pub const LIMIT: usize = 1000;
}

/// One page of a list, ordered by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The transactions.
    pub transactions: Vec<View>,
    /// The cursor for the next page, where there may be one.
    pub next: Option<Id>,
}

impl Page {
    /// The first `limit` of these by id, with the cursor where there are more.
    pub fn of(mut transactions: Vec<View>, limit: usize) -> Page {
        transactions.sort_by_key(|view| view.id);
        let more = transactions.len() > limit;
        transactions.truncate(limit);
        let next = transactions.last().filter(|_| more).map(|view| view.id);
        Page { transactions, next }
    }
}

/// What operators may ask. Futures can move between threads: the admin listener has a runtime of its own.
pub trait Operations: Clone + Send + Sync + 'static {
    /// One transaction; `None` where the id is not known. Unknown never means rolled back.
    fn get(&self, id: Id) -> impl Future<Output = Result<Option<View>, Unavailable>> + Send;

    /// Calls now what a transaction owes, without the rest of its pauses; `None` where the id is not known.
    fn retry(&self, id: Id) -> impl Future<Output = Result<Option<Retried>, Unavailable>> + Send;

    /// A page of transactions.
    fn list(&self, filter: Filter) -> impl Future<Output = Result<Page, Unavailable>> + Send;
}
