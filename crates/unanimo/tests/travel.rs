//! The trip of `examples/travel`, with its own services and its own routes: it stands as a whole or not at all, and the
//! services' books say so, whoever refuses, whoever is silent, and whenever the gateway is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use rusqlite::{Connection, OpenFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::clock::within;
use support::gateway::{Choices, Gateway};
use support::http::{self, Answer, Request};
use support::process::{PATIENCE, python};
use support::world::Participant;
use tempfile::TempDir;

/// Name, port in the example, its program and options, and the transactions of which something stands in its books.
const SERVICES: [(&str, u16, &[&str], &str); 5] = [
    ("flights", 7301, &["reservations.py", "--thing", "seats", "--offers", "LX-8"], "places"),
    ("hotels", 7302, &["reservations.py", "--thing", "rooms", "--offers", "Grand"], "places"),
    ("cars", 7303, &["rentals.py"], "rentals"),
    ("payments", 7304, &["payments.py"], "paid"),
    ("letters", 7305, &["letters.py"], "letters"),
];

const FREE: i64 = 100;
const CENTS: i64 = 100_000;
const PRICE: i64 = 420;

#[test]
fn a_trip_stands_as_a_whole_and_nothing_of_one_that_anybody_refuses() {
    let travel = Travel::start();
    let stands = travel.ask("good", &trip("LX-8", "Grand", "small", PRICE));
    assert_eq!(stands.status, 200, "{}", stands.text());
    assert_eq!(stands.json()["receipt"], format!("{}/pay", id(&stands)));
    let refused = [
        ("no-flight", trip("LX-9", "Grand", "small", PRICE), 409, "no seats left in LX-9"),
        ("no-hotel", trip("LX-8", "Station", "small", PRICE), 409, "no rooms left in Station"),
        ("no-car", trip("LX-8", "Grand", "bicycle", PRICE), 422, "no such car"),
        ("no-money", trip("LX-8", "Grand", "small", CENTS), 409, "ann has less than"),
    ];
    for (key, body, status, why) in refused {
        let answer = travel.ask(key, &body);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(answer.status == status && detail.contains(why), "{key}: {}", answer.text());
    }
    travel.ends_with(&[&stands]);
}

#[test]
fn a_payment_whose_answer_does_not_come_is_waited_for_and_made_once() {
    let travel = Travel::start();
    let body = trip("LX-8", "Grand", "large", PRICE);
    travel.service("payments").pause();
    travel.leave("silent", &body);
    travel.is_unanswered("pay");
    travel.service("payments").resume();
    let answer = travel.ask("silent", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    travel.ends_with(&[&answer]);
}

#[test]
fn a_gateway_that_is_killed_before_the_pivot_takes_back_what_was_done() {
    let mut travel = Travel::start();
    let body = trip("LX-8", "Grand", "small", PRICE);
    travel.service("hotels").pause();
    travel.leave("early", &body);
    within("a seat is taken", PATIENCE, || match travel.books().values().next() {
        Some(services) if services.contains("flights") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    travel.gateway.kill();
    // The room that nobody knows of is taken now.
    travel.service("hotels").resume();
    travel.gateway.start();
    let answer = travel.ask("early", &body);
    assert_eq!(answer.problem(), "interrupted", "{}", answer.text());
    travel.ends_with(&[]);
}

#[test]
fn a_gateway_that_is_killed_after_the_pivot_was_asked_ends_the_trip() {
    let mut travel = Travel::start();
    let body = trip("LX-8", "Grand", "small", PRICE);
    travel.service("payments").pause();
    travel.leave("late", &body);
    travel.is_unanswered("pay");
    travel.gateway.kill();
    travel.gateway.start();
    travel.service("payments").resume();
    let answer = travel.ask("late", &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    travel.ends_with(&[&answer]);
}

fn trip(flight: &str, hotel: &str, car: &str, cents: i64) -> String {
    serde_json::json!({ "traveller": "ann", "flight": flight, "hotel": hotel, "car": car, "cents": cents })
        .to_string()
}

fn id(answer: &Answer) -> String {
    answer.header("unanimo-transaction").unwrap_or_default().to_owned()
}

/// The example, all running. The processes end before their folder goes.
struct Travel {
    gateway: Gateway,
    participants: Vec<Participant>,
    /// Goes when nobody uses it any more.
    _folder: TempDir,
}

impl Travel {
    fn start() -> Travel {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/travel");
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(example.join("gateway.yaml")).unwrap();
        let mut rest = text[text.find("services:").unwrap()..].to_owned();
        let mut participants = Vec::new();
        for (name, port, arguments, _) in SERVICES {
            let participant = participant(name, arguments, &example, folder.path());
            rest = rest.replace(&format!("127.0.0.1:{port}"), &participant.address.to_string());
            rest = rest.replace(&format!("data/{name}.token"), "token");
            participants.push(participant);
        }
        let gateway = Gateway::prepare(folder.path(), Choices::default(), &rest);
        let mut travel = Travel { gateway, participants, _folder: folder };
        travel.participants.iter_mut().for_each(Participant::spawn);
        travel.participants.iter_mut().for_each(Participant::await_ready);
        travel.gateway.start();
        travel
    }

    fn service(&self, name: &str) -> &Participant {
        self.participants.iter().find(|participant| participant.name == name).unwrap()
    }

    /// Asks for a trip until it is known what becomes of it.
    fn ask(&self, key: &str, body: &str) -> Answer {
        let headers = [("Idempotency-Key", key), ("Content-Type", "application/json")];
        let request = Request::post("/trips", &headers, body);
        within("the trip has an end", PATIENCE, || {
            let answer = http::once(self.gateway.public, request, PATIENCE).map_err(|lost| lost.0)?;
            let is_open = answer.status == 202 || answer.problem() == "in-progress";
            if is_open { Err(answer.text()) } else { Ok(answer) }
        })
    }

    /// Asks for a trip, and goes away before it has an end.
    fn leave(&self, key: &str, body: &str) {
        let headers =
            [("Idempotency-Key", key), ("Content-Type", "application/json"), ("Prefer", "respond-async")];
        let answer = http::once(self.gateway.public, Request::post("/trips", &headers, body), PATIENCE);
        assert_eq!(answer.unwrap().status, 202);
    }

    /// Waits until this branch was asked twice, so that nobody knows what the first call has done.
    fn is_unanswered(&self, branch: &str) {
        within("nobody knows whether it has acted", PATIENCE, || {
            let open = self.gateway.open();
            let id = open.first().and_then(|view| view["id"].as_str()).ok_or("nothing is open")?;
            let view = self.gateway.ask(&format!("/v1/transactions/{id}")).map_err(|lost| lost.0)?.json();
            let branches = view["branches"].as_array().ok_or("no branches")?;
            let asked = branches.iter().find(|known| known["name"] == branch).ok_or("no such branch")?;
            // It is asked again when the first answer has not come in time.
            if asked["attempts"].as_u64() >= Some(2) { Ok(()) } else { Err(view.to_string()) }
        });
    }

    /// Waits until nothing is open, and then the books know these trips, each as a whole, and no other.
    fn ends_with(&self, stand: &[&Answer]) {
        within("nothing is open", PATIENCE, || match self.gateway.open().first() {
            None => Ok(()),
            Some(open) => Err(open.to_string()),
        });
        let everywhere: BTreeSet<&str> = SERVICES.iter().map(|(name, ..)| *name).collect();
        let expected: BTreeMap<_, _> = stand.iter().map(|answer| (id(answer), everywhere.clone())).collect();
        assert_eq!(self.books(), expected, "{}", self.gateway.said());
        let trips = i64::try_from(stand.len()).unwrap();
        for (service, sql, there) in [
            ("flights", "SELECT sum(free) FROM offers", FREE),
            ("hotels", "SELECT sum(free) FROM offers", FREE),
            ("payments", "SELECT cents FROM accounts WHERE traveller = 'ann'", CENTS),
        ] {
            let taken = if service == "payments" { PRICE } else { 1 };
            let left: i64 = self.open(service).query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(left, there - trips * taken, "{service}");
        }
        let said = self.gateway.said();
        assert!(!said.contains("panicked") && !said.contains(" ERROR "), "{said}");
    }

    /// The trips of which anything stands, and where.
    fn books(&self) -> BTreeMap<String, BTreeSet<&'static str>> {
        let mut books: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        for (name, .., table) in SERVICES {
            let connection = self.open(name);
            let column = if name == "cars" { "id" } else { "transaction_id" };
            let mut rows = connection.prepare(&format!("SELECT {column} FROM {table}")).unwrap();
            for trip in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
                let is_new = books.entry(trip.unwrap()).or_default().insert(name);
                assert!(is_new, "{name} has two entries of one trip");
            }
        }
        books
    }

    fn open(&self, service: &str) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(self.service(service).database(), flags).unwrap()
    }
}

fn participant(
    name: &'static str,
    arguments: &'static [&'static str],
    example: &Path,
    folder: &Path,
) -> Participant {
    let program: PathBuf = example.join(arguments[0]);
    Participant::new(name, folder, move |participant| {
        let mut command = Command::new(python());
        command.arg("-B").arg(&program).args(&arguments[1..]);
        command.args(["--port", &participant.address.port().to_string()]);
        command.arg("--database").arg(participant.database());
        command.arg("--credential-file").arg(participant.token_file());
        command
    })
}
