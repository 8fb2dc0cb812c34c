//! The admin listener's document against its real answers: every path and status that can be had is had, every body
//! fits its schema, and nothing answers that the document does not name.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use support::clock::within;
use support::counter::{Counter, body};
use support::gateway::Choices;
use support::http::{self, Request};
use support::process::PATIENCE;

const CHOICES: Choices =
    Choices { more: "retry: { initial: 1h, cap: 1h, stuck_after: 2s }", journal: "segment_size: 256KiB" };

/// What can only be had of a process that is ending, or has too much to do.
const NOT_HAD: [(&str, &str); 5] = [
    ("/readyz", "503"),
    ("/v1/transactions", "503"),
    ("/v1/transactions/{id}", "503"),
    ("/v1/transactions/{id}/retry", "503"),
    ("/v1/transactions/{id}/resolve", "503"),
];

/// An id that this journal never gave out.
const NOBODY: &str = "00000000000000000000000000";

struct Held {
    document: Value,
    admin: SocketAddr,
    had: BTreeSet<(String, String, String)>,
}

impl Held {
    /// Asks, and holds the answer against the document.
    fn ask(
        &mut self,
        method: &str,
        path: &str,
        target: &str,
        text: &str,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let request = Request { method, target, headers, body: text.as_bytes() };
        let answer = http::once(self.admin, request, PATIENCE).unwrap();
        let status = answer.status.to_string();
        let operation = &self.document["paths"][path][method.to_ascii_lowercase()];
        let response = &operation["responses"][&status];
        assert!(
            response.is_object(),
            "{method} {path} answers {status}, and nobody said so: {}",
            answer.text()
        );
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
        let schema = &response["content"][&kind]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} is {kind}, and nobody said so");
        if kind.ends_with("json") {
            self.fits(schema, &answer.json());
        }
        self.had.insert((method.to_ascii_lowercase(), path.to_owned(), status));
        (answer.status, answer.json())
    }

    fn fits(&self, schema: &Value, value: &Value) {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?} in {value:#}");
    }

    /// Opens a stream, and reads until an event of this name has come; gives back its data, and the connection.
    fn watch(&mut self, path: &str, target: &str, event: &str) -> (Value, BufReader<TcpStream>) {
        let mut stream = BufReader::new(TcpStream::connect(self.admin).unwrap());
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let admin = self.admin;
        // Without chunks, which would stand between the lines.
        write!(stream.get_mut(), "GET {target} HTTP/1.0\r\nHost: {admin}\r\n\r\n").unwrap();
        let head = line(&mut stream);
        assert!(head.contains(" 200 "), "{head}");
        let data = await_event(&mut stream, event);
        self.had.insert(("get".to_owned(), path.to_owned(), "200".to_owned()));
        (data, stream)
    }
}

/// The status that somebody hears who came by another name than the machine's own.
fn by_a_foreign_name(admin: SocketAddr, method: &str, target: &str) -> u16 {
    let mut stream = BufReader::new(TcpStream::connect(admin).unwrap());
    stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream.get_mut(), "{method} {target} HTTP/1.0\r\nHost: elsewhere.example\r\n\r\n").unwrap();
    line(&mut stream).split(' ').nth(1).unwrap().parse().unwrap()
}

fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the stream has ended");
    line.trim_end().to_owned()
}

fn await_event(stream: &mut BufReader<TcpStream>, event: &str) -> Value {
    loop {
        if line(stream) == format!("event: {event}") {
            let data = line(stream);
            return serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        }
    }
}

#[test]
fn every_documented_answer_is_given_and_fits_and_nothing_else_answers() {
    let counter = Counter::start(CHOICES);
    let admin = counter.gateway.admin;
    let document = counter.gateway.ask("/v1/openapi.json").unwrap().json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut held = Held { document, admin, had: BTreeSet::new() };
    let watched = "/v1/transactions/watch";
    let (opening, mut all) = held.watch(watched, "/v1/transactions/watch?route=pay", "watching");
    assert_eq!(opening, json!({}));
    let ids = transactions(&counter);
    let change = await_event(&mut all, "change");
    held.fits(&json!({ "$ref": "#/components/schemas/Change" }), &change);
    assert_eq!((&change["route"], &change["moment"]["kind"]), (&json!("pay"), &json!("begun")));
    drop(all);

    pages(&mut held);
    lists(&mut held, &ids);
    each(&mut held, &ids);
    by_hand(&mut held, &ids[2]);
    too_many_watchers(&mut held, &ids[0]);
    let paths = held.document["paths"].as_object().unwrap().clone();
    for (path, item) in &paths {
        strangers(&mut held, path, item);
        for (method, operation) in item.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                let had = held.had.contains(&(method.clone(), path.clone(), status.clone()));
                assert!(had || NOT_HAD.contains(&(path, status)), "{method} {path} {status} was never had");
            }
        }
    }
    for target in
        ["/", "/v1", "/v2/transactions", "/v1/transactions/", "/v1/transactions/x/y", "/openapi.json"]
    {
        assert_eq!(counter.gateway.ask(target).unwrap().problem(), "no-route", "{target}");
    }
    counter.door.open();
}

/// One that is committed, under a key; one that was refused; one that cannot end.
fn transactions(counter: &Counter) -> [String; 3] {
    let headers = [("Idempotency-Key", "k-1")];
    let done = counter.post("/pay", &headers, &body("yes", "yes", "1.10")).unwrap();
    let refused = counter.post("/pay", &[], &body("yes", "no", "1.11")).unwrap();
    let away = counter.post("/pay", &[("Prefer", "respond-async")], &body("yes", "away", "1.12")).unwrap();
    [done, refused, away].map(|answer| answer.header("unanimo-transaction").unwrap().to_owned())
}

fn pages(held: &mut Held) {
    for path in ["/livez", "/readyz", "/metrics", "/v1/openapi.json", "/v1/services"] {
        held.ask("GET", path, path, "", &[]);
    }
    for path in ["/v1/configuration", "/v1/configuration/outline"] {
        held.ask("GET", path, path, "", &[]);
    }
}

fn lists(held: &mut Held, ids: &[String; 3]) {
    let list = "/v1/transactions";
    let stuck = format!("{list}?flag=stuck&state=committing,undoing&service=right&text={}", &ids[2][..25]);
    within("it is stuck", PATIENCE, || match held.ask("GET", list, &stuck, "", &[]).1 {
        page if page["transactions"][0]["id"] == *ids[2] => Ok(()),
        page => Err(page.to_string()),
    });
    let by_key = "/v1/transactions?key=k-1&route=pay&min_age_ms=0&verdict=1";
    let by_key = held.ask("GET", list, by_key, "", &[]).1;
    assert_eq!((&by_key["transactions"][0]["id"], &by_key["next"]), (&json!(ids[0]), &Value::Null));
    assert_eq!(held.ask("GET", list, "/v1/transactions?limit=0", "", &[]).0, 400);
    let watch = "/v1/transactions/watch";
    assert_eq!(held.ask("GET", watch, "/v1/transactions/watch?limit=1", "", &[]).0, 400);
}

fn each(held: &mut Held, ids: &[String; 3]) {
    let one = "/v1/transactions/{id}";
    for id in ids {
        let (status, shown) = held.ask("GET", one, &format!("/v1/transactions/{id}"), "", &[]);
        assert!(status == 200 && !shown["timeline"].as_array().unwrap().is_empty(), "{shown}");
    }
    let wish = json!({ "what": "release", "who": "ann", "why": "a test" }).to_string();
    let asked = [("GET", "", ""), ("GET", "/watch", ""), ("POST", "/retry", ""), ("POST", "/resolve", &wish)];
    for (id, expected) in [("x", 400), (NOBODY, 404)] {
        for (method, part, text) in asked {
            let target = format!("/v1/transactions/{id}{part}");
            let (status, _) = held.ask(method, &format!("{one}{part}"), &target, text, &[]);
            assert_eq!(status, expected, "{target}");
        }
    }
    let retry = format!("/v1/transactions/{}/retry", ids[2]);
    assert_eq!(held.ask("POST", "/v1/transactions/{id}/retry", &retry, "", &[]).0, 200);
}

/// What makes no sense is refused; what is done is told to whoever watches.
fn by_hand(held: &mut Held, id: &str) {
    let watch = format!("/v1/transactions/{id}/watch");
    let (known, mut stream) = held.watch("/v1/transactions/{id}/watch", &watch, "transaction");
    held.fits(&json!({ "$ref": "#/components/schemas/Detail" }), &known);
    let (path, target) = ("/v1/transactions/{id}/resolve", format!("/v1/transactions/{id}/resolve"));
    let wish = |what: &str, branch: Option<&str>| {
        json!({ "what": what, "branch": branch, "who": "ann", "why": "brought to it by hand" }).to_string()
    };
    assert_eq!(held.ask("POST", path, &target, "{}", &[]).0, 400);
    assert_eq!(held.ask("POST", path, &target, &"x".repeat(9000), &[]).0, 413);
    let wrong = [("commit", None), ("rollback", None), ("release", None)];
    let branches = [("told", Some("left")), ("sign-off", Some("right")), ("told", Some("nobody"))];
    for (what, branch) in wrong.into_iter().chain(branches) {
        let (status, told) = held.ask("POST", path, &target, &wish(what, branch), &[]);
        assert_eq!((status, &told["type"]), (409, &json!("/problems/unresolvable")), "{what}: {told}");
    }
    // Something of it may be written at that moment: then it is said again.
    let resolved = within("it is resolved", PATIENCE, || {
        match held.ask("POST", path, &target, &wish("told", Some("right")), &[]) {
            (200, resolved) => Ok(resolved),
            (_, refused) => Err(refused.to_string()),
        }
    });
    assert_eq!((&resolved["state"], &resolved["flags"]), (&json!("committed"), &json!(["resolved"])));
    loop {
        let change = await_event(&mut stream, "change");
        held.fits(&json!({ "$ref": "#/components/schemas/Change" }), &change);
        if change["moment"]["kind"] == "resolved" {
            assert_eq!(
                (&change["moment"]["who"], &change["moment"]["branch"]),
                (&json!("ann"), &json!("right"))
            );
            return;
        }
    }
}

fn too_many_watchers(held: &mut Held, id: &str) {
    let mut watchers = Vec::new();
    loop {
        let mut stream = BufReader::new(TcpStream::connect(held.admin).unwrap());
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream.get_mut(), "GET /v1/transactions/watch HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let full = line(&mut stream).contains(" 503 ");
        watchers.push(stream);
        assert!(watchers.len() <= 65, "nobody bounds how many may watch");
        if full {
            break;
        }
    }
    for path in ["/v1/transactions/watch", "/v1/transactions/{id}/watch"] {
        assert_eq!(held.ask("GET", path, &path.replace("{id}", id), "", &[]).0, 503);
    }
}

/// Who comes from another origin, by another name, or with another method.
fn strangers(held: &mut Held, path: &str, item: &Value) {
    let target = path.replace("{id}", NOBODY);
    for known in item.as_object().unwrap().keys() {
        let method = known.to_ascii_uppercase();
        let origin = [("Origin", "http://elsewhere.example")];
        assert_eq!(held.ask(&method, path, &target, "", &origin).0, 403);
        assert_eq!(by_a_foreign_name(held.admin, &method, &target), 421);
        held.had.insert((known.clone(), path.to_owned(), "421".to_owned()));
    }
    let other = Request { method: "DELETE", target: &target, headers: &[], body: b"" };
    let other = http::once(held.admin, other, PATIENCE).unwrap();
    assert_eq!(other.problem(), "method-not-allowed", "{path}");
}

#[test]
fn the_pages_examples_are_answered_as_the_page_says() {
    let counter = Counter::start(Choices::default());
    let paid = counter.post("/pay", &[], &body("yes", "yes", "3.10")).unwrap();
    let id = paid.header("unanimo-transaction").unwrap().to_owned();
    let page = include_str!("../../../docs/transaction-api.md");
    let mut examples = 0;
    for block in page.split("```http ").skip(1) {
        let (status, rest) = block.split_once('\n').unwrap();
        let (request, _) = rest.split_once("```").unwrap();
        let (head, text) = request.split_once('\n').unwrap();
        let (method, target) = head.split_once(' ').unwrap();
        let target = target.replace("0a8sd8p0r0000g0000000rq7tm", &id);
        let expected: u16 = status.parse().unwrap();
        if target.ends_with("/watch") {
            let mut stream = BufReader::new(TcpStream::connect(counter.gateway.admin).unwrap());
            stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
            write!(stream.get_mut(), "GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
            let known = await_event(&mut stream, "transaction");
            assert_eq!((known["id"].as_str(), expected), (Some(id.as_str()), 200));
        } else {
            let request = Request { method, target: &target, headers: &[], body: text.trim().as_bytes() };
            let answer = http::once(counter.gateway.admin, request, PATIENCE).unwrap();
            assert_eq!(answer.status, expected, "{head}: {}", answer.text());
        }
        examples += 1;
    }
    assert_eq!(examples, 5);
}

#[test]
fn what_was_ended_by_hand_stays_so_over_a_crash() {
    let mut counter = Counter::start(CHOICES);
    let away = counter.post("/pay", &[("Prefer", "respond-async")], &body("yes", "away", "2.10")).unwrap();
    let id = away.header("unanimo-transaction").unwrap().to_owned();
    let show = |counter: &Counter| counter.gateway.ask(&format!("/v1/transactions/{id}")).unwrap().json();
    let is_stuck = |view: &Value| view["flags"].as_array().unwrap().contains(&json!("stuck"));
    within("it is stuck", PATIENCE, || match show(&counter) {
        view if is_stuck(&view) => Ok(()),
        view => Err(view.to_string()),
    });
    let arguments = ["transactions", "resolve", &id, "--told", "right", "--who", "ann"];
    // Nobody is there to be asked again, and a script has to say why.
    for more in [&["--why", "x"][..], &["--yes"]] {
        assert!(!counter.gateway.command(&[&arguments[..], more].concat()).status.success());
    }
    assert_eq!(show(&counter)["state"], "committing");
    let done =
        counter.gateway.command(&[&arguments[..], &["--why", "paid by hand, ticket 7", "--yes"]].concat());
    let said = String::from_utf8(done.stdout).unwrap();
    assert_eq!((done.status.code(), said), (Some(0), format!("{id} is committed\n")));
    let log = counter.gateway.said();
    assert!(log.contains("ended by hand") && log.contains("paid by hand, ticket 7"), "{log}");
    counter.gateway.kill();
    counter.gateway.start();
    let view = show(&counter);
    assert_eq!(
        (&view["state"], &view["verdict"], &view["flags"]),
        (&json!("committed"), &json!(1), &json!(["resolved"]))
    );
    let again = counter.gateway.command(&[&arguments[..], &["--why", "again", "--yes"]].concat());
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    // A crash changes nothing for the branch either: it was told nothing more.
    assert_eq!(Counter::operations(&counter.right, "2.10"), ["prepare", "commit"]);
    counter.door.open();
}
