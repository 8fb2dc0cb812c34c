//! Crash points: SIGKILL at each of the gateway's writes and syncs in turn: of its first start, of one transaction to its
//! end, and of what the next start makes of it.
//!
//! strace kills the process as it enters the call: before a write nothing of it is there, and before a sync all of it is,
//! but nobody was told so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop at the first surprise, and say what it saw"
)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use support::clients::{Crowd, Story};
use support::clock::within;
use support::gateway::{Choices, Gateway, Injection, demand_strace};
use support::judge::{Evidence, judge};
use support::process::PATIENCE;
use support::world::{Facts, Wish, World};
use support::{banks, shop};

/// A run has fewer writes, and fewer syncs, than this.
const POINTS_MAX: u32 = 40;

const WRITE: &str = "pwrite64";
const SYNC: &str = "fdatasync";

/// The segment of a journal's first life, and that of its second one.
const SEGMENTS: [&str; 2] = ["journal/0000000001.journal", "journal/0000000002.journal"];

/// How long anything may stay in doubt.
const IN_DOUBT: Duration = Duration::from_secs(30);

#[test]
fn two_phases_survive_a_kill_at_each_write_and_sync() {
    every_end(|| banks::start(small()));
}

#[test]
fn tries_and_confirms_survive_a_kill_at_each_write_and_sync() {
    every_end(|| shop::start("tcc", small()));
}

/// Segments that are allocated quickly, since every run begins a journal.
fn small() -> Choices {
    Choices { journal: "segment_size: 64KiB", more: "workers: 1" }
}

/// How the one transaction of a run is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Commit,
    Refusal,
    Deadline,
}

fn every_end(start: impl FnOnce() -> World) {
    demand_strace();
    let mut world = start();
    world.gateway.terminate();
    let crowd = Crowd::new(world.gateway.public, fastrand::u64(..));
    let mut runs = Runs { world, crowd, stories: Vec::new() };
    let mut points = 0;
    for call in [WRITE, SYNC] {
        let of_start = until_spared(|at| runs.run(End::Commit, &[kill_at(call, at, None)]));
        println!("the first start: killed at each of {of_start} calls of {call}");
        points += of_start;
        for end in [End::Commit, End::Refusal, End::Deadline] {
            let of_end = until_spared(|at| runs.run(end, &[kill_at(call, at, Some(SEGMENTS[0]))]));
            println!("{end:?}: killed at each of {of_end} calls of {call}");
            assert!(of_end >= 3, "{end:?}: {of_end} calls of {call} only");
            points += of_end;
        }
    }
    let mut pairs = 0;
    for at in 1..=3 {
        let before = kill_at(SYNC, at, Some(SEGMENTS[0]));
        let both = |again| [before.clone(), kill_at(SYNC, again, Some(SEGMENTS[1]))];
        pairs += until_spared(|again| runs.run(End::Commit, &both(again)));
    }
    let said = runs.world.gateway.said();
    let replays = said.lines().filter(|line| line.contains("journal replayed"));
    let found = replays.filter(|line| line.ends_with("open=1")).count();
    let transactions = runs.stories.len();
    println!(
        "{points} crash points and {pairs} pairs of them, {transactions} transactions, {found} found open at a start, \
         0 in doubt"
    );
    assert!(found >= 8, "the kills met the start and the end of the process alone:\n{said}");
}

fn kill_at(call: &'static str, at: u32, file: Option<&'static str>) -> Injection {
    Injection { system_call: call, what: format!("signal=KILL:when={at}"), file }
}

/// Runs with a kill at the first call, the second and so on, until a run has no such call; says how many there were.
fn until_spared(mut is_killed: impl FnMut(u32) -> bool) -> u32 {
    let spared = (1..POINTS_MAX).find(|at| !is_killed(*at));
    spared.unwrap_or_else(|| panic!("still killed at call {POINTS_MAX}")) - 1
}

struct Runs {
    world: World,
    crowd: Crowd,
    /// Of all runs so far.
    stories: Vec<Story>,
}

impl Runs {
    /// One transaction from an empty journal on, with kills in the gateway's first lives; says whether all of them
    /// came about.
    fn run(&mut self, end: End, kills: &[Injection]) -> bool {
        let _ = fs::remove_dir_all(self.world.folder.path().join("journal"));
        let (number, wish) = self.wish(end);
        let Runs { world, crowd, stories } = self;
        let mut lives = Lives { kills: kills.iter(), killed: 0 };
        lives.begin(&mut world.gateway);
        if end == End::Deadline {
            world.participants[1].pause();
        }
        let story = std::thread::scope(|scope| {
            let client = scope.spawn(|| crowd.ask_one(number, wish));
            within("the client knows the end", PATIENCE, || {
                lives.look_after(&mut world.gateway);
                if client.is_finished() { Ok(()) } else { Err(world.gateway.said()) }
            });
            client.join().unwrap()
        });
        world.participants.iter().for_each(|participant| participant.resume());
        stories.push(story);
        within("nothing is in doubt", IN_DOUBT, || {
            lives.look_after(&mut world.gateway);
            settled(world).map(drop)
        });
        // The last syncs are those of an orderly end.
        lives.note(world.gateway.terminate());
        self.judge(&format!("{end:?} {kills:?}"));
        lives.killed == kills.len()
    }

    /// What was told stays so after one more start.
    fn judge(&mut self, run: &str) {
        let Runs { world, crowd, stories } = self;
        world.gateway.start();
        let last = stories.len() - 1;
        crowd.ask_all_again(&mut stories[last..]);
        let facts = within("still nothing is in doubt", IN_DOUBT, || settled(world));
        let (services, transactions) = (world.business.services(), world.gateway.transactions());
        let evidence =
            Evidence { services, facts: &facts, stories, transactions: &transactions, forgets: true };
        let flaws = judge(&evidence);
        let said = world.gateway.said();
        assert!(flaws.is_empty(), "{run}:\n{}\n{said}", flaws.join("\n"));
        assert_eq!(transactions.len(), 1, "{run}: {transactions:#?}");
        assert!(!said.contains("panicked") && !said.contains(" ERROR "), "{run}:\n{said}");
        assert!(world.gateway.terminate().success());
    }

    /// A request that can only end so.
    fn wish(&self, end: End) -> (u64, Wish) {
        let number = self.stories.len() as u64;
        let mut dice = fastrand::Rng::with_seed(number);
        let wishes = std::iter::repeat_with(|| self.world.business.wish(number, &mut dice));
        let wish = wishes.take(1000).find(|wish| wish.effects.is_none() == (end == End::Refusal));
        (number, wish.expect("one of five is refused"))
    }
}

/// The gateway's lives in one run: the first ones are to be cut short.
struct Lives<'a> {
    kills: std::slice::Iter<'a, Injection>,
    killed: usize,
}

impl Lives<'_> {
    fn begin(&mut self, gateway: &mut Gateway) {
        match self.kills.next() {
            Some(kill) => gateway.spawn_injected(kill),
            None => gateway.start(),
        }
    }

    /// Starts it again where it was killed.
    fn look_after(&mut self, gateway: &mut Gateway) {
        if let Some(status) = gateway.process().ended() {
            self.note(status);
            assert!(!status.success(), "the gateway ended by itself\n{}", gateway.said());
            self.begin(gateway);
        }
    }

    fn note(&mut self, status: ExitStatus) {
        assert!(status.success() || status.signal() == Some(9), "{status}");
        self.killed += usize::from(!status.success());
    }
}

/// What the databases say, if nothing is open: neither there nor at the gateway, which may be dead.
fn settled(world: &World) -> Result<Facts, String> {
    for state in ["initial", "preparing", "committing", "undoing"] {
        let page = world.gateway.ask(&format!("/v1/transactions?state={state}"));
        let page = page.map_err(|lost| lost.0)?.json();
        if page["transactions"].as_array().is_none_or(|transactions| !transactions.is_empty()) {
            return Err(format!("{state}: {page}"));
        }
    }
    let facts = world.facts();
    if facts.held.is_empty() { Ok(facts) } else { Err(format!("held: {:?}", facts.held)) }
}
