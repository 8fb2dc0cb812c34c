//! What a route calls secret, from outside: in no file of the data directory, in no word of any command, and all the
//! same in every call and in the client's answer, whatever is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::clock::within;
use support::gateway::{Choices, Gateway, program};
use support::http::{self, Answer, Request};
use support::process::PATIENCE;
use support::scripted::{Call, Door, Said, Scripted};
use support::world::write_secret;
use tempfile::TempDir;

const CARD: &str = "4111-1111-1111-1111";
const PIN: &str = "pin-4711-0815";
const TOKEN: &str = "tok-9f86d081";
const SECRETS: [&str; 3] = [CARD, PIN, TOKEN];

const K1: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const K2: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

const SEALING: Choices = Choices {
    journal: "segment_size: 512KiB, sealing: { keys: { k1: k1.key }, current: k1 }",
    more: "log: { level: debug, access: true }",
};

/// A gateway, and one participant for both branches. The last word of the second branch waits for the door.
struct Till {
    gateway: Gateway,
    bank: Scripted,
    door: Door,
    folder: TempDir,
}

impl Till {
    fn start() -> Till {
        let (folder, door) = (tempfile::tempdir().unwrap(), Door::default());
        let shut = door.clone();
        let bank = Scripted::start(move |call| answer(&shut, call));
        write_secret(&folder.path().join("k1.key"), K1);
        let routes = ["two-phase", "tcc", "saga"].map(route).concat();
        let services =
            format!("services:\n  bank: {{ endpoints: [\"{}\"], anonymous: true }}\nroutes:\n", bank.address);
        let mut gateway = Gateway::prepare(folder.path(), SEALING, &(services + &routes));
        gateway.start();
        Till { gateway, bank, door, folder }
    }

    fn pay(&self, mode: &str, key: &str) -> Answer {
        self.post(mode, &[("x-pin", PIN), ("idempotency-key", key)])
    }

    fn post(&self, mode: &str, headers: &[(&str, &str)]) -> Answer {
        let (path, body) =
            (format!("/{mode}"), format!(r#"{{"card":{{"number":"{CARD}","name":"Ada"}},"amount":12.50}}"#));
        let request = Request::post(&path, headers, &body);
        http::once(self.gateway.public, request, Duration::from_secs(60)).unwrap()
    }

    /// Every file below the gateway's folder that holds one of the secrets.
    fn betrayed(&self) -> Vec<(PathBuf, &'static str)> {
        let mut betrayed = Vec::new();
        for file in files(self.folder.path()) {
            let bytes = fs::read(&file).unwrap();
            let holds = |secret: &&str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            betrayed.extend(SECRETS.into_iter().filter(holds).map(|secret| (file.clone(), secret)));
        }
        betrayed
    }

    /// What every command and every page of the admin listener says.
    fn everything_said(&self) -> String {
        let mut said = self.gateway.said();
        for transaction in self.gateway.transactions() {
            let id = transaction["id"].as_str().or(transaction["transaction"].as_str()).unwrap();
            said += &self.gateway.ask(&format!("/v1/transactions/{id}")).unwrap().text();
            for json in [&["transactions", "show", id][..], &["transactions", "show", id, "--json"]] {
                said += &text(self.gateway.command(json));
            }
        }
        said += &text(self.gateway.command(&["transactions", "list", "--json"]));
        said += &self.gateway.ask("/metrics").unwrap().text();
        let journal = self.folder.path().join("journal");
        for arguments in [&["journal", "dump", "--bodies"][..], &["journal", "dump", "--json", "--bodies"]] {
            let mut command = Command::new(program());
            said += &text(command.args(arguments).arg(&journal).output().unwrap());
        }
        said
    }

    fn assert_secret(&self) {
        assert_eq!(self.betrayed(), []);
        let said = self.everything_said();
        for secret in SECRETS {
            let at = said.find(secret).map(|at| &said[at.saturating_sub(200)..at]);
            assert!(at.is_none(), "{secret} after: {}", at.unwrap());
        }
    }

    fn configure(&self, from: &str, to: &str) {
        let file = self.folder.path().join("gateway.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).unwrap();
    }

    fn await_nothing_open(&self) {
        within("nothing is open", PATIENCE, || match self.gateway.open().len() {
            0 => Ok(()),
            open => Err(format!("{open} are open")),
        });
    }

    /// The start is refused, and this is said of it.
    fn assert_refused(&mut self, expected: &str) {
        let before = self.gateway.said().len();
        self.gateway.spawn();
        let status = self.gateway.process().wait();
        let said = self.gateway.said().split_off(before);
        assert!(!status.success() && said.contains(expected), "{status}: {expected} in\n{said}");
    }
}

fn route(mode: &str) -> String {
    let call = |name: &str, token: &str| {
        let body = format!(
            r#"body: {{ card: "${{request.body.card.number}}", amount: "${{request.body.amount}}"{token} }}"#
        );
        let headers = r#"headers: { x-pin: 'pin ${request.headers["x-pin"]}' }"#;
        match mode {
            "saga" => format!(
                "{{ name: {name}, service: bank, act: {{ path: /{name}/act, {headers}, {body} }}, \
                 compensate: {{ path: /{name}/undo, {undo} }} }}",
                undo = body.replace(token, "")
            ),
            _ => format!("{{ name: {name}, service: bank, path: /{name}, {headers}, {body} }}"),
        }
    };
    format!(
        r#"
  - name: {mode}
    match: {{ method: POST, path: /{mode} }}
    transaction:
      mode: {mode}
      deadline: 60s
      answer_at: finished
      secret: [request.body.card.number, request.headers.x-pin, branches.hold.response.token]
      branches: [ {hold}, {take} ]
      respond: {{ status: 201, headers: {{ x-token: "${{branches.hold.response.token}}" }}, body: {{ card: "${{request.body.card.number}}", name: "${{request.body.card.name}}" }} }}
"#,
        hold = call("hold", ""),
        take = call("take", r#", token: "${branches.hold.response.token}""#),
    )
}

fn answer(door: &Door, call: &Call) -> Said {
    let last = ["/take/commit", "/take/confirm", "/take/act"].contains(&call.path.as_str());
    if last && !door.is_open() {
        return Said { headers: "Retry-After: 1\r\n", ..Said::json(503, "{}") };
    }
    Said::json(200, &format!(r#"{{"token":"{TOKEN}","receipt":7}}"#))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn text(output: std::process::Output) -> String {
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn no_file_and_no_command_tells_a_secret_whatever_is_killed() {
    let mut till = Till::start();
    let modes = ["two-phase", "tcc", "saga"];
    std::thread::scope(|scope| {
        let till = &till;
        for mode in modes {
            scope.spawn(move || {
                till.post(mode, &[("x-pin", PIN), ("idempotency-key", mode), ("prefer", "respond-async")]);
            });
        }
    });
    let asked = |path: &str, till: &Till| till.bank.calls().iter().filter(|call| call.path == path).count();
    within("every mode waits for its last word", PATIENCE, || {
        let paths = ["/take/commit", "/take/confirm", "/take/act"];
        let missing: Vec<_> = paths.into_iter().filter(|path| asked(path, &till) == 0).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    });
    till.assert_secret();
    let before = till.bank.calls();
    till.gateway.kill();
    assert_eq!(till.betrayed(), []);
    // Without its key, or with another one in its place, the start is refused, by the name of both.
    write_secret(&till.folder.path().join("k1.key"), K2);
    till.assert_refused("does not open with key `k1`");
    write_secret(&till.folder.path().join("k2.key"), K2);
    till.configure("{ k1: k1.key }, current: k1", "{ k2: k2.key }, current: k2");
    till.assert_refused("is sealed with key `k1`, which `journal.sealing.keys` does not name");
    // Rotated: the new key seals, the old one opens.
    write_secret(&till.folder.path().join("k1.key"), K1);
    till.configure("{ k2: k2.key }", "{ k1: k1.key, k2: k2.key }");
    till.door.open();
    till.gateway.start();
    till.await_nothing_open();
    for path in ["/take/commit", "/take/confirm", "/take/act"] {
        let first = before.iter().find(|call| call.path == path).unwrap();
        let calls = till.bank.calls();
        let last = calls.iter().rev().find(|call| call.path == path).unwrap();
        assert_eq!((&first.body, first.header("x-pin")), (&last.body, last.header("x-pin")));
        assert!(last.body.contains(CARD) && last.body.contains(TOKEN), "{}", last.body);
        assert_eq!(last.header("x-pin"), Some(format!("pin {PIN}").as_str()));
    }
    for mode in modes {
        let told = till.pay(mode, mode);
        assert_eq!((told.status, told.header("x-token")), (201, Some(TOKEN)), "{mode}: {}", told.text());
        assert!(told.text().contains(CARD), "{}", told.text());
        // Another one, under the new key.
        assert_eq!(till.pay(mode, &format!("{mode}-again")).status, 201);
    }
    till.assert_secret();
    till.gateway.kill();
    till.gateway.start();
    for mode in modes {
        let told = till.pay(mode, &format!("{mode}-again"));
        assert_eq!((told.status, told.header("x-token")), (201, Some(TOKEN)), "{mode}: {}", told.text());
    }
    till.assert_secret();
    let shown = till.everything_said();
    assert!(shown.contains("•••") && shown.contains("Ada"), "what is not secret is shown beside it");
    assert!(till.gateway.terminate().success());
    assert_eq!(till.betrayed(), []);
    // What has ended needs no key to start; its answer says which one it lacks.
    write_secret(&till.folder.path().join("k3.key"), K1);
    till.configure("{ k1: k1.key, k2: k2.key }, current: k2", "{ k3: k3.key }, current: k3");
    till.gateway.start();
    let told = till.pay("tcc", "tcc-again");
    assert!(told.status == 500 && told.text().contains("sealed with key `k2`"), "{}", told.text());
}
