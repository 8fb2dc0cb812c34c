//! Counts, kept from the start: plain numbers that the shell may read at any time.

use std::collections::BTreeMap;
use unanimo_contract::{Mode, Operation, Outcome, State};
use unanimo_protocol::Cause;

/// What an owner has done, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transactions that began, by mode: durably, or unwritten where every participant asks.
    pub begun: BTreeMap<Mode, u64>,
    /// Verdicts, by mode and in the words `committed`, `refused`, `deadline`, `interrupted`, `unusable-answer`,
    /// `too-large`, `by-hand`.
    pub concluded: BTreeMap<(Mode, &'static str), u64>,
    /// Transactions of which every branch has acknowledged the verdict, by mode.
    pub finished: BTreeMap<Mode, u64>,
    /// Branches that ended against the verdict.
    pub heuristic: u64,
    /// Submissions that began nothing, by the problem's name.
    pub turned_away: BTreeMap<&'static str, u64>,
    /// Answers of participants, by operation and outcome.
    pub answers: BTreeMap<(Operation, Outcome), u64>,
    /// Calls that left.
    pub calls: u64,
    /// Those of them that were not a first attempt.
    pub retries: u64,
    /// Those that nobody waited for: of transactions that replay found, and retries whose client has its answer.
    pub unwaited: u64,
    /// Retries that had to wait for a token of their service's budget.
    pub retries_held: u64,
    /// Open transactions now, by state.
    pub open: BTreeMap<State, u64>,
    /// Stuck transactions now.
    pub stuck: u64,
    /// Transactions now of which a branch ended against the verdict.
    pub heuristic_open: u64,
    /// Transactions now that wait for an operator, out of a restored journal.
    pub quarantined: u64,
    /// Finished transactions that are remembered now, since history has not taken them yet.
    pub remembered: u64,
    /// Idempotency keys that stand for a transaction now.
    pub keys: u64,
    /// Idempotency keys that were forgotten before their time, since there were too many.
    pub keys_cut_short: u64,
    /// Transactions that replay found open.
    pub recovered: u64,
    /// Those of them that have not ended yet.
    pub recovering: u64,
}

impl Tally {
    /// Adds another owner's counts.
    pub fn add(&mut self, other: &Tally) {
        sum(&mut self.begun, &other.begun);
        sum(&mut self.concluded, &other.concluded);
        sum(&mut self.finished, &other.finished);
        sum(&mut self.turned_away, &other.turned_away);
        sum(&mut self.answers, &other.answers);
        sum(&mut self.open, &other.open);
        self.heuristic += other.heuristic;
        self.calls += other.calls;
        self.retries += other.retries;
        self.unwaited += other.unwaited;
        self.retries_held += other.retries_held;
        self.stuck += other.stuck;
        self.heuristic_open += other.heuristic_open;
        self.quarantined += other.quarantined;
        self.remembered += other.remembered;
        self.keys += other.keys;
        self.keys_cut_short += other.keys_cut_short;
        self.recovered += other.recovered;
        self.recovering += other.recovering;
    }
}

fn sum<K: Ord + Copy>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(*key).or_default() += count;
    }
}

/// Counts one more.
pub(crate) fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

/// How a transaction ended, in a word that metrics and views share.
pub(crate) fn end_word(cause: Option<Cause>) -> &'static str {
    cause.map_or("committed", Cause::as_str)
}
