//! What recovery may take while clients wait: at most one call in five.
//!
//! A call is recovery's where nobody waits for it: of a transaction that replay has found, or a repetition whose client
//! has its answer already. Every other call brings a quarter of the right to one of them, so that recovery has no more
//! than a fifth of all calls. Where no client waits, or nothing has moved for those that do (they wait for a participant
//! that is silent, and nobody takes anything from them), recovery needs no right. It never has more than a few calls under
//! way to a service, so that clients who come meet no crowd there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::{BranchIndex, Id, Operation};
use unanimo_protocol::Time;

/// How many calls bring the right to one of recovery's.
const PER_RIGHT: u32 = 4;

/// How many rights are saved up at most.
const SAVED: u32 = 16;

/// How many of recovery's calls are under way to a service at most.
const UNDER_WAY: usize = 64;

/// After this, clients for whom nothing has moved hold nobody up.
const STILL: Duration = Duration::from_millis(100);

/// Who may call, and who waits for that.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// Clients that wait for their answer.
    waiting: usize,
    /// When something last moved for one of them.
    moved: Time,
    /// Quarters of rights.
    quarters: u32,
    lanes: BTreeMap<Arc<str>, Lane>,
    /// Where the last one was served: the next one comes from the service behind it.
    served: Option<Arc<str>>,
}

/// Recovery's calls to one service.
///
/// Invariant: `queue` holds each branch at most once, so that it is bounded by the branches of open transactions.
#[derive(Debug, Default)]
struct Lane {
    under_way: BTreeSet<(Id, BranchIndex, Operation)>,
    queue: VecDeque<(Id, BranchIndex)>,
}

impl Lane {
    fn has_room(&self) -> bool {
        self.under_way.len() < UNDER_WAY
    }
}

impl Share {
    /// A client waits from now on.
    pub(crate) fn joined(&mut self, now: Time) {
        self.waiting += 1;
        self.moved = self.moved.max(now);
    }

    /// A client waits no more.
    pub(crate) fn parted(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Something has moved for a client that waits.
    pub(crate) fn moved(&mut self, now: Time) {
        self.moved = self.moved.max(now);
    }

    /// A call left that is not recovery's.
    pub(crate) fn note_other(&mut self) {
        self.quarters = (self.quarters + 1).min(PER_RIGHT * SAVED);
    }

    /// Takes the right to one of recovery's calls, or notes that the branch waits for one.
    pub(crate) fn take(&mut self, service: &Arc<str>, waiting: (Id, BranchIndex), now: Time) -> bool {
        let free = self.is_free(now);
        let lane = self.lanes.entry(service.clone()).or_default();
        if lane.queue.is_empty() && lane.has_room() && spend(&mut self.quarters, free) {
            return true;
        }
        lane.queue.push_back(waiting);
        false
    }

    /// The branch waits no more.
    pub(crate) fn withdraw(&mut self, service: &Arc<str>, waiting: (Id, BranchIndex)) {
        if let Some(lane) = self.lanes.get_mut(service) {
            lane.queue.retain(|other| *other != waiting);
        }
    }

    /// Takes the next branch that may call now, service by service.
    pub(crate) fn next_ready(&mut self, now: Time) -> Option<(Id, BranchIndex)> {
        let is_ready = |(_, lane): &(&Arc<str>, &Lane)| !lane.queue.is_empty() && lane.has_room();
        let behind = match &self.served {
            Some(served) => (Bound::Excluded(served.clone()), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let next = self.lanes.range(behind).find(is_ready).or_else(|| self.lanes.iter().find(is_ready));
        let service = next.map(|(service, _)| service.clone())?;
        let free = self.is_free(now);
        if !spend(&mut self.quarters, free) {
            return None;
        }
        let next = self.lanes.get_mut(&service)?.queue.pop_front();
        self.served = Some(service);
        next
    }

    /// One of recovery's calls left.
    pub(crate) fn left(&mut self, service: &Arc<str>, call: (Id, BranchIndex, Operation)) {
        self.lanes.entry(service.clone()).or_default().under_way.insert(call);
    }

    /// A call was answered, whoever's it was.
    pub(crate) fn answered(&mut self, call: (Id, BranchIndex, Operation)) {
        // There are as many lanes as services that recovery calls.
        for lane in self.lanes.values_mut().filter(|lane| !lane.under_way.is_empty()) {
            lane.under_way.remove(&call);
        }
    }

    /// When those that wait may call, if nothing happens before.
    pub(crate) fn wake(&self) -> Option<Time> {
        let ready = self.lanes.values().any(|lane| !lane.queue.is_empty() && lane.has_room());
        ready.then_some(self.moved + STILL)
    }

    /// Whether recovery needs no right now.
    fn is_free(&self, now: Time) -> bool {
        self.waiting == 0 || self.moved + STILL <= now
    }
}

/// Spends a right, where one is needed.
fn spend(quarters: &mut u32, free: bool) -> bool {
    let left = quarters.checked_sub(PER_RIGHT);
    match (free, left) {
        (true, _) => true,
        (false, Some(left)) => {
            *quarters = left;
            true
        }
        (false, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRANCH: BranchIndex = BranchIndex(0);

    fn service(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    fn id(number: u128) -> Id {
        Id::from_bits(number)
    }

    #[test]
    fn four_other_calls_bring_one_of_recovery() {
        let (mut share, now) = (Share::default(), Time(1));
        share.joined(now);
        assert!(!share.take(&service("a"), (id(1), BRANCH), now));
        (0..3).for_each(|_| share.note_other());
        assert_eq!(share.next_ready(now), None);
        share.note_other();
        assert_eq!(share.next_ready(now), Some((id(1), BRANCH)));
        assert_eq!(share.next_ready(now), None);
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let (mut share, now) = (Share::default(), Time(1));
        share.joined(now);
        (0..10_000).for_each(|_| share.note_other());
        let taken = (0..100).filter(|number| share.take(&service("a"), (id(*number), BRANCH), now));
        assert_eq!(taken.count(), SAVED as usize);
    }

    #[test]
    fn nobody_waiting_or_nothing_moving_frees_it() {
        let (mut share, now) = (Share::default(), Time(1));
        assert!(share.take(&service("a"), (id(1), BRANCH), now));
        share.joined(now);
        assert!(!share.take(&service("a"), (id(2), BRANCH), now));
        let still = share.wake().unwrap();
        assert_eq!((still, share.next_ready(Time(still.0 - 1))), (now + STILL, None));
        assert_eq!(share.next_ready(still), Some((id(2), BRANCH)));
        assert!(!share.take(&service("a"), (id(3), BRANCH), now));
        share.parted();
        assert_eq!(share.next_ready(now), Some((id(3), BRANCH)));
    }

    #[test]
    fn a_service_that_is_silent_holds_its_own_calls_alone() {
        let (mut share, now) = (Share::default(), Time(1));
        let (silent, other) = (service("silent"), service("other"));
        for number in 0..=UNDER_WAY as u128 {
            let leaves = share.take(&silent, (id(number), BRANCH), now);
            assert_eq!(leaves, number < UNDER_WAY as u128);
            if leaves {
                share.left(&silent, (id(number), BRANCH, Operation::Commit));
            }
        }
        assert_eq!((share.next_ready(now), share.wake()), (None, None));
        assert!(share.take(&other, (id(1), BRANCH), now));
        share.answered((id(0), BRANCH, Operation::Commit));
        assert_eq!(share.next_ready(now), Some((id(UNDER_WAY as u128), BRANCH)));
    }

    #[test]
    fn services_take_turns() {
        let (mut share, now) = (Share::default(), Time(1));
        share.joined(now);
        for number in 0..3 {
            assert!(!share.take(&service("a"), (id(number), BRANCH), now));
            assert!(!share.take(&service("b"), (id(10 + number), BRANCH), now));
        }
        (0..16).for_each(|_| share.note_other());
        let served: Vec<Id> = std::iter::from_fn(|| share.next_ready(now)).map(|(id, _)| id).collect();
        assert_eq!(served, [id(0), id(10), id(1), id(11)]);
    }
}
