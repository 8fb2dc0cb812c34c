//! The world: one queue of things to come, and everything that they happen to.
//!
//! ```text
//!  clients ──ask──▶ gateway's process ──calls──▶ network ──▶ participants
//!     ▲               │  ▲      │                  │
//!     └───answers─────┘  │      └─records─▶ disk   └──answers, or none, or late──▶ gateway
//!                        └──synced, poisoned
//!
//!  storm ──heals──▶ everything must end ──power goes once more──▶ everything must still be true
//! ```

mod asking;
mod clients;
mod cuts;
mod history;
mod network;
mod process;
mod reload;

use crate::Mistake;
use crate::damage::{SEGMENT_SIZE, SEGMENTS, USED};
use crate::dice::Dice;
use crate::gateway::Gateway;
use crate::oracle::{Heard, Oracle};
use crate::participant::{Arrival, Participant, Share};
use crate::queue::Queue;
use crate::response::Response;
use crate::scenario::{Scenario, service};
use crate::small::Small;
use crate::trace::Trace;
use crate::weather::Weather;
use clients::Client;
use cuts::Cuts;
pub use cuts::{Cut, Point};
pub(crate) use history::{History, Taken};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use network::Exchange;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::{Id, Token};
use unanimo_coordinator::{Plans, WaiterId};
use unanimo_journal::Progress;
use unanimo_journal::simulated::{Simulated, lookalike};
use unanimo_protocol::Time;
use unanimo_protocol::planted::Plant;

/// How long after the storm everything may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(120);

/// More steps than any run takes: a world that does not come to rest has a fault of its own kind.
const STEPS: u64 = 1_000_000;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Transactions that began.
    pub transactions: u64,
    /// How often the gateway's process ended against its will.
    pub crashes: u64,
    /// How many of the cuts that were asked for came about.
    pub cuts: usize,
    /// The hash of everything that happened.
    pub hash: u64,
    /// How often what happened that a storm is there to bring about.
    pub sights: BTreeMap<&'static str, u64>,
    /// What must never happen, and has.
    pub violation: Option<String>,
}

/// Runs the world of a seed to its end, or to the first broken promise.
pub fn run(seed: u64, mistake: Option<Mistake>, trace: Trace) -> Report {
    let mut dice = Dice::new(seed);
    let scenario = Scenario::draw(&mut dice);
    live(scenario, dice, &[], mistake, trace)
}

/// Runs a small world with these cuts, one in each of the gateway's first lives.
pub fn run_small(small: Small, seed: u64, cuts: &[Cut], mistake: Option<Mistake>, trace: Trace) -> Report {
    live(Scenario::small(small), Dice::new(seed), cuts, mistake, trace)
}

/// All files of a disk.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// The journal of a seed's world just after a sync, when its newest segment is half full; `None` where it never has so
/// many segments, or no body in it looks like a batch.
pub(crate) fn specimen(seed: u64) -> Option<Image> {
    let mut dice = Dice::new(seed);
    let mut scenario = Scenario::draw(&mut dice);
    scenario.journal.segment_size = SEGMENT_SIZE;
    for errand in &mut scenario.errands {
        // Large calls, so that segments are full before the next one is opened.
        errand.body = format!("{{\"account\":\"{}\",\"amount\":1.10}}", "a".repeat(300)).into();
    }
    let mut world = World::new(scenario, dice, None, Trace::new(None));
    while world.goes_on() {
        world.step();
        let image = if world.has_synced { world.disk.image() } else { continue };
        let segments = image.iter().filter(|(name, _)| name.ends_with(".journal"));
        let used: Vec<usize> = segments.map(|(_, bytes)| bytes.iter().filter(|b| **b != 0).count()).collect();
        // Some batches should stand in the newest one.
        if used.len() == SEGMENTS && used.iter().sum::<usize>() > USED && used.last() > Some(&4000) {
            let lookalike = lookalike();
            let has_one = |bytes: &Vec<u8>| bytes.windows(lookalike.len()).any(|window| window == lookalike);
            return image.values().any(has_one).then_some(image);
        }
    }
    None
}

fn live(scenario: Scenario, dice: Dice, cuts: &[Cut], mistake: Option<Mistake>, trace: Trace) -> Report {
    let _plant = Plant::new(mistake.and_then(Mistake::in_code));
    let live = || {
        let mut world = World::new(scenario, dice, mistake, trace);
        world.cuts = Cuts::new(cuts);
        world.live()
    };
    catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Report { violation: Some(format!("a panic: {text}")), ..Report::default() }
    })
}

/// Something to come.
#[derive(Debug)]
enum Event {
    /// The gateway's process starts.
    Start,
    /// It ends by itself: after poison, or because it was asked to.
    End(u32),
    /// Its journal makes the turn that was due at this time.
    Turn(u32, Time),
    /// A worker hears from the journal.
    Told(u32, usize, Progress),
    /// A worker's timer, and the time for which it was set.
    Tick(u32, usize, Time),
    /// A call arrives at a participant.
    Arrive(usize, Arrival),
    /// A participant has finished some work.
    Finish(usize, Share, u64),
    /// An exchange ends for the gateway, with an answer or without one.
    Return(u64, Share, Option<Response>),
    /// A participant that holds prepared work asks for the verdict.
    Inquire(usize, Share),
    /// A client asks.
    Ask(usize),
    /// A client looks at a status address.
    Look(usize, Id, Token),
    /// A client hears its answer, or loses its connection.
    Hear(usize, Option<Heard>),
    /// There is room on the disk again.
    Room,
    /// The configuration has changed.
    Reload,
    /// History looks at the journal.
    History(u32),
    /// The storm is over.
    Heal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Storm,
    Healed,
    /// The power has gone once more, in calm weather, and every key is asked again.
    LastLook,
    Over,
}

struct World {
    now: Time,
    queue: Queue<Event>,
    dice: Dice,
    trace: Trace,
    phase: Phase,
    weather: Weather,
    scenario: Scenario,
    mistake: Option<Mistake>,
    oracle: Oracle,
    participants: Vec<Participant>,
    clients: Vec<Client>,
    /// What every client shows, and nobody writes down.
    credentials: Arc<[(HeaderName, HeaderValue)]>,
    /// Who waits for an answer of the present process, and when it must have come at the latest.
    waiters: BTreeMap<WaiterId, (usize, Time)>,
    gateway: Option<Gateway>,
    lives: u32,
    crashes: u64,
    disk: Simulated,
    disk_space: Option<u64>,
    /// Until then the gateway's process does nothing.
    stands_still_until: Time,
    /// Calls for which the present process waits.
    exchanges: BTreeMap<u64, Exchange>,
    numbers: u64,
    /// Calls that are on their way or at work, and participants that will ask.
    in_the_air: usize,
    history: History,
    plans: Plans,
    cuts: Cuts,
    steps: u64,
    /// Whether the last step was a sync.
    has_synced: bool,
}

impl World {
    fn new(scenario: Scenario, mut dice: Dice, mistake: Option<Mistake>, trace: Trace) -> World {
        let participant = |(number, temper)| Participant::new(service(number), temper, mistake);
        let mut world = World {
            now: Time(0),
            queue: Queue::new(),
            trace,
            phase: Phase::Storm,
            weather: scenario.weather,
            mistake,
            oracle: Oracle::new(scenario.routes.clone()),
            participants: scenario.tempers.iter().copied().enumerate().map(participant).collect(),
            clients: scenario.errands.iter().cloned().map(Client::new).collect(),
            credentials: Arc::new([(AUTHORIZATION, HeaderValue::from_static("Bearer t"))]),
            waiters: BTreeMap::new(),
            gateway: None,
            lives: 0,
            crashes: 0,
            disk: Simulated::new(dice.bits()),
            disk_space: None,
            stands_still_until: Time(0),
            exchanges: BTreeMap::new(),
            numbers: 0,
            in_the_air: 0,
            history: History::default(),
            plans: Plans::default(),
            cuts: Cuts::default(),
            steps: 0,
            has_synced: false,
            dice,
            scenario,
        };
        world.make_plans_ready();
        world.queue.push(Time(0), Event::Start);
        world.queue.push(world.scenario.heals_at, Event::Heal);
        for at in &world.scenario.reloads {
            world.queue.push(*at, Event::Reload);
        }
        for (client, errand) in world.scenario.errands.iter().enumerate() {
            world.queue.push(errand.at, Event::Ask(client));
        }
        world
    }

    fn live(mut self) -> Report {
        while self.goes_on() {
            self.step();
        }
        let violation = self.oracle.wrong().cloned();
        if let Some(violation) = &violation {
            self.trace.note("wrong", &[], || violation.clone());
        }
        Report {
            transactions: self.oracle.begun(),
            crashes: self.crashes,
            cuts: self.cuts.met,
            hash: self.trace.hash(),
            sights: self.oracle.sights().clone(),
            violation,
        }
    }

    fn goes_on(&self) -> bool {
        self.phase != Phase::Over && self.oracle.wrong().is_none()
    }

    /// The next thing happens.
    fn step(&mut self) {
        let Some((at, event)) = self.queue.pop() else {
            return self.oracle.blame("nothing is left to happen, and not everything has ended".to_owned());
        };
        if event.is_for_the_gateway() && at < self.stands_still_until {
            return self.queue.push(self.stands_still_until, event);
        }
        self.now = at;
        self.trace.set_now(at);
        self.has_synced = false;
        self.happen(event);
        self.cut_if_reached();
        self.see_whether_it_rests();
        self.steps += 1;
        if self.steps > STEPS {
            self.oracle.blame(format!("it goes on after {STEPS} steps"));
        }
    }

    fn happen(&mut self, event: Event) {
        let gateways = event.is_for_the_gateway();
        match event {
            Event::Start => self.start(),
            Event::End(life) => self.end(life),
            Event::Turn(life, due) => self.turn(life, due),
            Event::Told(life, worker, progress) => self.told(life, worker, progress),
            Event::Tick(life, worker, due) => self.tick(life, worker, due),
            Event::Arrive(participant, arrival) => self.arrive(participant, arrival),
            Event::Finish(participant, share, work) => self.finish(participant, share, work),
            Event::Return(exchange, share, response) => self.comes_back(exchange, share, response),
            Event::Inquire(participant, share) => self.inquire(participant, share),
            Event::Ask(client) => self.ask(client),
            Event::Look(client, id, token) => self.look(client, id, token),
            Event::Hear(client, heard) => self.hear(client, heard),
            Event::Room => self.disk_space = None,
            Event::Reload => self.reload(),
            Event::History(life) => self.round_of_history(life),
            Event::Heal => self.heal(),
        }
        if gateways {
            self.misfortune();
        }
    }

    fn heal(&mut self) {
        if self.crashes < self.scenario.crashes_least {
            // The storm was too kind: the process ends now, and then it may heal.
            if self.gateway.is_some() {
                self.crash(true);
            }
            let at = self.now + Duration::from_millis(500);
            self.scenario.heals_at = at;
            return self.queue.push(at, Event::Heal);
        }
        self.trace.note("heals", &[], String::new);
        self.phase = Phase::Healed;
        self.weather = Weather::calm();
        self.disk_space = None;
        if let Some(gateway) = &mut self.gateway {
            gateway.crashes_in = None;
        }
    }

    /// After the storm: whether everything has come to its end, and then whether it stays so.
    fn see_whether_it_rests(&mut self) {
        if self.phase == Phase::Storm || self.phase == Phase::Over {
            return;
        }
        let patient = self.now.since(self.scenario.heals_at) <= PATIENCE;
        if self.in_the_air > 0 && patient {
            return;
        }
        let open = self.gateway.as_ref().map(|gateway| gateway.open());
        let ending = self.gateway.as_ref().is_some_and(|gateway| gateway.ending);
        let busy = self.clients.iter().filter(|client| client.busy).count();
        let left = self.oracle.left_to_people(&self.participants);
        if self.in_the_air == 0 && busy == 0 && open == Some(left) && !ending {
            if !self.oracle.all_ended() {
                let unended = self.oracle.unended();
                return self.oracle.blame(format!("the gateway has forgotten, while it ran: {unended}"));
            }
            match self.phase {
                Phase::Healed => self.look_once_more(),
                Phase::LastLook => {
                    self.phase = Phase::Over;
                    self.oracle.settle_accounts(&self.participants);
                }
                Phase::Storm | Phase::Over => {}
            }
        } else if !patient {
            let unended = self.oracle.unended();
            self.oracle.blame(format!(
                "{PATIENCE:?} after the last fault {busy} clients and {open:?} transactions are not at their end: \
                 {unended}(L1)"
            ));
        }
    }

    fn look_once_more(&mut self) {
        self.phase = Phase::LastLook;
        self.cuts.clear();
        self.crash(true);
        for client in 0..self.clients.len() {
            if self.clients[client].errand.key.is_some() {
                self.clients[client].busy = true;
                self.queue.push(self.now, Event::Ask(client));
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }
}

impl Event {
    /// Whether the gateway's process must be running to notice.
    fn is_for_the_gateway(&self) -> bool {
        matches!(
            self,
            Event::Turn(..)
                | Event::Told(..)
                | Event::Tick(..)
                | Event::Return(..)
                | Event::Inquire(..)
                | Event::Ask(_)
                | Event::Look(..)
                | Event::History(_)
        )
    }
}
