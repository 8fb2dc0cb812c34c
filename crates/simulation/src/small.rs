//! Small worlds: one transaction of two or three branches in calm weather, so that every crash can be tried, and every two.

use crate::dice::Dice;
use crate::response::{Style, Temper};
use crate::scenario::{Errand, Route, Scenario, draw_branch, names_the_first, saga};
use crate::weather::Weather;
use crate::{Cut, Mistake, Point, Report, Show, Trace, run_small};
use std::fmt;
use std::time::Duration;
use unanimo_contract::plan::digest;
use unanimo_contract::{BranchPlan, Key, Mode, Plan, Step};
use unanimo_coordinator::Retry;
use unanimo_journal::Config;
use unanimo_protocol::Time;

/// The time for the votes, in milliseconds.
const DEADLINE_MS: u64 = 500;

/// No life has so many points: an enumeration that goes on this long has lost its way.
const POINTS_MAX: u64 = 100_000;

/// Latencies, and what a loss of power leaves on the disk, differ from seed to seed.
const SEEDS: u64 = 4;

/// How the transaction of a small world is to end, if no crash comes between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both branches vote yes.
    Commit,
    /// The second one refuses.
    Refusal,
    /// The second one works longer than the deadline allows.
    TimeOut,
}

/// What the branches of a small world's saga are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// Two that can be compensated, one after the other.
    Ordered,
    /// One that can be compensated, the pivot, and one that only goes forward.
    Pivot,
    /// One that can be compensated, and one at a service that keeps no marks.
    Unfenced,
}

/// A small world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Small {
    /// The transaction's mode.
    pub mode: Mode,
    /// How it is to end.
    pub end: End,
    /// Whether its client has a key, and comes back.
    pub keyed: bool,
    /// Whether the second branch's call names the first one's answer.
    pub waits: bool,
    /// Whether both participants ask for the verdict, so that the beginning need not be written.
    pub asks: bool,
    /// The steps of a saga; `None` in every other mode.
    pub steps: Option<Steps>,
}

/// How much was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Runs with one crash.
    pub points: u64,
    /// Runs with two.
    pub pairs: u64,
}

impl Small {
    /// Every mode, each with every end: with a key and without, with calls that wait for answers, and, where that changes
    /// what is written, with participants that ask, or with other steps.
    pub fn all() -> impl Iterator<Item = Small> {
        let modes = [Mode::TwoPhase, Mode::Tcc].into_iter();
        let ends = [End::Commit, End::Refusal, End::TimeOut];
        let worlds = modes.flat_map(move |mode| ends.map(|end| (mode, end)));
        let told = [(true, false, false), (false, false, false), (true, true, false)];
        let kinds = told.into_iter().chain([(false, false, true), (false, true, true)]);
        let ballots = worlds.flat_map(move |(mode, end)| {
            let kinds = kinds.clone().filter(move |(_, _, asks)| !asks || mode == Mode::TwoPhase);
            kinds.map(move |(keyed, waits, asks)| Small { mode, end, keyed, waits, asks, steps: None })
        });
        let steps = [(Steps::Ordered, false), (Steps::Pivot, true), (Steps::Unfenced, false)];
        let sagas = steps.into_iter().flat_map(move |(steps, waits)| {
            ends.map(|end| {
                let (mode, steps) = (Mode::Saga, Some(steps));
                Small { mode, end, keyed: true, waits, asks: false, steps }
            })
        });
        ballots.chain(sagas)
    }

    /// Tries every crash, and every two crashes where `pairs` says so. The first broken promise comes back with its story.
    pub fn try_all(self, pairs: bool, mistake: Option<Mistake>) -> Result<Tried, String> {
        let mut tried = Tried::default();
        for seed in 0..SEEDS {
            let met = self.each_cut(seed, &[], mistake)?;
            tried.points += met.len() as u64;
            // Two crashes are tried in all ways with one seed: the first one of each pair has been tried with all.
            for first in met.iter().filter(|_| pairs && seed == 0) {
                tried.pairs += self.each_cut(seed, &[*first], mistake)?.len() as u64;
            }
        }
        Ok(tried)
    }

    /// Adds one more cut to these, at every point of the next life; says which ones came about.
    fn each_cut(self, seed: u64, before: &[Cut], mistake: Option<Mistake>) -> Result<Vec<Cut>, String> {
        let mut met = Vec::new();
        for power in [false, true] {
            for kind in [Point::Step as fn(u64) -> Point, Point::Disk] {
                for at in 0..POINTS_MAX {
                    let cut = Cut { point: kind(at), power };
                    let cuts: Vec<Cut> = before.iter().copied().chain([cut]).collect();
                    let report = run_small(self, seed, &cuts, mistake, Trace::new(None));
                    if report.violation.is_some() {
                        return Err(self.story(seed, &cuts, mistake));
                    }
                    match (report.cuts == cuts.len(), kind(at)) {
                        (true, _) => met.push(cut),
                        // Nothing ends before its first step.
                        (false, Point::Step(0)) => {}
                        (false, _) => break,
                    }
                }
            }
        }
        Ok(met)
    }

    /// The run once more, with everything that happens.
    fn story(self, seed: u64, cuts: &[Cut], mistake: Option<Mistake>) -> String {
        let lines = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let taken = lines.clone();
        let show: Show = Box::new(move |line| taken.borrow_mut().push(line.to_owned()));
        let Report { violation, .. } = run_small(self, seed, cuts, mistake, Trace::new(Some(show)));
        let lines = lines.borrow().join("\n");
        format!("{lines}\n{self}, seed {seed}, {cuts:?}: {}", violation.unwrap_or_default())
    }
}

impl fmt::Display for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Small { mode, end, keyed, waits, asks, steps } = self;
        let end = match end {
            End::Commit => "commit",
            End::Refusal => "refusal",
            End::TimeOut => "time-out",
        };
        let key = if *keyed { "with a key" } else { "without a key" };
        let waits = if *waits { ", in two waves" } else { "" };
        let steps = match steps {
            None => "",
            Some(Steps::Ordered) => ", in an order",
            Some(Steps::Pivot) => ", with a pivot and a retriable step",
            Some(Steps::Unfenced) => ", with a step without marks",
        };
        let asks = if *asks { ", asking" } else { "" };
        write!(f, "{}, {end}, {key}{waits}{asks}{steps}", mode.as_str())
    }
}

impl Scenario {
    /// The scenario of a small world.
    pub(crate) fn small(small: Small) -> Scenario {
        let mut dice = Dice::new(0);
        let drawn = Scenario::draw(&mut dice);
        let calm = Temper {
            style: Style::Word,
            refuses: 0,
            reads_only: 0,
            fences_what_runs: false,
            breaks_its_word: 0,
            plain: false,
            takes: None,
        };
        let second = match small.end {
            End::Commit => calm,
            End::Refusal => Temper { refuses: 1000, ..calm },
            End::TimeOut => Temper { takes: Some(Duration::from_millis(900)), ..calm },
        };
        let route = small_route(small, &drawn, &mut dice);
        let errand = drawn.errands[0].clone();
        let key = Key { scope: digest(&[b"scope"]), fingerprint: digest(&[&errand.body]) };
        Scenario {
            weather: Weather::calm(),
            heals_at: Time(0),
            tempers: vec![calm, second, calm, calm, Temper { plain: true, ..second }],
            routes: vec![route],
            errands: vec![Errand {
                route: 0,
                at: Time(0),
                key: small.keyed.then_some(key),
                respond_async: false,
                curiosity: 1,
                ..errand
            }],
            reloads: Vec::new(),
            open_limit: 1000,
            retry: Retry {
                initial: Duration::from_millis(200),
                cap: Duration::from_secs(1),
                budget_per_second: 100.0,
                ..Retry::default()
            },
            journal: Config { segment_size: 4096, commit_interval: Duration::ZERO, ..Config::new("journal") },
            crashes_least: 0,
            has_history: false,
        }
    }
}

fn small_route(small: Small, drawn: &Scenario, dice: &mut Dice) -> Route {
    let branch = |at| BranchPlan {
        after: Vec::new(),
        call_timeout_ms: 200,
        asks: small.asks,
        ..draw_branch(at, at, dice)
    };
    let mut branches: Vec<BranchPlan> = match small.steps {
        None => [0, 1].map(branch).into(),
        Some(steps) => steps_of(steps, [0, 1, 2].map(branch)),
    };
    if small.waits {
        names_the_first(&mut branches);
    }
    Route::new(Plan {
        mode: small.mode.as_str().into(),
        deadline_ms: DEADLINE_MS,
        answer_timeout_ms: 2 * DEADLINE_MS,
        branches,
        respond: None,
        secret: Vec::new(),
        refused: None,
        ..Plan::clone(&drawn.routes[0].plan)
    })
}

fn steps_of(steps: Steps, [first, second, third]: [BranchPlan; 3]) -> Vec<BranchPlan> {
    let first = BranchPlan { compensate: Some(saga::compensation(0)), ..first };
    match steps {
        Steps::Ordered => vec![first, BranchPlan { after: vec![0], ..second }],
        Steps::Pivot => vec![first, saga::pivot(second, 1), BranchPlan { step: Step::Retriable, ..third }],
        Steps::Unfenced => vec![first, saga::without_marks(second)],
    }
}
