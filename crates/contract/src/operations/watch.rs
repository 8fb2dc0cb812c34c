//! What a watcher hears: every moment of every transaction, as it happens.

use super::{Filter, Flags, Moment, Traits, view::flag_words};
use crate::{Digest, Id, Mode, Plan, State, Verdict};
use serde_json::{Value, json};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// One moment of one transaction, and how it stands after it.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The transaction.
    pub id: Id,
    /// Its plan: it names the route and the branches.
    pub plan: Arc<Plan>,
    /// Its mode.
    pub mode: Mode,
    /// Where it stands.
    pub state: State,
    /// The verdict, once there is one.
    pub verdict: Option<Verdict>,
    /// What stands beside its state.
    pub flags: Flags,
    /// The scope of its idempotency key.
    pub key: Option<Digest>,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// What happened.
    pub moment: Moment,
}

impl Watched {
    /// Whether a filter takes the transaction as it stands after the moment.
    pub fn is_taken_by(&self, filter: &Filter) -> bool {
        let Watched { id, mode, state, verdict, flags, key, began_unix_ms, .. } = *self;
        let traits = Traits { id, state, verdict, mode, route: &self.plan.route, began_unix_ms, key, flags };
        filter.takes(&traits, self.plan.branches.iter().map(|branch| (&*branch.name, &*branch.service)))
    }

    /// The change as JSON.
    pub fn to_json(&self) -> Value {
        let name =
            |branch: crate::BranchIndex| self.plan.branches.get(branch.at()).map(|branch| &*branch.name);
        json!({
            "id": self.id.to_string(),
            "route": self.plan.route,
            "mode": self.mode.as_str(),
            "state": self.state.as_str(),
            "verdict": Verdict::number(self.verdict),
            "flags": flag_words(self.flags),
            "began_unix_ms": self.began_unix_ms,
            "moment": self.moment.to_json(name),
        })
    }
}

/// A place in the stream of changes of one start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The start: its journal's epoch.
    pub epoch: u32,
    /// The change's number since then, from 1.
    pub number: u64,
}

/// This text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Position, NotAPosition> {
        let (epoch, number) = text.split_once('-').ok_or(NotAPosition)?;
        let epoch = epoch.parse().map_err(|_| NotAPosition)?;
        Ok(Position { epoch, number: number.parse().map_err(|_| NotAPosition)? })
    }
}

/// So many changes went by before the watcher could read them: it has to look anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged {
    /// How many, at least.
    pub missed: u64,
}

/// A watcher's end of the stream. Dropping it ends the watching.
pub trait Watch: Send + 'static {
    /// The place before the next change.
    fn position(&self) -> Position;

    /// Whether it goes on from where it was asked to; else what happened before is not known.
    fn is_resumed(&self) -> bool;

    /// The next change. Waits until there is one; after [`Lagged`] nothing more comes.
    fn next(&mut self) -> impl Future<Output = Result<(Position, Arc<Watched>), Lagged>> + Send;
}
