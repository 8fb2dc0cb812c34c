//! What is going to happen, in the order of time; what happens at one moment, in the order in which it was foretold.

use std::collections::BTreeMap;
use unanimo_protocol::Time;

/// Things to come.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    waiting: BTreeMap<(Time, u64), E>,
    sequence: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Queue<E> {
        Queue { waiting: BTreeMap::new(), sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: Time, event: E) {
        self.sequence += 1;
        self.waiting.insert((at, self.sequence), event);
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        self.waiting.pop_first().map(|((at, _), event)| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_and_then_the_order_of_foretelling() {
        let mut queue = Queue::new();
        for (at, event) in [(2, 'c'), (1, 'a'), (2, 'd'), (1, 'b')] {
            queue.push(Time(at), event);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
    }
}
