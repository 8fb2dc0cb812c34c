//! A night on call: the banks behind a real gateway, what breaks there, and the runbook that is followed.

use super::banks;
use super::clients::{Crowd, Story};
use super::clock::within;
use super::gateway::{Choices, program};
use super::http::{self, Request};
use super::judge::{Evidence, judge};
use super::page::Page;
use super::process::PATIENCE;
use super::world::{Wish, World};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

/// Alarms come soon, and pauses are long enough that a retry matters.
const CHOICES: Choices =
    Choices { journal: "segment_size: 256KiB", more: "workers: 1\nretry: { stuck_after: 2s }" };

/// Who answers in time.
pub const DEBIT: usize = 0;
/// Who breaks.
pub const CREDIT: usize = 1;
/// Who keeps the others waiting.
pub const NOTE: usize = 2;

pub struct Night {
    pub world: World,
    crowd: Crowd,
    /// What a page's words in capitals stand for.
    pub words: BTreeMap<&'static str, String>,
    /// The requests so far.
    wishes: Vec<Wish>,
}

/// What clients can be asked, when all is over.
#[derive(Clone, Copy, PartialEq)]
pub enum Clients {
    /// Each asks with its key, and hears the end.
    AskAgain,
    /// Keys were lost, or the answer is one that the books do not show.
    AreGone,
}

impl Night {
    pub fn begin() -> Night {
        let world = banks::start_patient(CHOICES);
        let crowd = Crowd::new(world.gateway.public, fastrand::u64(..));
        let folder = world.folder.path();
        let bin = folder.join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(fs::canonicalize(program()).unwrap(), bin.join("unanimo")).unwrap();
        let place = |name: &str| folder.join(name).display().to_string();
        let address = |at: usize| world.participants[at].address.to_string();
        let databases: Vec<_> =
            world.participants.iter().map(|one| one.database().display().to_string()).collect();
        let words = BTreeMap::from([
            ("CONFIG", place("gateway.yaml")),
            ("ADMIN", world.gateway.admin.to_string()),
            ("JOURNAL", place("journal")),
            ("BACKUP", place("backup")),
            ("COPY", place("copy")),
            ("ID", String::new()),
            ("WHO", "ann".to_owned()),
            ("WHY", "as the page says".to_owned()),
            ("BANK_A", address(DEBIT)),
            ("BANK_B", address(CREDIT)),
            ("NOTIFIER", address(NOTE)),
            ("TOKEN", place("token")),
            ("DATABASES", databases.join(" ")),
            ("BANK_B_DATABASE", databases[CREDIT].clone()),
            ("BODY", String::new()),
        ]);
        Night { world, crowd, words, wishes: Vec::new() }
    }

    pub fn path(&self, word: &str) -> PathBuf {
        PathBuf::from(&self.words[word])
    }

    /// A transfer that nobody refuses; its client does not wait.
    pub fn transfer(&mut self) -> String {
        let number = self.wishes.len() as u64;
        let mut dice = fastrand::Rng::with_seed(number);
        let mut wishes = std::iter::repeat_with(|| self.world.business.wish(number, &mut dice));
        let wish = wishes.find(|wish| wish.effects.is_some()).unwrap();
        let key = self.crowd.key(number);
        let headers = [("Idempotency-Key", key.as_str()), ("Prefer", "respond-async")];
        let request = Request::post(wish.path, &headers, &wish.body);
        let answer = http::once(self.world.gateway.public, request, PATIENCE).unwrap();
        self.wishes.push(wish);
        let id = answer.header("unanimo-transaction").unwrap_or_else(|| panic!("{answer:?}")).to_owned();
        self.words.insert("ID", id.clone());
        id
    }

    /// One that has ended well.
    pub fn finished(&mut self) -> String {
        let id = self.transfer();
        self.await_effects(&id, 3);
        within("it has ended", PATIENCE, || {
            self.world.gateway.open().first().map_or(Ok(()), |open| Err(open.to_string()))
        });
        id
    }

    /// One for which both banks have voted, and the notifier has not: it is stopped.
    pub fn prepared(&mut self) -> String {
        self.world.participants[NOTE].pause();
        let id = self.transfer();
        self.await_held(&id, 2);
        id
    }

    pub fn await_held(&self, id: &str, branches: usize) {
        within("it is held", PATIENCE, || {
            let held = self.world.facts().held;
            let of_this = held.iter().filter(|held| held.contains(id)).count();
            if of_this == branches { Ok(()) } else { Err(format!("{held:?}")) }
        });
    }

    /// The notifier votes, and the verdict is told to all but the second bank, which is down.
    pub fn committed_but_one(&mut self, id: &str) {
        self.world.participants[CREDIT].kill();
        self.world.participants[NOTE].resume();
        self.await_effects(id, 2);
    }

    pub fn await_effects(&self, id: &str, effects: usize) {
        within("its effects are there", PATIENCE, || {
            let facts = self.world.facts();
            let found = facts.effects.get(id).map_or(0, BTreeMap::len);
            if found == effects { Ok(()) } else { Err(format!("{found}: {}", self.world.gateway.said())) }
        });
    }

    /// The body with which the second bank is called.
    pub fn credit_body(&self, number: usize) -> String {
        let asked: Value = serde_json::from_str(&self.wishes[number].body).unwrap();
        serde_json::json!({ "account": asked["to"], "amount": asked["amount"] }).to_string()
    }

    /// Does what stands under a heading.
    pub fn follow(&mut self, page: &mut Page, heading: &str) {
        for step in page.under(heading) {
            let id = self.words["ID"].clone();
            if let Some(order) = step.command.strip_prefix("systemctl ") {
                self.supervise(order);
            } else if step.is_a_look() {
                within(&step.command, PATIENCE, || {
                    let (code, printed) = self.shell(&step.command);
                    step.check(code, &printed, &id)
                });
            } else {
                let (code, printed) = self.shell(&step.command);
                step.check(code, &printed, &id).unwrap_or_else(|why| panic!("{why}"));
            }
        }
    }

    /// The supervisor of this night.
    fn supervise(&mut self, order: &str) {
        match order {
            "start unanimo" => self.world.gateway.start(),
            "stop unanimo" => assert!(self.world.gateway.terminate().success()),
            "start bank-b" => self.start_credit(),
            other => panic!("nobody does `systemctl {other}` here"),
        }
    }

    pub fn start_credit(&mut self) {
        self.start(CREDIT);
    }

    pub fn start(&mut self, participant: usize) {
        self.world.participants[participant].spawn();
        self.world.participants[participant].await_ready();
    }

    /// What a command printed, and how it ended.
    pub fn shell(&self, command: &str) -> (Option<i32>, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = self.world.folder.path();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1\n{command}")]).current_dir(folder);
        shell.env("PATH", format!("{}:{path}", folder.join("bin").display())).envs(&self.words);
        let output = shell.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Nothing is in doubt, and everything that somebody knows is true.
    pub fn judge(&mut self, clients: Clients) {
        let facts = self.world.settled(PATIENCE);
        let numbered = (0_u64..).zip(self.wishes.clone());
        let stories: Vec<Story> = match clients {
            Clients::AskAgain => numbered.map(|(number, wish)| self.crowd.ask_one(number, wish)).collect(),
            Clients::AreGone => numbered.map(|(number, wish)| Story::new(number, wish, None, true)).collect(),
        };
        let mut transactions = self.world.gateway.transactions();
        // What an operator has signed off was put right, and the mark stays.
        for view in &mut transactions {
            let flags = view["flags"].as_array_mut().unwrap();
            if flags.iter().any(|flag| flag == "resolved") {
                flags.retain(|flag| flag != "heuristic");
            }
        }
        let (services, forgets) = (self.world.business.services(), clients == Clients::AreGone);
        let evidence =
            Evidence { services, facts: &facts, stories: &stories, transactions: &transactions, forgets };
        let flaws = judge(&evidence);
        assert!(flaws.is_empty(), "{}\n{}", flaws.join("\n"), self.world.gateway.said());
    }
}
