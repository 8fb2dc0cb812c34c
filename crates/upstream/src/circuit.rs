//! When an endpoint that fails is left alone, and when it is asked again.
//!
//! ```text
//!          failures in a row             the time is over: one probe at a time
//!  closed ───────────────────▶ open ──────────────────────────────────────────▶ half-open
//!    ▲                          ▲                                                  │  │
//!    │                          └── the probe fails: open again, and for longer ───┘  │
//!    └───────────────────────────── the probe succeeds ───────────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use crate::Statuses;

/// When the circuit of an endpoint opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitConfig {
    /// How many failures in a row open it.
    pub failures: u32,
    /// Which answers are failures, beside those that never come.
    pub statuses: Statuses,
    /// How long it is open at first. Each probe that fails doubles it.
    pub open: Duration,
    /// How long it is open at most.
    pub cap: Duration,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            statuses: Statuses { from: 502, to: 504 },
            open: Duration::from_secs(1),
            cap: Duration::from_secs(30),
        }
    }
}

/// The circuit of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Circuit {
    state: State,
    /// How often it has opened since it was closed.
    openings: u32,
    /// The probe whose result counts.
    probe: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed {
        /// In a row.
        failures: u32,
    },
    Open {
        since: Instant,
        until: Instant,
    },
    /// A probe is under way. One that takes longer than this makes room for another.
    HalfOpen {
        until: Instant,
    },
}

impl Default for State {
    fn default() -> Self {
        State::Closed { failures: 0 }
    }
}

/// What a circuit shows to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CircuitState {
    /// Requests pass.
    #[default]
    Closed,
    /// None does.
    Open,
    /// One at a time does, to see how it fares.
    HalfOpen,
}

/// What a request passes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Free,
    Probe(u64),
}

impl Circuit {
    /// Whether a request may pass, and as what. Where it `is_last`, since no other endpoint of the service lets any pass,
    /// an open circuit is probed after the first of its times: nobody knows whether the service is back until one asks.
    pub(crate) fn ask(&mut self, now: Instant, config: &CircuitConfig, is_last: bool) -> Option<Pass> {
        match self.state {
            State::Closed { .. } => Some(Pass::Free),
            State::Open { .. } | State::HalfOpen { .. } if !self.is_due(now, config, is_last) => None,
            State::Open { .. } | State::HalfOpen { .. } => {
                self.probe += 1;
                self.state = State::HalfOpen { until: now + config.open };
                Some(Pass::Probe(self.probe))
            }
        }
    }

    /// Whether a request would not pass.
    pub(crate) fn withholds(&self, now: Instant, config: &CircuitConfig) -> bool {
        !matches!(self.state, State::Closed { .. }) && !self.is_due(now, config, false)
    }

    fn is_due(&self, now: Instant, config: &CircuitConfig, is_last: bool) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Open { since, until } => now >= until || is_last && now >= since + config.open,
            State::HalfOpen { until } => now >= until,
        }
    }

    /// What passed has succeeded. What began before the circuit opened says nothing of it any more.
    pub(crate) fn succeeded(&mut self, pass: Pass) {
        match (self.state, pass) {
            (State::Closed { .. }, _) => self.state = State::default(),
            (State::HalfOpen { .. }, Pass::Probe(probe)) if probe == self.probe => *self = self.closed(),
            (State::Open { .. } | State::HalfOpen { .. }, _) => {}
        }
    }

    /// What passed has failed; `chance` is from 0 to 1. Whether that opened the circuit, for the first time or again.
    pub(crate) fn failed(&mut self, pass: Pass, now: Instant, config: &CircuitConfig, chance: f64) -> bool {
        match (self.state, pass) {
            (State::Closed { failures }, Pass::Free) if failures.saturating_add(1) < config.failures => {
                self.state = State::Closed { failures: failures + 1 };
                false
            }
            (State::Closed { .. }, Pass::Free) => self.open(now, config, chance),
            (State::HalfOpen { .. }, Pass::Probe(probe)) if probe == self.probe => {
                self.open(now, config, chance)
            }
            (State::Closed { .. } | State::Open { .. } | State::HalfOpen { .. }, _) => false,
        }
    }

    /// What passed came to nothing by nobody's fault here, such as a client that hung up. The next one may probe.
    pub(crate) fn abandoned(&mut self, pass: Pass, now: Instant) {
        if let (State::HalfOpen { .. }, Pass::Probe(probe)) = (self.state, pass)
            && probe == self.probe
        {
            self.state = State::Open { since: now, until: now };
        }
    }

    /// Whether there is anything to know of it.
    pub(crate) fn is_sound(&self) -> bool {
        matches!(self.state, State::Closed { failures: 0 })
    }

    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    fn open(&mut self, now: Instant, config: &CircuitConfig, chance: f64) -> bool {
        let doubled = config.open.saturating_mul(1 << self.openings.min(16)).min(config.cap);
        // Endpoints that failed together are not probed together. Never shorter than the first time, which is promised
        // to them.
        let jittered = doubled.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 4.0).max(config.open);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open { since: now, until: now + jittered };
        true
    }

    fn closed(&self) -> Circuit {
        Circuit { state: State::default(), openings: 0, probe: self.probe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use proptest::prelude::*;

    const CONFIG: CircuitConfig = CircuitConfig {
        failures: 3,
        statuses: Statuses { from: 500, to: 599 },
        open: Duration::from_millis(100),
        cap: Duration::from_secs(1),
    };

    fn opened(now: Instant) -> Circuit {
        let mut circuit = Circuit::default();
        for last in [false, false, true] {
            assert_eq!(circuit.failed(Pass::Free, now, &CONFIG, 0.0), last);
        }
        circuit
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn only_failures_in_a_row_open_it() {
        let now = clock::now();
        let mut circuit = Circuit::default();
        for _ in 0..10 {
            assert!(!circuit.failed(Pass::Free, now, &CONFIG, 0.0));
            assert!(!circuit.failed(Pass::Free, now, &CONFIG, 0.0));
            circuit.succeeded(Pass::Free);
        }
        assert!(circuit.is_sound());
        assert_eq!(opened(now).state(), CircuitState::Open);
    }

    #[test]
    fn each_probe_that_fails_doubles_the_time_up_to_the_cap() {
        let mut now = clock::now();
        let mut circuit = opened(now);
        for open in [100, 200, 400, 800, 1000, 1000] {
            assert_eq!(circuit.ask(now + ms(open - 1), &CONFIG, false), None);
            now += ms(open);
            let probe = circuit.ask(now, &CONFIG, false).unwrap();
            assert_eq!(circuit.ask(now, &CONFIG, false), None, "one at a time");
            assert!(circuit.failed(probe, now, &CONFIG, 0.0));
        }
        now += CONFIG.cap;
        let probe = circuit.ask(now, &CONFIG, false).unwrap();
        circuit.succeeded(probe);
        assert_eq!((circuit.ask(now, &CONFIG, false), circuit.is_sound()), (Some(Pass::Free), true));
        assert_eq!(
            opened(now).ask(now + ms(100), &CONFIG, false),
            Some(Pass::Probe(1)),
            "from the beginning"
        );
    }

    #[test]
    fn a_probe_that_comes_to_nothing_makes_room_for_the_next() {
        let now = clock::now() + ms(100);
        let mut circuit = opened(now - ms(100));
        let probe = circuit.ask(now, &CONFIG, false).unwrap();
        circuit.abandoned(probe, now);
        let next = circuit.ask(now, &CONFIG, false).unwrap();
        assert_ne!(probe, next);
        assert_eq!(circuit.ask(now + ms(99), &CONFIG, true), None);
        let late = circuit.ask(now + ms(100), &CONFIG, false).unwrap();
        circuit.succeeded(next);
        assert_eq!(circuit.state(), CircuitState::HalfOpen, "the one before it does not count any more");
        circuit.succeeded(late);
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask { is_last: bool },
        End { which: usize, how: u8 },
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(|is_last| Step::Ask { is_last }),
            (any::<usize>(), 0..3_u8).prop_map(|(which, how)| Step::End { which, how }),
            (0..400_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn whatever_comes_it_is_probed_one_at_a_time_and_never_dark_for_long(
            steps in prop::collection::vec(step(), 1..200),
            chance in 0.0..1.0_f64,
        ) {
            let mut now = clock::now();
            let mut circuit = Circuit::default();
            let mut passed: Vec<(Pass, Instant)> = Vec::new();
            let mut row = 0;
            for step in steps {
                match step {
                    Step::Wait(time) => now += ms(time),
                    Step::Ask { is_last } => {
                        let before = circuit.state();
                        let pass = circuit.ask(now, &CONFIG, is_last);
                        prop_assert_eq!(before == CircuitState::Closed, pass == Some(Pass::Free));
                        if let Some(pass @ Pass::Probe(_)) = pass {
                            // Whoever probes is alone, for as long as a probe may take.
                            let young = |(other, since): &&(Pass, Instant)| {
                                *other == Pass::Probe(circuit.probe - 1) && now < *since + CONFIG.open
                            };
                            prop_assert!(before != CircuitState::HalfOpen || !passed.iter().any(|it| young(&it)));
                            passed.push((pass, now));
                        } else if let Some(pass) = pass {
                            passed.push((pass, now));
                        }
                    }
                    Step::End { .. } if passed.is_empty() => {}
                    Step::End { which, how } => {
                        let (pass, _) = passed.swap_remove(which % passed.len());
                        let was_closed = circuit.state() == CircuitState::Closed;
                        match how {
                            0 => {
                                circuit.succeeded(pass);
                                row = 0;
                            }
                            1 => {
                                row += u32::from(was_closed && pass == Pass::Free);
                                let opens = circuit.failed(pass, now, &CONFIG, chance);
                                prop_assert!(!opens || !was_closed || row >= CONFIG.failures);
                                prop_assert!(!was_closed || row < CONFIG.failures || opens || pass != Pass::Free);
                            }
                            _ => circuit.abandoned(pass, now),
                        }
                        if circuit.state() != CircuitState::Closed || !was_closed {
                            row = 0;
                        }
                    }
                }
                // Where it is the last one, somebody may ask within the first of its times; and anywhere within the cap.
                let mut later = Circuit { state: circuit.state, ..Circuit::default() };
                prop_assert!(later.ask(now + CONFIG.open, &CONFIG, true).is_some());
                let mut later = Circuit { state: circuit.state, ..Circuit::default() };
                prop_assert!(later.ask(now + CONFIG.cap, &CONFIG, false).is_some());
            }
        }
    }
}
