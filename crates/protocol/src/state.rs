//! Where a transaction and its branches stand, in words.

use std::fmt;

/// A transaction's state as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Not yet durable.
    Initial,
    /// Branches are asked to get ready.
    Preparing,
    /// Committed, and not every branch has heard.
    Committing,
    /// Committed and finished.
    Committed,
    /// Rolled back, and not every branch has heard.
    Undoing,
    /// Rolled back and finished.
    RolledBack,
}

impl State {
    /// Every state.
    pub const ALL: [State; 6] = [
        State::Initial,
        State::Preparing,
        State::Committing,
        State::Committed,
        State::Undoing,
        State::RolledBack,
    ];

    /// Whether every branch has acknowledged the verdict.
    pub fn is_finished(self) -> bool {
        matches!(self, State::Committed | State::RolledBack)
    }

    /// The word that APIs and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Initial => "initial",
            State::Preparing => "preparing",
            State::Committing => "committing",
            State::Committed => "committed",
            State::Undoing => "undoing",
            State::RolledBack => "rolled-back",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one branch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was ever sent to it.
    Idle,
    /// It was asked, and has not decided.
    Asked,
    /// It voted yes: it is in doubt until it is told.
    Ready,
    /// It voted yes and has nothing to commit or undo.
    ReadOnly,
    /// It refused. `spared`: the only attempt ever sent was refused, so that nothing needs an undo.
    Refused {
        /// Whether it needs no undo.
        spared: bool,
    },
    /// It acknowledged the verdict.
    Told,
    /// It ended against the verdict.
    Heuristic,
    /// It ended against the verdict, and a person has signed that off.
    SignedOff,
}
