//! Clients that want to know: whoever gave a key asks until there is a definite answer, and now and then once more.

use super::clock::Bound;
use super::http::{Answer, Client, Lost, Request};
use super::world::{Business, Wish};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// How long a client goes on asking.
const PERSISTENCE: Duration = Duration::from_secs(120);

/// How long a client that is not in a hurry waits for one answer.
const CALM: Duration = Duration::from_secs(10);

/// The end of a transaction as a client was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub status: u16,
    pub body: Value,
    pub transaction: String,
}

impl Told {
    pub fn is_committed(&self) -> bool {
        self.status == 200
    }

    /// `committed`, or the name of the problem.
    pub fn word(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap_or_default();
        if self.is_committed() { "committed" } else { kind.strip_prefix("/problems/").unwrap_or(kind) }
    }
}

/// Everything that happened to one request.
#[derive(Debug)]
pub struct Story {
    pub number: u64,
    pub wish: Wish,
    pub key: Option<String>,
    pub is_async: bool,
    /// Every definite answer, in order.
    pub told: Vec<Told>,
    /// How often no answer came.
    pub lost: u64,
    /// The address that a 202 promised.
    pub promised: Option<String>,
    /// Nothing was begun, said the last answer.
    pub is_turned_away: bool,
    /// Answers that should not be.
    pub flaws: Vec<String>,
}

impl Story {
    pub fn new(number: u64, wish: Wish, key: Option<String>, is_async: bool) -> Story {
        let (told, flaws, promised) = Default::default();
        Story { number, wish, key, is_async, told, lost: 0, promised, is_turned_away: false, flaws }
    }
}

/// What all clients of a world share.
pub struct Crowd {
    pub address: SocketAddr,
    pub seed: u64,
    /// How many of a hundred requests have a key.
    pub keyed: u8,
    /// Whether addresses may be forgotten, since the journal is short.
    pub forgets: bool,
    /// Set where no request shall begin any more.
    pub is_over: AtomicBool,
    /// How many requests have begun.
    pub begun: AtomicU64,
    /// How many have a definite answer.
    pub told: AtomicU64,
    /// How many of these say that the deadline had passed.
    pub too_late: AtomicU64,
}

impl Crowd {
    pub fn new(address: SocketAddr, seed: u64) -> Crowd {
        let (is_over, begun, told, too_late) = Default::default();
        Crowd { address, seed, keyed: 80, forgets: false, is_over, begun, told, too_late }
    }

    /// One client's life.
    pub fn live(&self, business: &dyn Business) -> Vec<Story> {
        let mut client = Client::new(self.address);
        let mut stories: Vec<Story> = Vec::new();
        while !self.is_over.load(SeqCst) {
            let number = self.begun.fetch_add(1, SeqCst);
            // The number alone decides what is asked and how, whichever client comes to it.
            let mut visit = Visit { client, ..self.visit(number) };
            let mut story = visit.begin(business, number);
            visit.pursue(&mut story);
            stories.push(story);
            if visit.dice.u8(..10) == 0 {
                let earlier = visit.dice.usize(..stories.len());
                visit.ask_again(&mut stories[earlier]);
            }
            client = visit.client;
        }
        stories
    }

    /// One request with a key, asked until its end is known.
    pub fn ask_one(&self, number: u64, wish: Wish) -> Story {
        let mut visit = self.visit(number);
        let mut story = Story::new(number, wish, Some(self.key(number)), false);
        visit.pursue(&mut story);
        story
    }

    pub fn key(&self, number: u64) -> String {
        format!("key-{:x}-{number}", self.seed)
    }

    fn visit(&self, number: u64) -> Visit<'_> {
        let dice = fastrand::Rng::with_seed(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9)));
        Visit { crowd: self, client: Client::new(self.address), dice }
    }

    /// Asks once more for every answer that was given under a key.
    pub fn ask_all_again(&self, stories: &mut [Story]) {
        let mut visit = self.visit(0);
        stories.iter_mut().for_each(|story| visit.ask_again(story));
    }
}

/// One client at work.
struct Visit<'a> {
    crowd: &'a Crowd,
    client: Client,
    dice: fastrand::Rng,
}

/// What an answer means to whoever wants to know.
enum Meaning {
    Told(Told),
    /// To be asked again; there may be an address to ask at.
    Later(Option<String>),
    /// The end will be found there.
    Promised(String),
    TurnedAway,
    Odd,
}

impl Visit<'_> {
    fn begin(&mut self, business: &dyn Business, number: u64) -> Story {
        let wish = business.wish(number, &mut self.dice);
        let is_keyed = self.dice.u8(..100) < self.crowd.keyed;
        let key = is_keyed.then(|| self.crowd.key(number));
        Story::new(number, wish, key, self.dice.u8(..6) == 0)
    }

    /// Asks until the end is known, or cannot be known since there is no key.
    fn pursue(&mut self, story: &mut Story) {
        let bound = Bound::after(PERSISTENCE);
        while !bound.is_over() {
            // Some hang up early: that must stop nothing.
            let hurry = self.dice.u8(..12) == 0;
            let patience = if hurry { Duration::from_millis(self.dice.u64(5..150)) } else { CALM };
            let place = match self.send(story, patience) {
                Err(_) => {
                    story.lost += 1;
                    None
                }
                Ok(answer) => match meaning(&answer) {
                    Meaning::Told(told) => return self.note(story, told),
                    Meaning::Promised(place) => {
                        story.promised = Some(place.clone());
                        Some(place)
                    }
                    Meaning::Later(place) => place.filter(|_| self.dice.bool()),
                    Meaning::TurnedAway => {
                        story.is_turned_away = true;
                        None
                    }
                    Meaning::Odd => return story.flaws.push(format!("{answer:?}")),
                },
            };
            if let Some(place) = place
                && let Some(told) = self.follow(story, &place, bound)
            {
                return self.note(story, told);
            }
            self.pause();
            if story.key.is_none() {
                return;
            }
        }
        story.flaws.push(format!("no definite answer within {PERSISTENCE:?}"));
    }

    fn send(&mut self, story: &Story, patience: Duration) -> Result<Answer, Lost> {
        let mut headers = Vec::new();
        if let Some(key) = &story.key {
            headers.push(("Idempotency-Key", key.as_str()));
        }
        if story.is_async {
            headers.push(("Prefer", "respond-async"));
        }
        self.client.send(Request::post(story.wish.path, &headers, &story.wish.body), patience)
    }

    /// Looks at a status address until the end stands there; `None` where it is not known.
    fn follow(&mut self, story: &mut Story, place: &str, bound: Bound) -> Option<Told> {
        while !bound.is_over() {
            match self.client.send(Request::get(place), CALM) {
                Err(_) => story.lost += 1,
                Ok(answer) if answer.status == 200 => {
                    let status = answer.json();
                    match status["verdict"].as_i64() {
                        Some(-1) => {}
                        Some(0 | 1) => return Some(told_at_its_address(&status)),
                        _ => story.flaws.push(format!("no verdict at {place}: {status}")),
                    }
                }
                Ok(answer) if answer.problem() == "unknown-transaction" => {
                    // What a 409 names may not have been durable yet; what a 202 names was.
                    if story.promised.as_deref() == Some(place) && !self.crowd.forgets {
                        story.flaws.push(format!("the promised {place} is not known"));
                    }
                    return None;
                }
                Ok(answer) => story.flaws.push(format!("at {place}: {answer:?}")),
            }
            self.pause();
        }
        None
    }

    fn note(&self, story: &mut Story, told: Told) {
        self.crowd.told.fetch_add(1, SeqCst);
        if told.word() == "deadline" {
            self.crowd.too_late.fetch_add(1, SeqCst);
        }
        story.told.push(told);
    }

    /// Asks for an answer that is known already: by its key, or at its address.
    fn ask_again(&mut self, story: &mut Story) {
        if story.told.is_empty() || self.crowd.forgets {
            return;
        }
        if story.key.is_some() {
            self.pursue(story);
        }
        if let Some(place) = story.promised.clone() {
            match self.follow(story, &place, Bound::after(PERSISTENCE)) {
                Some(told) => story.told.push(told),
                None => story.flaws.push(format!("the answer at {place} is gone")),
            }
        }
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.dice.u64(2..40)));
    }
}

fn meaning(answer: &Answer) -> Meaning {
    let place = answer.header("location").map(str::to_owned);
    match (answer.status, answer.problem().as_str(), place) {
        (200, "", _) | (409, "refused" | "interrupted", _) | (504, "deadline", _) => {
            let transaction = answer.header("unanimo-transaction").unwrap_or_default().to_owned();
            Meaning::Told(Told { status: answer.status, body: answer.json(), transaction })
        }
        (409, "in-progress", Some(place)) => Meaning::Later(Some(place)),
        (503, "overloaded" | "not-ready", _) => Meaning::TurnedAway,
        (202, "", Some(place)) => Meaning::Promised(place),
        _ => Meaning::Odd,
    }
}

fn told_at_its_address(status: &Value) -> Told {
    let answer = &status["answer"];
    Told {
        status: answer["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(0),
        body: answer["body"].clone(),
        transaction: status["transaction"].as_str().unwrap_or_default().to_owned(),
    }
}
