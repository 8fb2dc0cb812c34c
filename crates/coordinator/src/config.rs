//! What an owner is told when it is made.

use crate::plans::Plans;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::budget::Allowance;
use unanimo_contract::sealing::Keyring;
use unanimo_contract::{Epoch, Node, Shard};

/// An owner's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node of the journal.
    pub node: Node,
    /// The epoch that the journal holds.
    pub epoch: Epoch,
    /// The shards that are owned; at least one.
    pub shards: Vec<Shard>,
    /// How many transactions may be open at a time.
    pub open_limit: usize,
    /// How many finished transactions are remembered at most, while history has not taken them.
    pub remembered_limit: usize,
    /// How long idempotency keys stand for their transactions.
    pub keys: KeyPromise,
    /// How calls are repeated.
    pub retry: Retry,
    /// The plans of the routes. One that comes with a submission and is not among them is parsed then.
    pub plans: Plans,
    /// The seed of the jitter. Guessing it harms nobody.
    pub seed: u64,
    /// The keys that seal what is secret, where there are any.
    pub keyring: Option<Arc<Keyring>>,
    /// Where the nonces of sealed values come from: bytes that nobody else has.
    pub nonces: [u8; 32],
}

/// What may change while an owner works.
#[derive(Clone, Debug)]
pub struct Change {
    /// How many transactions may be open at a time.
    pub open_limit: usize,
    /// How calls are repeated.
    pub retry: Retry,
    /// The plans of the routes.
    pub plans: Plans,
    /// The keys that seal what is secret from now on; nothing where those known so far stay.
    pub keyring: Option<Arc<Keyring>>,
}

/// How long idempotency keys stand for their transactions: until the first of the two bounds, and while those are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPromise {
    /// Counted from when the transaction began.
    pub time: Duration,
    /// How many may be known; beyond it the oldest promise is cut short.
    pub count: usize,
}

impl Default for KeyPromise {
    fn default() -> KeyPromise {
        KeyPromise { time: Duration::from_secs(24 * 60 * 60), count: 4_000_000 }
    }
}

impl KeyPromise {
    /// When a promise ends that was made with a transaction's beginning, both in milliseconds since 1970.
    pub fn until(&self, began_unix_ms: u64) -> u64 {
        began_unix_ms.saturating_add(u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How calls are repeated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// The upper bound of the first pause. Every further one is twice as long.
    pub initial: Duration,
    /// The upper bound of any pause.
    pub cap: Duration,
    /// How long a verdict may stay untold before the transaction counts as stuck.
    pub stuck_after: Duration,
    /// How many retries every first call of a service allows.
    pub budget_ratio: f64,
    /// How many retries a second of time allows.
    pub budget_per_second: f64,
}

impl Retry {
    /// What a service's budget allows.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance { ratio: self.budget_ratio, per_second: self.budget_per_second }
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            initial: Duration::from_millis(50),
            cap: Duration::from_secs(30),
            stuck_after: Duration::from_secs(60),
            budget_ratio: Allowance::default().ratio,
            budget_per_second: Allowance::default().per_second,
        }
    }
}

impl Retry {
    /// The upper bound of the pause before this attempt, which is at least the second.
    pub(crate) fn pause_limit(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(2).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap() {
        let retry = Retry::default();
        let millis = |attempt| retry.pause_limit(attempt).as_millis();
        assert_eq!([millis(2), millis(3), millis(4)], [50, 100, 200]);
        assert_eq!(retry.pause_limit(40), retry.cap);
        assert_eq!(retry.pause_limit(u32::MAX), retry.cap);
    }
}
