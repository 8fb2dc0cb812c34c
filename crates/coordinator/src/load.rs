//! How much is open, and whom it waits for.
//!
//! What is not decided yet has one bound for all. What is decided and not told everywhere waits for the services that
//! have not heard, and has a bound for each: a service that is down turns away its own transactions and nobody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Load {
    undecided: usize,
    /// Branches that are to hear of a verdict, by service. A heuristic branch has heard.
    untold: BTreeMap<Arc<str>, usize>,
}

impl Load {
    /// A submission became a transaction.
    pub(crate) fn admitted(&mut self) {
        self.undecided += 1;
    }

    /// It was withdrawn before it began.
    pub(crate) fn withdrawn(&mut self) {
        self.undecided = self.undecided.saturating_sub(1);
    }

    /// It was decided, and these services are to hear of it.
    pub(crate) fn concluded<'a>(&mut self, tell: impl Iterator<Item = &'a Arc<str>>) {
        self.undecided = self.undecided.saturating_sub(1);
        tell.for_each(|service| *self.untold.entry(service.clone()).or_default() += 1);
    }

    /// One of them has heard.
    pub(crate) fn told(&mut self, service: &Arc<str>) {
        if let Some(untold) = self.untold.get_mut(service) {
            *untold = untold.saturating_sub(1);
        }
    }

    /// Why no transaction of these services is begun now, in words; `None` where one may be.
    pub(crate) fn too_much<'a>(
        &self,
        limit: usize,
        services: impl Iterator<Item = &'a Arc<str>>,
    ) -> Option<String> {
        if self.undecided >= limit {
            return Some(format!(
                "{} transactions are not decided yet; try again in a moment",
                self.undecided
            ));
        }
        let untold = |service: &Arc<str>| self.untold.get(service).copied().unwrap_or_default();
        let mut behind = services.filter(|service| untold(service) >= limit);
        behind.next().map(|service| {
            format!(
                "service {service} has {} verdicts to hear first; try again when it answers",
                untold(service)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_down_turns_away_its_own_alone() {
        let (up, down): (Arc<str>, Arc<str>) = (Arc::from("up"), Arc::from("down"));
        let mut load = Load::default();
        for _ in 0..3 {
            load.admitted();
            load.concluded([&up, &down].into_iter());
            load.told(&up);
        }
        assert_eq!(load.too_much(3, [&up].into_iter()), None);
        assert!(load.too_much(3, [&up, &down].into_iter()).is_some_and(|why| why.contains("service down")));
        load.told(&down);
        assert_eq!(load.too_much(3, [&up, &down].into_iter()), None);
    }

    #[test]
    fn what_is_undecided_has_one_bound() {
        let mut load = Load::default();
        load.admitted();
        load.admitted();
        assert!(load.too_much(2, std::iter::empty()).is_some());
        load.withdrawn();
        assert_eq!(load.too_much(2, std::iter::empty()), None);
    }
}
