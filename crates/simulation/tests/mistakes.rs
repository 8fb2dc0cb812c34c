//! The simulation's teeth: every planted mistake must be found, and soon.

use unanimo_simulation::{Mistake, Trace, run};

/// Within so many seeds.
const SEEDS: u64 = 400;

/// What was found, at the first seed that finds anything.
fn found(mistake: Mistake) -> String {
    let violation = |seed| run(seed, Some(mistake), Trace::new(None)).violation;
    let found = (0..SEEDS).find_map(violation);
    found.unwrap_or_else(|| panic!("{} was not found in {SEEDS} seeds", mistake.as_str()))
}

#[test]
fn a_vote_that_a_crash_forgets_is_found() {
    let found = found(Mistake::VotesBeforeSync);
    assert!(found.contains("without the vote") || found.contains("knows no vote"), "{found}");
}

#[test]
fn an_undo_that_is_not_remembered_is_found() {
    let found = found(Mistake::ForgetsEarlyUndo);
    assert!(found.contains("has not done what it was told") || found.contains("Held"), "{found}");
}

#[test]
fn a_refusal_that_is_not_remembered_is_found() {
    let found = found(Mistake::ForgetsRefusal);
    assert!(found.contains("has not done what it was told") || found.contains("Held"), "{found}");
}

#[test]
fn work_that_is_done_twice_is_found() {
    let found = found(Mistake::DoesTwice);
    assert!(found.contains("the same twice"), "{found}");
}

#[test]
fn silence_that_is_taken_for_a_refusal_is_found() {
    let found = found(Mistake::SilenceIsRefusal);
    assert!(found.contains("never refused"), "{found}");
}

#[test]
fn a_conflict_that_is_taken_for_a_refusal_is_found() {
    let found = found(Mistake::ConflictIsRefusal);
    assert!(found.contains("never refused"), "{found}");
}

#[test]
fn records_that_settle_before_their_sync_are_found() {
    let found = found(Mistake::SettlesBeforeSync);
    assert!(found.contains("before the beginning was durable"), "{found}");
}

#[test]
fn an_answer_to_another_attempt_is_found() {
    let found = found(Mistake::AnswersAnyAttempt);
    assert!(found.contains("has not done what it was told") || found.contains("not finished"), "{found}");
}

#[test]
fn a_sync_that_lies_is_found() {
    let found = found(Mistake::SyncLies);
    assert!(
        found.contains("was forgotten") || found.contains("lost") || found.contains("damaged"),
        "{found}"
    );
}
