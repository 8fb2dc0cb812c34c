//! What a seed is about: the routes, the participants, the clients, and the gateway's settings.

pub(crate) mod saga;

use crate::dice::Dice;
use crate::response::Temper;
use crate::weather::Weather;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::plan::{LANGUAGE, digest};
use unanimo_contract::{AnswerAt, BranchPlan, Digest, Key, Mode, Plan, RefusedPlan, ResponsePlan, Step};
use unanimo_coordinator::Retry;
use unanimo_journal::Config;
use unanimo_protocol::Time;

/// The deadline is the time for the votes; nobody in the simulation works longer than this behind it.
const DEADLINES_MS: [u64; 3] = [800, 2000, 5000];

/// What a call says that names the first branch's answer.
pub(crate) const RECEIPT_OF_THE_FIRST: &str = "${branches.b0.response.receipt}";

/// How many services keep a participant's duties.
const PARTICIPANTS: u64 = 4;

/// The place of the one that keeps none of them.
pub(crate) const PLAIN: usize = PARTICIPANTS as usize;

/// Routes take turns with the modes.
const MODES: [Mode; 3] = [Mode::TwoPhase, Mode::Tcc, Mode::Saga];

/// The least crashes of one storm.
const CRASHES_LEAST: u64 = 2;

/// So many clients at least want a transaction that can begin, each one of its own.
const ERRANDS: u64 = 20;

/// Everything that is drawn before the first event.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) weather: Weather,
    /// When the weather turns calm for good.
    pub(crate) heals_at: Time,
    pub(crate) tempers: Vec<Temper>,
    pub(crate) routes: Vec<Route>,
    pub(crate) errands: Vec<Errand>,
    /// When the configuration changes.
    pub(crate) reloads: Vec<Time>,
    pub(crate) retry: Retry,
    pub(crate) open_limit: usize,
    pub(crate) journal: Config,
    /// It crashes at least so often, however kind the weather is.
    pub(crate) crashes_least: u64,
    /// Whether history takes over what has ended, so that segments go.
    pub(crate) has_history: bool,
}

/// A route's plan, made once.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) plan: Arc<Plan>,
    pub(crate) digest: Digest,
}

/// What one client wants.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    pub(crate) route: usize,
    pub(crate) at: Time,
    pub(crate) key: Option<Key>,
    pub(crate) body: Bytes,
    pub(crate) respond_async: bool,
    /// How often it asks again when it has its answer, to compare.
    pub(crate) curiosity: u32,
}

impl Scenario {
    pub(crate) fn draw(dice: &mut Dice) -> Scenario {
        let weather = Weather::draw(dice);
        let heals_at = Time(dice.within(2_000_000, 10_000_000));
        let mut tempers: Vec<Temper> = (0..PARTICIPANTS).map(|_| Temper::draw(dice)).collect();
        tempers.push(Temper::draw_plain(dice));
        let routes: Vec<Route> = (0..dice.within(3, 5)).map(|number| Route::draw(number, dice)).collect();
        let errands = draw_errands(&routes, heals_at, dice);
        let has_history = dice.chance(300);
        let open_limit = dice.pick([1000, 1000, 1000, 5]);
        if open_limit < errands.len() {
            // A heuristic end stays open until a person has looked: a few of them would fill so small a gateway.
            tempers.iter_mut().for_each(|temper| temper.breaks_its_word = 0);
        }
        Scenario {
            weather,
            heals_at,
            tempers,
            routes,
            errands,
            reloads: (0..dice.pick([0, 1, 3])).map(|_| Time(dice.below(heals_at.0))).collect(),
            retry: draw_retry(dice),
            open_limit,
            journal: draw_journal(dice),
            crashes_least: CRASHES_LEAST,
            has_history,
        }
    }
}

fn draw_retry(dice: &mut Dice) -> Retry {
    Retry {
        initial: Duration::from_millis(dice.pick([10, 50, 200])),
        cap: Duration::from_millis(dice.pick([200, 1000, 3000])),
        stuck_after: Duration::from_secs(dice.pick([1, 60])),
        budget_per_second: f64::from(dice.pick([2u32, 10, 100])),
        ..Retry::default()
    }
}

fn draw_journal(dice: &mut Dice) -> Config {
    let segment_size: u64 = dice.pick([8, 8, 16, 64]) << 10;
    Config {
        segment_size,
        commit_interval: Duration::from_micros(dice.pick([0, 1000])),
        queue_bytes: dice.pick([64 << 20, 64 << 20, 6 << 10]),
        ..Config::new("journal")
    }
}

impl Route {
    /// Routes take turns with the modes. The first one has a branch at every participant.
    pub(crate) fn draw(number: u64, dice: &mut Dice) -> Route {
        let mode = MODES[number as usize % MODES.len()];
        let deadline_ms = dice.pick(DEADLINES_MS);
        let mut branches: Vec<BranchPlan> = match number {
            _ if mode == Mode::Saga => saga::draw(dice),
            0 => (0..PARTICIPANTS).map(|at| draw_branch(at, at, dice)).collect(),
            _ => (0..dice.within(1, 4)).map(|at| draw_branch(at, dice.below(PARTICIPANTS), dice)).collect(),
        };
        if dice.chance(400) {
            names_the_first(&mut branches);
        }
        if mode == Mode::TwoPhase {
            draw_who_asks(&mut branches, dice);
        }
        let respond = dice.chance(700).then(|| respond(&branches));
        let refused = match dice.below(3) {
            0 => None,
            1 => Some(RefusedPlan::PassOn),
            _ => Some(RefusedPlan::Respond(ResponsePlan {
                status: 422,
                headers: vec![("x-transaction".into(), "${transaction.id}".into())],
                body: Some(json!({ "sorry": "${request.body.amount}" })),
            })),
        };
        Route::new(Plan {
            language: LANGUAGE,
            route: format!("route-{number}"),
            mode: mode.as_str().into(),
            deadline_ms,
            answer_timeout_ms: dice.pick([500, deadline_ms + 2000]),
            answer_at: AnswerAt::Finished,
            branches,
            secret: Vec::new(),
            respond,
            refused,
        })
    }

    pub(crate) fn new(plan: Plan) -> Route {
        let digest = Plan::digest_of(&plan.encode());
        Route { plan: Arc::new(plan), digest }
    }
}

pub(crate) fn draw_branch(at: u64, participant: u64, dice: &mut Dice) -> BranchPlan {
    BranchPlan {
        name: format!("b{at}"),
        service: service(participant as usize),
        after: (0..at as u8).filter(|_| dice.chance(200)).collect(),
        path: format!("/{at}/${{request.body.account}}"),
        paths: Vec::new(),
        headers: vec![("x-account".into(), "${request.body.account}".into())],
        body: Some(json!({ "amount": "${request.body.amount}", "transaction": "${transaction.id}" })),
        call_timeout_ms: dice.pick([200, 500, 2000]),
        ..BranchPlan::default()
    }
}

/// On a third of the routes everybody asks for the verdict, and on some of the others somebody.
fn draw_who_asks(branches: &mut [BranchPlan], dice: &mut Dice) {
    let asks = dice.pick([1000, 1000, 500, 0, 0, 0]);
    branches.iter_mut().for_each(|branch| branch.asks = dice.chance(asks));
}

/// The last branch's call tells the receipt of the first: it waits for that one's answer.
pub(crate) fn names_the_first(branches: &mut [BranchPlan]) {
    if let [_, .., last] = branches
        && let Some(body) = &mut last.body
    {
        body["receipt"] = Value::from(RECEIPT_OF_THE_FIRST);
    }
}

/// An answer that shows the receipt of every branch that has acted by then.
fn respond(branches: &[BranchPlan]) -> ResponsePlan {
    let receipt = |branch: &BranchPlan| {
        let expression = format!("${{branches.{}.response.receipt}}", branch.name);
        (branch.name.clone(), Value::from(expression))
    };
    let acted = branches.iter().filter(|branch| branch.step != Step::Retriable);
    let mut body: Map<String, Value> = acted.map(receipt).collect();
    body.insert("transaction".into(), Value::from("${transaction.id}"));
    ResponsePlan { status: 201, headers: Vec::new(), body: Some(Value::Object(body)) }
}

/// The name of a participant's service.
pub(crate) fn service(participant: usize) -> String {
    format!("service-{participant}")
}

fn draw_errands(routes: &[Route], heals_at: Time, dice: &mut Dice) -> Vec<Errand> {
    let count = dice.within(ERRANDS, ERRANDS + 4);
    let keyed = dice.pick([200, 600, 1000]);
    let mut errands: Vec<Errand> = Vec::with_capacity(2 * count as usize);
    for number in 0..count {
        // Each mode has its turn.
        let route = if number < MODES.len() as u64 { number } else { dice.below(routes.len() as u64) };
        let at = Time(dice.below(heals_at.0 * 4 / 5));
        let body = format!("{{\"account\":\"a{number}\",\"amount\":{number}.10}}");
        let errand = fresh(number, at, route, Bytes::from(body), keyed, dice);
        // Another client with the same key: a user who clicked twice, or a program that reuses its key.
        let twin = (errand.key.is_some() && dice.chance(100)).then(|| twin(&errand, at, dice));
        errands.extend(std::iter::once(errand).chain(twin));
        if dice.chance(30) {
            let incomplete = Bytes::from_static(b"{\"account\":\"a\"}");
            errands.push(fresh(count + number, at, route, incomplete, keyed, dice));
        }
    }
    errands
}

fn fresh(number: u64, at: Time, route: u64, body: Bytes, keyed: u32, dice: &mut Dice) -> Errand {
    let route = route as usize;
    let key = dice.chance(keyed).then(|| Key {
        scope: digest(&[b"scope", &number.to_le_bytes()]),
        fingerprint: digest(&[&route.to_le_bytes(), &body]),
    });
    Errand { route, at, key, body, respond_async: dice.chance(150), curiosity: dice.below(4) as u32 }
}

fn twin(before: &Errand, at: Time, dice: &mut Dice) -> Errand {
    let mut twin = before.clone();
    match dice.chance(300) {
        true => {
            twin.body = Bytes::from_static(b"{\"account\":\"other\",\"amount\":7}");
            twin.key = before.key.map(|key| Key { fingerprint: digest(&[&twin.body]), ..key });
            twin.at = at + dice.micros(10, 1_000_000);
        }
        false => twin.at = before.at + dice.micros(10, 1_000_000),
    }
    twin
}
