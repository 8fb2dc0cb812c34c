//! The judge: holds the databases, the gateway's own list and every answer that a client got against each other.

use super::clients::Story;
use super::world::Facts;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What is known when everything has ended.
pub struct Evidence<'a> {
    pub services: &'a [&'static str],
    pub facts: &'a Facts,
    pub stories: &'a [Story],
    /// The gateway's own list. What it has forgotten is not in it.
    pub transactions: &'a [Value],
    /// Whether it may have forgotten any.
    pub forgets: bool,
}

/// Everything that is wrong, each in a sentence. Empty is right.
pub fn judge(evidence: &Evidence) -> Vec<String> {
    let mut flaws = evidence.facts.flaws.clone();
    flaws.extend(evidence.facts.held.iter().map(|held| format!("in doubt: {held}")));
    let by_number: BTreeMap<u64, &Story> =
        evidence.stories.iter().map(|story| (story.number, story)).collect();
    let mut effected: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for (transaction, effects) in &evidence.facts.effects {
        whole(evidence, transaction, effects, &by_number, &mut flaws);
        if let Some(number) = evidence.facts.numbers.get(transaction) {
            effected.entry(*number).or_default().insert(transaction);
        }
    }
    let nothing = BTreeSet::new();
    for story in evidence.stories {
        let effected = effected.get(&story.number).unwrap_or(&nothing);
        told_truly(story, effected, evidence.forgets, &mut flaws);
    }
    listed_truly(evidence, &mut flaws);
    flaws
}

/// A transaction has its own effect in all services, once.
fn whole(
    evidence: &Evidence,
    transaction: &str,
    effects: &BTreeMap<&'static str, Vec<String>>,
    by_number: &BTreeMap<u64, &Story>,
    flaws: &mut Vec<String>,
) {
    for service in evidence.services {
        match effects.get(service).map_or(0, Vec::len) {
            0 => flaws.push(format!("split: {transaction} has no effect in {service}, only {effects:?}")),
            1 => {}
            more => {
                flaws.push(format!("doubled: {transaction} has {more} effects in {service}: {effects:?}"))
            }
        }
    }
    let number = evidence.facts.numbers.get(transaction);
    let Some(story) = number.and_then(|number| by_number.get(number)) else {
        return flaws.push(format!("{transaction} has effects that nobody asked for: {effects:?}"));
    };
    let Some(wanted) = &story.wish.effects else {
        return flaws.push(format!("{transaction} has effects although it must be refused: {story:?}"));
    };
    for (service, effect) in wanted {
        if effects.get(service).is_some_and(|found| !found.contains(effect)) {
            flaws.push(format!("{transaction} in {service}: wanted {effect}, found {effects:?}"));
        }
    }
}

/// Nobody was told an untruth, and whoever gave a key was told the truth, always in the same words.
///
/// Where the journal forgets what has ended, a promise may be asked for too late: then only its effects are judged.
fn told_truly(story: &Story, effected: &BTreeSet<&str>, forgets: bool, flaws: &mut Vec<String>) {
    let mut flaw = |what: &str| flaws.push(format!("{what}: {story:?}, with effects of {effected:?}"));
    if !story.flaws.is_empty() {
        flaw("an answer that should not be");
    }
    if effected.len() > 1 {
        flaw("doubled: one request, several transactions");
    }
    let Some(first) = story.told.first() else {
        match &story.key {
            Some(_) => flaw("a key without a definite answer"),
            None if story.promised.is_some() && !forgets => flaw("a promise without a definite answer"),
            None if story.is_turned_away && !effected.is_empty() => flaw("told that nothing was begun"),
            None => {}
        }
        return;
    };
    for told in &story.told {
        // Without a key, a rollback's cause may be forgotten by a crash; the rollback may not.
        let is_same =
            if story.key.is_some() { told == first } else { told.is_committed() == first.is_committed() };
        if !is_same || told.transaction != first.transaction {
            flaw("two different answers");
        }
        let can_be = match &story.wish.effects {
            Some(_) => ["committed", "deadline", "interrupted"],
            None => ["refused", "deadline", "interrupted"],
        };
        if !can_be.contains(&told.word()) {
            flaw("an answer that cannot be true");
        }
        match (told.is_committed(), effected.contains(told.transaction.as_str())) {
            (true, false) => flaw("lost: told committed, without effect"),
            (false, true) => flaw("told rolled back, with an effect"),
            _ => {}
        }
        if !told.is_committed() && !effected.is_empty() {
            flaw("told rolled back, and another transaction of the request has an effect");
        }
        if told.is_committed() && told.body["transaction"] != *told.transaction {
            flaw("an answer of another transaction");
        }
    }
}

/// The gateway's own list says the same as the databases.
fn listed_truly(evidence: &Evidence, flaws: &mut Vec<String>) {
    let mut committed = BTreeSet::new();
    for view in evidence.transactions {
        let id = view["id"].as_str().unwrap_or_default();
        let has_effect = evidence.facts.effects.contains_key(id);
        match (view["state"].as_str(), view["verdict"].as_i64()) {
            (Some("committed"), Some(1)) if has_effect => drop(committed.insert(id)),
            (Some("rolled-back"), Some(0)) if !has_effect => {}
            _ => flaws.push(format!("listed untruly, with effect: {has_effect}: {view}")),
        }
        let has =
            |flag: &str| view["flags"].as_array().is_some_and(|flags| flags.iter().any(|has| has == flag));
        if has("heuristic") || has("stuck") {
            flaws.push(format!("stuck, or ended against its verdict: {view}"));
        }
    }
    if !evidence.forgets {
        let unlisted: Vec<_> =
            evidence.facts.effects.keys().filter(|id| !committed.contains(id.as_str())).collect();
        flaws.extend((!unlisted.is_empty()).then(|| format!("with effects, and not listed: {unlisted:?}")));
    }
}
