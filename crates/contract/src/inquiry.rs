//! What a participant hears that asks for the verdict of what it has prepared.

use crate::{Id, Verdict};

/// The path under which inquiries are answered, on the listener for participants: followed by the transaction.
pub const INQUIRIES: &str = "/inquiries/";

/// The answer to an inquiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// The verdict. A transaction of this node that nobody knows was rolled back.
    Known(Verdict),
    /// There is no verdict yet, or nobody can say now: ask again.
    Pending,
    /// The transaction belongs to another node: ask that one.
    NotMine,
}

impl Inquiry {
    /// Every answer.
    pub const ALL: [Inquiry; 4] = [
        Inquiry::Known(Verdict::Commit),
        Inquiry::Known(Verdict::Rollback),
        Inquiry::Pending,
        Inquiry::NotMine,
    ];

    /// The word that is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Inquiry::Known(verdict) => verdict.as_str(),
            Inquiry::Pending => "pending",
            Inquiry::NotMine => "not-mine",
        }
    }
}

/// Reads the path of an inquiry; `None` where it is none.
pub fn parse(path: &str) -> Option<Id> {
    path.strip_prefix(INQUIRIES)?.parse().ok()
}
