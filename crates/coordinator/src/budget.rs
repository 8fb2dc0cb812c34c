//! Retry budgets: a service that has recovered is told what it missed as fast as it can hear it, and one that fails is
//! not asked ever more often because it fails. Retries without a token wait in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::budget::Budget as Tokens;
use unanimo_contract::{BranchIndex, Id};
use unanimo_protocol::Time;

use crate::Retry;

/// The budgets of all services.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    services: BTreeMap<Arc<str>, Budget>,
}

/// Invariant: `waiting` holds each branch at most once, so that it is bounded by the branches of open transactions.
#[derive(Debug)]
struct Budget {
    tokens: Tokens,
    waiting: VecDeque<(Id, BranchIndex)>,
}

impl Budgets {
    /// A first call left.
    pub(crate) fn note_first_call(&mut self, service: &Arc<str>, now: Time, retry: &Retry) {
        self.at(service, now, retry).tokens.note_first(&retry.allowance());
    }

    /// A retry was answered with success: its token comes back, with another one.
    pub(crate) fn succeeded(&mut self, service: &Arc<str>, now: Time, retry: &Retry) {
        self.at(service, now, retry).tokens.succeeded(&retry.allowance());
    }

    /// A retry was not needed: its token comes back.
    pub(crate) fn give_back(&mut self, service: &Arc<str>, now: Time, retry: &Retry) {
        self.at(service, now, retry).tokens.give_back(&retry.allowance());
    }

    /// Takes a token for a retry, or notes that the branch waits for one.
    pub(crate) fn take(
        &mut self,
        service: &Arc<str>,
        waiting: (Id, BranchIndex),
        now: Time,
        retry: &Retry,
    ) -> bool {
        let budget = self.at(service, now, retry);
        // Who waits already has a right to the next token, even where nobody has given it out yet.
        if budget.waiting.is_empty() && budget.tokens.take() {
            return true;
        }
        budget.waiting.push_back(waiting);
        false
    }

    /// The branch waits no more.
    pub(crate) fn withdraw(&mut self, service: &Arc<str>, waiting: (Id, BranchIndex)) {
        if let Some(budget) = self.services.get_mut(service) {
            budget.waiting.retain(|other| *other != waiting);
        }
    }

    /// Takes the next branch for which there is a token now, token and all.
    pub(crate) fn next_ready(&mut self, now: Time, retry: &Retry) -> Option<(Arc<str>, Id, BranchIndex)> {
        self.services.iter_mut().find_map(|(service, budget)| {
            budget.tokens.fill(since_start(now), &retry.allowance());
            if budget.waiting.is_empty() || !budget.tokens.take() {
                return None;
            }
            let (id, branch) = budget.waiting.pop_front()?;
            Some((service.clone(), id, branch))
        })
    }

    /// When the next token comes for somebody who waits.
    pub(crate) fn wake(&self, retry: &Retry) -> Option<Time> {
        let waiting = self.services.values().filter(|budget| !budget.waiting.is_empty());
        waiting.map(|budget| Time(0) + budget.tokens.next_token(&retry.allowance())).min()
    }

    fn at(&mut self, service: &Arc<str>, now: Time, retry: &Retry) -> &mut Budget {
        let (now, allowance) = (since_start(now), retry.allowance());
        let full = || Budget { tokens: Tokens::full(now, &allowance), waiting: VecDeque::new() };
        let budget = self.services.entry(service.clone()).or_insert_with(full);
        budget.tokens.fill(now, &allowance);
        budget
    }
}

fn since_start(now: Time) -> Duration {
    now.since(Time(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCH: (Id, BranchIndex) = (Id::from_bits(7), BranchIndex(0));

    fn service() -> Arc<str> {
        Arc::from("bank")
    }

    #[test]
    fn without_tokens_retries_wait_for_time() {
        let (mut budgets, retry, now) = (Budgets::default(), Retry::default(), Time(0));
        for _ in 0..10 {
            assert!(budgets.take(&service(), BRANCH, now, &retry));
        }
        assert!(!budgets.take(&service(), BRANCH, now, &retry));
        assert_eq!(budgets.next_ready(now, &retry), None);
        let wake = budgets.wake(&retry).unwrap();
        assert!(wake > now && wake <= now + Duration::from_millis(101), "{wake:?}");
        assert_eq!(budgets.next_ready(wake, &retry), Some((service(), BRANCH.0, BRANCH.1)));
        assert_eq!(budgets.wake(&retry), None);
    }

    #[test]
    fn a_success_gives_its_token_back() {
        let (mut budgets, retry, now) = (Budgets::default(), Retry::default(), Time(0));
        while budgets.take(&service(), BRANCH, now, &retry) {}
        budgets.give_back(&service(), now, &retry);
        assert_eq!(budgets.next_ready(now, &retry), Some((service(), BRANCH.0, BRANCH.1)));
    }

    #[test]
    fn successes_let_more_retries_be_under_way_up_to_a_bound_and_silence_ends_that() {
        let (mut budgets, retry, now) = (Budgets::default(), Retry::default(), Time(0));
        let all = |budgets: &mut Budgets| {
            (0..).take_while(|_| budgets.take(&service(), BRANCH, now, &retry)).count()
        };
        assert_eq!(all(&mut budgets), 10);
        budgets.withdraw(&service(), BRANCH);
        (0..10).for_each(|_| budgets.succeeded(&service(), now, &retry));
        assert_eq!(all(&mut budgets), 20);
        budgets.withdraw(&service(), BRANCH);
        (0..1000).for_each(|_| budgets.succeeded(&service(), now, &retry));
        assert_eq!(all(&mut budgets), 64);
        budgets.withdraw(&service(), BRANCH);
        assert_eq!(all(&mut budgets), 0);
    }

    #[test]
    fn first_calls_bring_a_fifth_of_a_token_each() {
        let (mut budgets, retry, now) = (Budgets::default(), Retry::default(), Time(0));
        while budgets.take(&service(), BRANCH, now, &retry) {}
        (0..4).for_each(|_| budgets.note_first_call(&service(), now, &retry));
        assert_eq!(budgets.next_ready(now, &retry), None);
        (0..2).for_each(|_| budgets.note_first_call(&service(), now, &retry));
        assert_eq!(budgets.next_ready(now, &retry), Some((service(), BRANCH.0, BRANCH.1)));
    }
}
