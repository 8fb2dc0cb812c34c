//! Whether an endpoint is well, by what it answers when it is asked so from time to time.

use std::sync::Arc;
use std::time::Duration;

use crate::Statuses;

/// How the endpoints of a service are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked for, with `GET`: a path, perhaps with a query.
    pub path: Arc<str>,
    /// How long after a check the next one begins, about: a tenth more or less by chance.
    pub interval: Duration,
    /// How long a check may take, connecting included.
    pub timeout: Duration,
    /// How many checks in a row must succeed before an endpoint that was ill is well.
    pub healthy: u32,
    /// How many checks in a row must fail before an endpoint that was well is ill.
    pub unhealthy: u32,
    /// Which answers are successes.
    pub statuses: Statuses,
}

impl HealthConfig {
    /// The defaults, with this path.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
            statuses: Statuses { from: 200, to: 299 },
        }
    }
}

/// What checks have said of one endpoint. One that was never checked is well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    is_ill: bool,
    /// How many checks in a row have said the opposite.
    opposed: u32,
}

impl Health {
    /// One more check.
    pub(crate) fn checked(&mut self, is_well: bool, config: &HealthConfig) {
        if is_well != self.is_ill {
            self.opposed = 0;
            return;
        }
        self.opposed += 1;
        let needed = if self.is_ill { config.healthy } else { config.unhealthy };
        if self.opposed >= needed {
            *self = Health { is_ill: !self.is_ill, opposed: 0 };
        }
    }

    pub(crate) fn is_ill(self) -> bool {
        self.is_ill
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_changes_after_so_many_of_the_opposite_in_a_row_and_no_sooner(
            checks in prop::collection::vec(any::<bool>(), 0..100),
            healthy in 1..5_u32,
            unhealthy in 1..5_u32,
        ) {
            let config = HealthConfig { healthy, unhealthy, ..HealthConfig::new("/") };
            let mut health = Health::default();
            let mut said: Vec<bool> = Vec::new();
            for is_well in checks {
                let was_ill = health.is_ill();
                health.checked(is_well, &config);
                said.push(is_well);
                let row = said.iter().rev().take_while(|said| **said == is_well).count() as u32;
                let turns = if is_well { was_ill && row >= healthy } else { !was_ill && row >= unhealthy };
                prop_assert_eq!(health.is_ill() != was_ill, turns);
            }
        }
    }
}
