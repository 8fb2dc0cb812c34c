//! Runs of one transaction from an empty journal to its end, with the gateway killed or failed at chosen system calls.
//!
//! strace acts as the process enters the call: before a write nothing of it is there, and before a sync all of it is, but
//! nobody was told so. SIGKILL never loses the page cache: what the loss of power does is shown by the simulation alone.

use super::clients::{Crowd, Story};
use super::clock::within;
use super::gateway::{Choices, Gateway, Injection, demand_strace};
use super::judge::{Evidence, judge};
use super::process::PATIENCE;
use super::world::{Facts, Wish, World};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// A run has fewer writes, and fewer syncs, than this. Most of them are the history's: pages of a database.
const POINTS_MAX: u32 = 400;

pub const WRITE: &str = "pwrite64";
pub const SYNC: &str = "fdatasync";

/// The segment of a journal's first life, and that of its second one.
pub const SEGMENTS: [&str; 2] = ["journal/0000000001.journal", "journal/0000000002.journal"];

/// How long anything may stay in doubt.
const IN_DOUBT: Duration = Duration::from_secs(30);

/// What a failed sync says.
const EIO: &str = "Input/output error";

/// Segments that are allocated quickly, since every run begins a journal.
pub fn small() -> Choices {
    Choices { journal: "segment_size: 64KiB", more: "workers: 1" }
}

/// How the one transaction of a run is to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    Commit,
    Refusal,
    Deadline,
}

pub const ENDS: [End; 3] = [End::Commit, End::Refusal, End::Deadline];

/// SIGKILL at this call, counted from 1 for each thread.
pub fn kill_at(call: &'static str, at: u32, file: Option<&'static str>) -> Injection {
    Injection { system_call: call, what: format!("signal=KILL:when={at}"), file }
}

/// A sync that fails.
pub fn fail_at(at: u32, file: Option<&'static str>) -> Injection {
    Injection { system_call: SYNC, what: format!("error=EIO:when={at}"), file }
}

/// Runs with a kill at the first call, the second and so on, until a run has no such call; says how many there were.
pub fn until_spared(mut is_killed: impl FnMut(u32) -> bool) -> u32 {
    let spared = (1..POINTS_MAX).find(|at| !is_killed(*at));
    spared.unwrap_or_else(|| panic!("still killed at call {POINTS_MAX}")) - 1
}

pub struct Runs {
    pub world: World,
    crowd: Crowd,
    /// Of all runs so far.
    pub stories: Vec<Story>,
}

impl Runs {
    pub fn new(start: impl FnOnce() -> World) -> Runs {
        demand_strace();
        let mut world = start();
        world.gateway.terminate();
        let crowd = Crowd::new(world.gateway.public, fastrand::u64(..));
        Runs { world, crowd, stories: Vec::new() }
    }

    /// How often a start has found a transaction open.
    pub fn found_open(&self) -> usize {
        let said = self.world.gateway.said();
        let replays = said.lines().filter(|line| line.contains("journal replayed"));
        replays.filter(|line| line.ends_with("open=1")).count()
    }

    /// One transaction from an empty journal on, with kills in the gateway's first lives; says whether all of them
    /// came about.
    pub fn run(&mut self, end: End, kills: &[Injection]) -> bool {
        let _ = fs::remove_dir_all(self.world.folder.path().join("journal"));
        let (number, wish) = self.wish(end);
        let Runs { world, crowd, stories } = self;
        let mut lives = Lives { kills: kills.iter(), killed: 0, fails: false };
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
        let status = world.gateway.terminate();
        lives.note(status, &world.gateway);
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
        let tolerated = |line: &str| line.contains(EIO);
        let bad = |line: &&str| line.contains("panicked") || line.contains(" ERROR ") && !tolerated(line);
        assert_eq!(said.lines().find(bad), None, "{run}:\n{said}");
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
    /// Whether the present one is to fail, rather than to be killed.
    fails: bool,
}

impl Lives<'_> {
    fn begin(&mut self, gateway: &mut Gateway) {
        match self.kills.next() {
            Some(kill) => {
                self.fails = kill.what.starts_with("error");
                gateway.spawn_injected(kill);
            }
            None => gateway.start(),
        }
    }

    /// Starts it again where it was killed.
    fn look_after(&mut self, gateway: &mut Gateway) {
        if let Some(status) = gateway.process().ended() {
            self.note(status, gateway);
            assert!(!status.success(), "the gateway ended by itself\n{}", gateway.said());
            self.begin(gateway);
        }
    }

    fn note(&mut self, status: ExitStatus, gateway: &Gateway) {
        if status.success() {
            return;
        }
        self.killed += 1;
        if self.fails {
            let said = gateway.said();
            let last = said.lines().rev().take(5).any(|line| line.contains(EIO));
            assert!(status.code().is_some() && last, "{status}, and the reason is to be said:\n{said}");
        } else {
            assert_eq!(status.signal(), Some(9), "{status}");
        }
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
