//! Seeds that every change must pass, and what they must have brought about.

use std::collections::BTreeMap;
use unanimo_simulation::{Trace, run};

/// What the storms are there for. A simulation that never brings it about proves nothing of it.
const SIGHTS: &[&str] = &[
    // Ends.
    "committed",
    "refused",
    "deadline",
    "interrupted",
    "heuristic",
    // What clients meet.
    "accepted",
    "in-progress",
    "key-reused",
    "overloaded",
    "not-ready",
    "unrenderable",
    "second wave",
    "severed",
    "the same answer after a crash",
    // What participants hear that ask, and what is not written for them.
    "asked: silence",
    "asked: pending",
    "asked: commit",
    "asked: rollback",
    "began unwritten",
    "written late",
    "only read, unwritten",
    "rolled back, unwritten",
    "forgotten, and presumed",
    // What sagas come to.
    "unanswered",
    "a step left",
    "went on after a crash",
    "a pivot left",
    "a retriable step left",
    "compensated",
    "compensated by a call of its own",
    "compensated without marks",
    "compensation before its action",
    "undo without marks",
    // What happens to the configuration.
    "reloaded",
    "reloaded while transactions were open",
    // What happens to the process and its disk.
    "torn tail",
    "power cut in a write",
    "poisoned",
    "full disk",
    "broken start",
    "closed in good order",
    "dropped segment",
    "handed over",
    "recalled from history",
    "the journal's queue was full",
    "stood still",
    "the wall clock jumped",
    // What happens to calls on their way.
    "lost call",
    "late call",
    "doubled call",
    "lost answer",
    // What participants meet.
    "work after its undo",
    "undo before its work",
    "commit told again",
    "still running",
    // What operators are told.
    "noticed: stuck",
    "noticed: heuristic",
    "noticed: recovered",
];

#[test]
fn no_seed_breaks_a_promise_and_together_they_meet_everything() {
    let mut sights = BTreeMap::new();
    for seed in 0..250 {
        let report = run(seed, None, Trace::new(None));
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.transactions >= 20 && report.crashes >= 2, "seed {seed}: {report:?}");
        for (sight, count) in report.sights {
            *sights.entry(sight).or_insert(0) += count;
        }
    }
    let unseen: Vec<_> = SIGHTS.iter().filter(|sight| !sights.contains_key(*sight)).collect();
    assert!(unseen.is_empty(), "never seen: {unseen:?}; seen: {sights:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 2, 1 << 40] {
        let hash = || run(seed, None, Trace::new(None)).hash;
        assert_eq!(hash(), hash(), "seed {seed}");
    }
    assert_ne!(run(1, None, Trace::new(None)).hash, run(2, None, Trace::new(None)).hash);
}
