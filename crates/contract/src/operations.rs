//! The seam between operators and whoever drives transactions.
//!
//! A [`View`] is a line of a list; a [`Detail`] adds what was said and when; a [`Watched`] is what a watcher hears.

mod detail;
mod filter;
mod page;
mod resolution;
mod timeline;
mod view;
mod watch;

pub use detail::{Asked, Body, Detail, Exchange, Heard};
pub use filter::{Filter, Flag, Flags, Traits};
pub use page::{Cursor, Listed, NotACursor, Page};
pub use resolution::{Refusal, Resolve, Resolved, Wish, Word};
pub use timeline::{Moment, MomentKind, Timeline};
pub use view::{BranchView, Retried, View};
pub use watch::{Lagged, NotAPosition, Position, Watch, Watched};

use crate::{Id, Unavailable};

/// What operators may ask. Futures can move between threads: the admin listener has a runtime of its own.
pub trait Operations: Clone + Send + Sync + 'static {
    /// What a watcher reads from.
    type Watch: Watch;

    /// One transaction with all that is kept of it; `None` where the id is not known. Unknown never means rolled back.
    fn get(&self, id: Id) -> impl Future<Output = Result<Option<Detail>, Unavailable>> + Send;

    /// A page of transactions, open and finished, newest first.
    fn list(&self, filter: Filter, page: Page) -> impl Future<Output = Result<Listed, Unavailable>> + Send;

    /// Everything that happens from now on, or from a position on; `None` where too many watch.
    fn watch(&self, from: Option<Position>) -> Option<Self::Watch>;

    /// Calls now what a transaction owes, without the rest of its pauses; `None` where the id is not known.
    fn retry(&self, id: Id) -> impl Future<Output = Result<Option<Retried>, Unavailable>> + Send;

    /// Ends by hand what cannot end by itself, once that is durable; `None` where the id is not known.
    fn resolve(
        &self,
        id: Id,
        resolve: Resolve,
    ) -> impl Future<Output = Result<Option<Result<Resolved, Refusal>>, Unavailable>> + Send;
}
