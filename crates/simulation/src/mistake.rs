//! Mistakes that can be planted, to see that the simulation finds what it is there to find.

use unanimo_protocol::planted;

/// A mistake of production code, or of what stands around it: a participant, the gateway's shell, the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// One that stands in production code, behind a switch.
    Code(planted::Mistake),
    /// A participant votes before its vote would survive a crash.
    VotesBeforeSync,
    /// A participant does not remember an undo that came before the work.
    ForgetsEarlyUndo,
    /// A participant does the work that it is asked for after its undo.
    WorksAfterUndo,
    /// A participant does not remember that it refused.
    ForgetsRefusal,
    /// A participant does the same work once more when it is asked again.
    DoesTwice,
    /// A participant knows a transaction by the beginning of its id, with which other ids begin too.
    KnowsByPrefix,
    /// A participant refuses to make good what it has never done.
    RefusesEmptyCompensation,
    /// A participant does not ask for the verdict of what it holds.
    NeverAsks,
    /// A participant that hears no verdict when it asks rolls back by itself.
    PresumesByItself,
    /// The shell takes silence for a refusal.
    SilenceIsRefusal,
    /// The shell hands an answer to whatever attempt is under way.
    AnswersAnyAttempt,
    /// History lets segments go before it has taken what has ended in them.
    ReleasesUntaken,
    /// The disk says that it has synced, and has not.
    SyncLies,
}

impl Mistake {
    /// The mistakes that stand around production code.
    const AROUND: [Mistake; 13] = [
        Mistake::VotesBeforeSync,
        Mistake::ForgetsEarlyUndo,
        Mistake::WorksAfterUndo,
        Mistake::ForgetsRefusal,
        Mistake::DoesTwice,
        Mistake::KnowsByPrefix,
        Mistake::RefusesEmptyCompensation,
        Mistake::NeverAsks,
        Mistake::PresumesByItself,
        Mistake::SilenceIsRefusal,
        Mistake::AnswersAnyAttempt,
        Mistake::ReleasesUntaken,
        Mistake::SyncLies,
    ];

    /// Every mistake.
    pub fn all() -> impl Iterator<Item = Mistake> {
        planted::Mistake::ALL.into_iter().map(Mistake::Code).chain(Mistake::AROUND)
    }

    /// The word for the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Mistake::Code(mistake) => mistake.as_str(),
            Mistake::VotesBeforeSync => "votes-before-sync",
            Mistake::ForgetsEarlyUndo => "forgets-early-undo",
            Mistake::WorksAfterUndo => "works-after-undo",
            Mistake::ForgetsRefusal => "forgets-refusal",
            Mistake::DoesTwice => "does-twice",
            Mistake::KnowsByPrefix => "knows-by-prefix",
            Mistake::RefusesEmptyCompensation => "refuses-empty-compensation",
            Mistake::NeverAsks => "never-asks",
            Mistake::PresumesByItself => "presumes-by-itself",
            Mistake::SilenceIsRefusal => "silence-is-refusal",
            Mistake::AnswersAnyAttempt => "answers-any-attempt",
            Mistake::ReleasesUntaken => "releases-untaken",
            Mistake::SyncLies => "sync-lies",
        }
    }

    /// The mistake of a word; `None` when there is no such mistake.
    pub fn parse(word: &str) -> Option<Mistake> {
        Mistake::all().find(|mistake| mistake.as_str() == word)
    }

    /// The one to plant in production code.
    pub(crate) fn in_code(self) -> Option<planted::Mistake> {
        if let Mistake::Code(mistake) = self { Some(mistake) } else { None }
    }
}
