//! One transaction at a glance, and what came of the wish to try again.

use super::{Cursor, Filter, Flag, Flags, Traits};
use crate::{ClientAnswer, Digest, Id, Mode, State, Verdict};
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
    /// What stands beside the state.
    pub flags: Flags,
    /// The scope of the client's idempotency key, where it gave one.
    pub key: Option<Digest>,
    /// When it began, in milliseconds since 1970 on the wall clock.
    pub began_unix_ms: u64,
    /// When every branch had acknowledged the verdict; `None` before, or where a crash has forgotten it.
    pub ended_unix_ms: Option<u64>,
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
    /// Its place in a list.
    pub fn place(&self) -> Cursor {
        Cursor { began_unix_ms: self.began_unix_ms, id: self.id }
    }

    /// Whether this flag stands beside its state.
    pub fn is(&self, flag: Flag) -> bool {
        self.flags.has(flag)
    }

    /// Whether a filter takes it: what every list must agree with.
    pub fn is_taken_by(&self, filter: &Filter) -> bool {
        let View { id, state, verdict, mode, began_unix_ms, key, flags, .. } = *self;
        let traits = Traits { id, state, verdict, mode, route: &self.route, began_unix_ms, key, flags };
        filter.takes(&traits, self.branches.iter().map(|branch| (&*branch.name, &*branch.service)))
    }

    /// The view as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id.to_string(),
            "route": self.route,
            "mode": self.mode.as_str(),
            "state": self.state.as_str(),
            "verdict": Verdict::number(self.verdict),
            "cause": self.cause,
            "branch": self.branch,
            "flags": flag_words(self.flags),
            "keyed": self.key.is_some(),
            "began_unix_ms": self.began_unix_ms,
            "ended_unix_ms": self.ended_unix_ms,
            "branches": self.branches.iter().map(BranchView::to_json).collect::<Vec<_>>(),
            "answer_status": self.answer.as_ref().map(|answer| answer.status),
        })
    }
}

/// Flags as the words of an array.
pub(super) fn flag_words(flags: Flags) -> Vec<&'static str> {
    flags.iter().map(Flag::as_str).collect()
}

impl BranchView {
    /// The branch as JSON.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "service": self.service,
            "progress": self.progress,
            "attempts": self.attempts,
            "last_answer": self.last_answer,
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
