//! A storm: clients at work, and processes that are killed and stopped under them, by a seed.

use super::clients::{Crowd, Story};
use super::clock::within;
use super::judge::{Evidence, judge};
use super::past;
use super::world::World;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How long nothing may go forward, and how long anything may stay in doubt after the last fault.
const PATIENCE: Duration = Duration::from_secs(60);
const IN_DOUBT: Duration = Duration::from_secs(30);

/// What is done to the processes.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The gateway is killed, and started again.
    Gateway,
    /// The same, and once more while it starts or recovers.
    GatewayTwice,
    /// A participant is killed, and started again a little later.
    Participant,
    /// A participant and the gateway are killed at the same time.
    Both,
    /// A participant is stopped until a client was told that the deadline had passed.
    PauseParticipant,
    /// The gateway is stopped for a while.
    PauseGateway,
}

impl Fault {
    const fn kills(self) -> usize {
        match self {
            Fault::Gateway | Fault::Participant => 1,
            Fault::GatewayTwice | Fault::Both => 2,
            Fault::PauseParticipant | Fault::PauseGateway => 0,
        }
    }
}

/// How hard it blows.
pub struct Storm {
    /// The test's name, to repeat it by.
    pub name: &'static str,
    pub clients: usize,
    /// How many of a hundred requests have a key.
    pub keyed: u8,
    /// Whether the journal is so short that it forgets what has ended.
    pub forgets: bool,
    /// Each fault, and how often. Their order is the seed's.
    pub faults: &'static [(Fault, usize)],
}

impl Storm {
    /// Lets it blow over this world, and judges what is left.
    pub fn over(&self, start: impl FnOnce() -> World) {
        let seed = std::env::var("UNANIMO_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
        let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000));
        let blown = catch_unwind(AssertUnwindSafe(|| self.blow(&mut start(), seed)));
        if let Err(panic) = blown {
            let name = self.name;
            eprintln!("to repeat: UNANIMO_SEED={seed} cargo test -p unanimo --test crash_kills {name}");
            resume_unwind(panic);
        }
    }

    fn blow(&self, world: &mut World, seed: u64) {
        let mut crowd = Crowd::new(world.gateway.public, seed);
        (crowd.keyed, crowd.forgets) = (self.keyed, self.forgets);
        let mut dice = fastrand::Rng::with_seed(seed);
        let mut faults: Vec<Fault> =
            self.faults.iter().flat_map(|(fault, times)| vec![*fault; *times]).collect();
        dice.shuffle(&mut faults);
        let World { gateway, participants, business, .. } = &mut *world;
        let mut stories = std::thread::scope(|scope| {
            let clients: Vec<_> =
                (0..self.clients).map(|_| scope.spawn(|| crowd.live(&**business))).collect();
            let stormy = catch_unwind(AssertUnwindSafe(|| {
                for fault in &faults {
                    go_forward(&crowd, &mut dice);
                    strike(*fault, gateway, participants, business.given_up(), &crowd, &mut dice);
                }
                go_forward(&crowd, &mut dice);
            }));
            crowd.is_over.store(true, SeqCst);
            let stories: Vec<Story> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            stormy.unwrap_or_else(|panic| resume_unwind(panic));
            stories
        });
        let facts = world.settled(IN_DOUBT);
        crowd.ask_all_again(&mut stories);
        let (services, transactions) = (world.business.services(), world.gateway.transactions());
        let forgets = self.forgets;
        let evidence =
            Evidence { services, facts: &facts, stories: &stories, transactions: &transactions, forgets };
        let flaws = judge(&evidence);
        let said = world.gateway.said();
        let numbers = Numbers::of(&faults, &stories, &said);
        println!("{}, seed {seed}: {numbers}", self.name);
        let shown: Vec<_> = flaws.iter().take(20).map(String::as_str).collect();
        assert!(flaws.is_empty(), "{} flaws; {numbers}\n{}", flaws.len(), shown.join("\n"));
        for word in ["panicked", " ERROR "] {
            assert!(
                !said.contains(word),
                "the gateway has said `{word}`:\n{}",
                world.gateway.process().said()
            );
        }
        numbers.assert_that_it_was_a_storm(world.business.resumes());
        let first_segment = world.folder.path().join("journal/0000000001.journal");
        within("history lets the first segment go", IN_DOUBT, || match first_segment.exists() {
            true => Err("it is there".to_owned()),
            false => Ok(()),
        });
        assert_eq!(world.gateway.terminate().code(), Some(0), "{}", world.gateway.said());
        let past = past::read(&world.folder.path().join("journal/history.sqlite"));
        let flaws = past::judge(&past, &facts, &stories, self.forgets);
        assert!(flaws.is_empty(), "{} flaws of history; {numbers}\n{}", flaws.len(), flaws.join("\n"));
    }
}

/// Waits until clients were told something, so that every fault meets a world at work, and then a little more.
fn go_forward(crowd: &Crowd, dice: &mut fastrand::Rng) {
    let goal = crowd.told.load(SeqCst) + dice.u64(5..60);
    within("clients are answered", PATIENCE, || match crowd.told.load(SeqCst) {
        told if told >= goal => Ok(()),
        told => Err(format!("{told} of {goal}")),
    });
    pause(dice, 40);
}

fn strike(
    fault: Fault,
    gateway: &mut super::gateway::Gateway,
    participants: &mut [super::world::Participant],
    given_up: usize,
    crowd: &Crowd,
    dice: &mut fastrand::Rng,
) {
    let pauses = matches!(fault, Fault::PauseParticipant);
    let at = dice.usize(..if pauses { given_up } else { participants.len() });
    let participant = &mut participants[at];
    match fault {
        Fault::Gateway => {
            gateway.kill();
            gateway.start();
        }
        Fault::GatewayTwice => {
            gateway.kill();
            gateway.spawn();
            // Before it listens, while it replays, or while it tells its verdicts.
            if dice.bool() {
                gateway.await_ready();
            }
            pause(dice, 150);
            gateway.kill();
            gateway.start();
        }
        Fault::Participant => {
            participant.kill();
            pause(dice, 400);
            participant.spawn();
            participant.await_ready();
        }
        Fault::Both => {
            participant.kill();
            pause(dice, 20);
            gateway.kill();
            // A participant that is down does not keep the gateway from starting.
            gateway.start();
            pause(dice, 200);
            participant.spawn();
            participant.await_ready();
        }
        Fault::PauseParticipant => {
            let before = crowd.too_late.load(SeqCst);
            participant.pause();
            within("a deadline passes", PATIENCE, || match crowd.too_late.load(SeqCst) {
                now if now > before => Ok(()),
                _ => Err("nobody was told so".to_owned()),
            });
            participant.resume();
        }
        Fault::PauseGateway => {
            gateway.process().signal(rustix::process::Signal::STOP);
            pause(dice, 1500);
            gateway.process().signal(rustix::process::Signal::CONT);
        }
    }
}

fn pause(dice: &mut fastrand::Rng, below_ms: u64) {
    std::thread::sleep(Duration::from_millis(dice.u64(..below_ms)));
}

/// What happened, in numbers.
struct Numbers {
    kills: usize,
    requests: usize,
    ends: BTreeMap<String, usize>,
    lost: u64,
    repeats: usize,
    unknown: usize,
    recovered: u64,
    /// The most that was open at one start.
    most_recovered: u64,
}

impl Numbers {
    fn of(faults: &[Fault], stories: &[Story], said: &str) -> Numbers {
        let mut ends = BTreeMap::new();
        for told in stories.iter().filter_map(|story| story.told.first()) {
            *ends.entry(told.word().to_owned()).or_default() += 1;
        }
        let replayed = said.lines().filter(|line| line.contains("journal replayed"));
        let open = replayed.filter_map(|line| line.rsplit_once("open=")?.1.trim().parse::<u64>().ok());
        let open: Vec<u64> = open.collect();
        Numbers {
            kills: faults.iter().map(|fault| fault.kills()).sum(),
            requests: stories.len(),
            ends,
            lost: stories.iter().map(|story| story.lost).sum(),
            repeats: stories.iter().map(|story| story.told.len().saturating_sub(1)).sum(),
            unknown: stories.iter().filter(|story| story.told.is_empty()).count(),
            recovered: open.iter().sum(),
            most_recovered: open.iter().copied().max().unwrap_or(0),
        }
    }

    /// What nothing has happened in proves nothing.
    fn assert_that_it_was_a_storm(&self, resumes: bool) {
        for end in ["committed", "refused", "deadline"] {
            assert!(self.ends.contains_key(end), "nothing was {end}: {self}");
        }
        let is_interrupted = self.ends.contains_key("interrupted");
        assert_eq!(is_interrupted, !resumes, "whether anything was interrupted: {self}");
        assert!(self.lost > 0 && self.recovered > 0, "no kill hit anything: {self}");
    }
}

impl std::fmt::Display for Numbers {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Numbers { kills, requests, ends, lost, repeats, unknown, recovered, most_recovered } = self;
        write!(
            f,
            "{kills} kills, {requests} requests, {ends:?}, {unknown} without a key never heard their end, \
             {lost} answers lost, {repeats} answers repeated, {recovered} transactions found open at starts \
             (at most {most_recovered} at one), 0 in doubt at the end"
        )
    }
}
