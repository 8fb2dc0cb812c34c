//! Retry budgets: a service that fails must not be asked ever more often because it fails.
//!
//! Whoever sends again, be it a participant's call or a plain request, keeps one of these for each service: a retry takes
//! a token; time and first sendings bring tokens, and a retry that succeeds gives its own back, and where much waits
//! another one up to a bound.

use std::time::Duration;

/// Tokens that retries that succeed can bring together: as many retries may be under way to a service that answers.
const GROWN: f64 = 64.0;

/// What a budget allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// How many retries each first sending allows.
    pub ratio: f64,
    /// How many retries each second allows besides.
    pub per_second: f64,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance { ratio: 0.2, per_second: 10.0 }
    }
}

/// The tokens of one service. Moments are the time since some moment that stays the same.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    tokens: f64,
    filled: Duration,
}

impl Budget {
    /// With as many tokens as can be saved up.
    pub fn full(now: Duration, allowance: &Allowance) -> Budget {
        Budget { tokens: most(allowance), filled: now }
    }

    /// Time has passed.
    pub fn fill(&mut self, now: Duration, allowance: &Allowance) {
        let gained = now.saturating_sub(self.filled).as_secs_f64() * allowance.per_second;
        self.gain(gained, most(allowance));
        self.filled = self.filled.max(now);
    }

    /// Something was sent for the first time.
    pub fn note_first(&mut self, allowance: &Allowance) {
        self.gain(allowance.ratio, most(allowance));
    }

    /// A retry has succeeded, and more of them wait: its token comes back, with another one.
    pub fn succeeded(&mut self, allowance: &Allowance) {
        self.gain(2.0, most(allowance).max(GROWN));
    }

    /// A retry has succeeded, or was not needed: its token comes back.
    pub fn give_back(&mut self, allowance: &Allowance) {
        self.gain(1.0, most(allowance).max(GROWN));
    }

    /// Takes a token, where there is one.
    pub fn take(&mut self) -> bool {
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        }
        has_one
    }

    /// The moment of the next token, if nothing else brings one sooner.
    pub fn next_token(&self, allowance: &Allowance) -> Duration {
        let missing = (1.0 - self.tokens).max(0.0) / allowance.per_second.max(1e-3);
        self.filled + Duration::from_secs_f64(missing.min(3600.0)) + Duration::from_micros(1)
    }

    /// Takes more tokens, as far as that makes no more than so many.
    fn gain(&mut self, tokens: f64, most: f64) {
        self.tokens = self.tokens.max((self.tokens + tokens).min(most));
    }
}

/// The most tokens that can be saved up: what one second brings, and at least one.
fn most(allowance: &Allowance) -> f64 {
    allowance.per_second.max(1.0)
}
