//! Mistakes that can be planted around the production code, to see that the simulation finds what it is there to find.

/// A mistake of a participant, of the gateway's shell, or of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A participant votes before its vote would survive a crash.
    VotesBeforeSync,
    /// A participant does not remember an undo that came before the work.
    ForgetsEarlyUndo,
    /// A participant does not remember that it refused.
    ForgetsRefusal,
    /// A participant does the same work once more when it is asked again.
    DoesTwice,
    /// The shell takes silence for a refusal.
    SilenceIsRefusal,
    /// The shell takes a 409 to a later attempt, which says that an earlier one still runs, for a refusal.
    ConflictIsRefusal,
    /// The shell applies records before the disk has them.
    SettlesBeforeSync,
    /// The shell hands an answer to whatever attempt is under way.
    AnswersAnyAttempt,
    /// The disk says that it has synced, and has not.
    SyncLies,
}

impl Mistake {
    /// Every mistake.
    pub const ALL: [Mistake; 9] = [
        Mistake::VotesBeforeSync,
        Mistake::ForgetsEarlyUndo,
        Mistake::ForgetsRefusal,
        Mistake::DoesTwice,
        Mistake::SilenceIsRefusal,
        Mistake::ConflictIsRefusal,
        Mistake::SettlesBeforeSync,
        Mistake::AnswersAnyAttempt,
        Mistake::SyncLies,
    ];

    /// The word for the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mistake::VotesBeforeSync => "votes-before-sync",
            Mistake::ForgetsEarlyUndo => "forgets-early-undo",
            Mistake::ForgetsRefusal => "forgets-refusal",
            Mistake::DoesTwice => "does-twice",
            Mistake::SilenceIsRefusal => "silence-is-refusal",
            Mistake::ConflictIsRefusal => "conflict-is-refusal",
            Mistake::SettlesBeforeSync => "settles-before-sync",
            Mistake::AnswersAnyAttempt => "answers-any-attempt",
            Mistake::SyncLies => "sync-lies",
        }
    }

    /// The mistake of a word; `None` when there is no such mistake.
    pub fn parse(word: &str) -> Option<Mistake> {
        Mistake::ALL.into_iter().find(|mistake| mistake.as_str() == word)
    }
}
