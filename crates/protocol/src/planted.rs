//! Mistakes that tests plant into production code, to see that they are found.
//!
//! Each stands at its place as one condition on [`planted`]. Only builds with the feature `mistakes` can plant any:
//! without it the answer is a constant `false`, and nothing of this is in the program. The feature is for the simulation
//! and for tests alone (`tidy` sees to it); `docs/planted-mistakes.md` says what finds each of them.

/// A mistake that production code could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A 409 to a later attempt, which says that an earlier one still runs, is read as a refusal.
    ConflictRefuses,
    /// A branch that refused a later attempt is not undone, as if no earlier one could have done its work.
    SparesAfterRetry,
    /// After a replay attempts are counted from one again.
    CountsAnew,
    /// Events are decided while records of the last decision are not synced.
    DecidesWhileUnsynced,
    /// After a replay the calls of a wave are rendered again, without the answers that they name.
    RendersAgain,
    /// An unknown transaction is presumed to be rolled back before replay has ended.
    PresumesEarly,
    /// An inquiry about a transaction whose votes are collected is answered as if it had been rolled back.
    PresumesWhileCollecting,
    /// A client is promised an answer before the beginning is in the journal.
    PromisesUnwritten,
    /// A commit's records lack the beginning that was not written before.
    ForgetsBegun,
    /// Forced records settle before their sync.
    SettlesBeforeSync,
    /// A rollback that a client may ask for by its key is not forced.
    KeyedRollbackLazy,
    /// A sync that failed is tried again.
    RetriesSync,
    /// What a crash left of an unsynced batch is taken for damage.
    TornIsDamage,
    /// A damaged batch is taken for one that was never synced.
    DamageIsTorn,
    /// Batches carry no salt.
    NoSalt,
    /// The intent to take a saga's next step is not recorded before the step is taken.
    IntentUnrecorded,
    /// A saga's action whose answer never came is not compensated.
    SkipsUnknownAction,
    /// A saga is rolled back although its pivot may have acted.
    CompensatesPastPivot,
    /// A saga's compensations begin before its rollback is durable.
    SagaRollbackLazy,
    /// After a crash a saga goes on whose actions need a credential that its client alone had.
    ResumesWithoutCredential,
    /// Compensations run in the order of the actions.
    CompensatesForwards,
    /// Retriable steps act before the saga's verdict.
    RetriableTooEarly,
    /// A step of a service that keeps no fence is asked again when its answer did not come.
    RepeatsUnfenced,
}

impl Mistake {
    /// Every mistake.
    pub const ALL: [Mistake; 23] = [
        Mistake::ConflictRefuses,
        Mistake::SparesAfterRetry,
        Mistake::CountsAnew,
        Mistake::DecidesWhileUnsynced,
        Mistake::RendersAgain,
        Mistake::PresumesEarly,
        Mistake::PresumesWhileCollecting,
        Mistake::PromisesUnwritten,
        Mistake::ForgetsBegun,
        Mistake::SettlesBeforeSync,
        Mistake::KeyedRollbackLazy,
        Mistake::RetriesSync,
        Mistake::TornIsDamage,
        Mistake::DamageIsTorn,
        Mistake::NoSalt,
        Mistake::IntentUnrecorded,
        Mistake::SkipsUnknownAction,
        Mistake::CompensatesPastPivot,
        Mistake::SagaRollbackLazy,
        Mistake::ResumesWithoutCredential,
        Mistake::CompensatesForwards,
        Mistake::RetriableTooEarly,
        Mistake::RepeatsUnfenced,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mistake::ConflictRefuses => "conflict-refuses",
            Mistake::SparesAfterRetry => "spares-after-retry",
            Mistake::CountsAnew => "counts-anew",
            Mistake::DecidesWhileUnsynced => "decides-while-unsynced",
            Mistake::RendersAgain => "renders-again",
            Mistake::PresumesEarly => "presumes-early",
            Mistake::PresumesWhileCollecting => "presumes-while-collecting",
            Mistake::PromisesUnwritten => "promises-unwritten",
            Mistake::ForgetsBegun => "forgets-begun",
            Mistake::SettlesBeforeSync => "settles-before-sync",
            Mistake::KeyedRollbackLazy => "keyed-rollback-lazy",
            Mistake::RetriesSync => "retries-sync",
            Mistake::TornIsDamage => "torn-is-damage",
            Mistake::DamageIsTorn => "damage-is-torn",
            Mistake::NoSalt => "no-salt",
            Mistake::IntentUnrecorded => "intent-unrecorded",
            Mistake::SkipsUnknownAction => "skips-unknown-action",
            Mistake::CompensatesPastPivot => "compensates-past-pivot",
            Mistake::SagaRollbackLazy => "saga-rollback-lazy",
            Mistake::ResumesWithoutCredential => "resumes-without-credential",
            Mistake::CompensatesForwards => "compensates-forwards",
            Mistake::RetriableTooEarly => "retriable-too-early",
            Mistake::RepeatsUnfenced => "repeats-unfenced",
        }
    }
}

/// Whether this mistake is planted.
#[cfg(not(feature = "mistakes"))]
pub const fn planted(_: Mistake) -> bool {
    false
}

#[cfg(feature = "mistakes")]
pub use switch::{Plant, planted};

#[cfg(feature = "mistakes")]
mod switch {
    use super::Mistake;
    use std::cell::Cell;

    std::thread_local! {
        static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
    }

    /// Whether this mistake is planted on this thread.
    pub fn planted(mistake: Mistake) -> bool {
        PLANTED.get() == Some(mistake)
    }

    /// A mistake on this thread, until it is dropped.
    #[derive(Debug)]
    #[must_use = "what is dropped at once finds nothing"]
    pub struct Plant(());

    impl Plant {
        /// Plants a mistake, or nothing.
        pub fn new(mistake: Option<Mistake>) -> Plant {
            PLANTED.set(mistake);
            Plant(())
        }
    }

    impl Drop for Plant {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
}
