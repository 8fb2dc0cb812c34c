//! Two participants that do as the request says, and a plain service: for what no honest service does.
//!
//! The request's `left` and `right` say what each of them does when it is asked to prepare: `yes`, `no`, `wait` for the
//! door and then yes, `large` for an answer that is too large to be kept, or `away` for a yes, after which it puts off
//! every commit for half a minute until the door is open.

use super::gateway::{Choices, Gateway};
use super::http::{self, Answer, Lost, Request};
use super::scripted::{Call, Door, Said, Scripted};
use std::time::Duration;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

const ROUTES: &str = r#"
  - name: plain
    match: { path: /plain }
    proxy: { service: right, timeout: 60s }
"#;

/// A gateway with its two participants. The gateway ends before its folder goes.
pub struct Counter {
    pub gateway: Gateway,
    pub left: Scripted,
    pub right: Scripted,
    /// Shut until the test opens it.
    pub door: Door,
    pub folder: TempDir,
}

impl Counter {
    /// All running. There are routes `/pay` (patient), `/hasty` (its deadline is soon) and `/later` (its client is not
    /// kept waiting), and `/pass` which passes a refusal on.
    pub fn start(choices: Choices) -> Counter {
        let mut counter = Counter::prepare(choices);
        counter.gateway.start();
        counter
    }

    /// The same, without a gateway that runs.
    pub fn prepare(choices: Choices) -> Counter {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::default();
        let [left, right] = ["left", "right"].map(|name| {
            let door = door.clone();
            Scripted::start(move |call| answer(name, &door, call))
        });
        let services = format!(
            "services:\n  left: {{ endpoints: [\"{}\"], anonymous: true, call_timeout: 30s }}\n  \
             right: {{ endpoints: [\"{}\"], anonymous: true, call_timeout: 30s }}\nroutes:",
            left.address, right.address
        );
        let routes = [
            route("pay", "deadline: 60s, answer_timeout: 90s"),
            route("hasty", "deadline: 300ms"),
            route("later", "deadline: 60s, answer_timeout: 200ms"),
            route("pass", "deadline: 60s, refused: pass-on"),
        ];
        let rest = services + &routes.concat() + ROUTES;
        let gateway = Gateway::prepare(folder.path(), choices, &rest);
        Counter { gateway, left, right, door, folder }
    }

    pub fn post(&self, target: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Lost> {
        http::once(self.gateway.public, Request::post(target, headers, body), PATIENCE)
    }

    pub fn get(&self, target: &str) -> Answer {
        http::once(self.gateway.public, Request::get(target), PATIENCE).unwrap()
    }

    /// The operations that a participant was asked, in order, for transactions of this amount.
    pub fn operations(participant: &Scripted, amount: &str) -> Vec<String> {
        let amount = format!("\"amount\":{amount}}}");
        let calls = participant.calls().into_iter().filter(|call| call.body.ends_with(&amount));
        calls.filter_map(|call| call.header("unanimo-operation").map(str::to_owned)).collect()
    }
}

fn route(name: &str, settings: &str) -> String {
    format!(
        r#"
  - name: {name}
    match: {{ method: POST, path: /{name} }}
    transaction: {{ mode: two-phase, {settings}, branches: [
      {{ name: left, service: left, path: /left, body: {{ act: "${{request.body.left}}", amount: "${{request.body.amount}}" }} }},
      {{ name: right, service: right, path: /right, body: {{ act: "${{request.body.right}}", amount: "${{request.body.amount}}" }} }},
    ], respond: {{ status: 201, headers: {{ x-receipt: "${{branches.left.response.receipt}}" }}, body: {{
      id: "${{transaction.id}}", amount: "${{request.body.amount}}", receipt: "${{branches.left.response.receipt}}" }} }} }}
"#
    )
}

/// A request's body.
pub fn body(left: &str, right: &str, amount: &str) -> String {
    format!(r#"{{"left":"{left}","right":"{right}","amount":{amount}}}"#)
}

fn answer(name: &str, door: &Door, call: &Call) -> Said {
    let asks = |act: &str| call.body.contains(&format!(r#""act":"{act}""#));
    let receipt = r#"{"receipt":100.10}"#;
    match call.header("unanimo-operation") {
        None => {
            door.pass();
            Said::json(200, "\"plain\"")
        }
        Some("commit") if asks("slow-commit") => {
            door.pass();
            Said::json(200, "{}")
        }
        Some("commit") if asks("away") && !door.is_open() => {
            Said { headers: "Retry-After: 30\r\n", ..Said::json(503, "{}") }
        }
        Some("prepare") if asks("no") => Said {
            content_type: "application/problem+json",
            ..Said::json(422, &format!(r#"{{"title":"No","detail":"{name} says no","status":422}}"#))
        },
        Some("prepare") if asks("wait") => {
            door.pass();
            Said::json(200, receipt)
        }
        Some("prepare") if asks("large") => {
            Said::json(200, &format!(r#"{{"receipt":"{}"}}"#, "x".repeat(70_000)))
        }
        _ => Said::json(200, receipt),
    }
}
