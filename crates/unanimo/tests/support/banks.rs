//! Two banks and a notifier: the Python example, with a route in two phases.

use super::gateway::Choices;
use super::ports;
use super::process::python;
use super::world::{Business, Facts, Participant, Wish, World, services};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/bank-python");
const ACCOUNTS: u64 = 10;
const CENTS_EACH: i64 = 100_000_000;
const NAMES: [&str; 3] = ["bank-a", "bank-b", "notifier"];

const ROUTES: &str = r#"
routes:
  - name: transfer
    match: { method: POST, path: /transfers }
    transaction:
      mode: two-phase
      deadline: 1s
      answer_timeout: 3s
      branches:
        - name: debit
          service: bank-a
          path: /debits
          body: { account: "${request.body.from}", amount: "${request.body.amount}" }
        - name: credit
          service: bank-b
          path: /credits
          body: { account: "${request.body.to}", amount: "${request.body.amount}" }
        - name: note
          service: notifier
          path: /notes
          body: { text: "${request.body.text}" }
      respond:
        body:
          transaction: "${transaction.id}"
          amount: "${request.body.amount}"
          receipts: ["${branches.debit.response.receipt}", "${branches.credit.response.receipt}"]
"#;

/// Two banks and a notifier behind a gateway, all running.
pub fn start(choices: Choices) -> World {
    world(choices, "", "", ROUTES)
}

/// The same, with a minute's time to vote.
pub fn start_patient(choices: Choices) -> World {
    world(choices, "", "", &ROUTES.replace("deadline: 1s", "deadline: 60s"))
}

/// The same, and each of them asks for the verdict of what it holds: beginnings are not written.
pub fn start_asking(choices: Choices) -> World {
    let listener = format!("participants: {{ address: \"{}\" }}\n", ports::reserve());
    world(choices, ", asks: true", &listener, ROUTES)
}

fn world(choices: Choices, service: &str, more: &str, routes: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let participants = Vec::from(NAMES.map(|name| Participant::new(name, folder.path(), command)));
    let rest = more.to_owned() + &services(&participants, service) + routes;
    World::start(Box::new(Banks), folder, participants, choices, &rest)
}

fn command(participant: &Participant) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(Path::new(PROGRAMS).join(match participant.name {
        "notifier" => "notifier.py",
        _ => "bank.py",
    }));
    command.args(["--port", &participant.address.port().to_string()]);
    command.arg("--database").arg(participant.database());
    command.arg("--credential-file").arg(participant.token_file());
    if participant.name != "notifier" {
        command.args(["--accounts", &ACCOUNTS.to_string(), "--balance", &CENTS_EACH.to_string()]);
    }
    command
}

struct Banks;

impl Business for Banks {
    fn services(&self) -> &'static [&'static str] {
        &NAMES
    }

    /// One of five is refused: by the one bank, by the other, by the notifier, or by two of them.
    fn wish(&self, number: u64, dice: &mut fastrand::Rng) -> Wish {
        let mut from = format!("account-{}", dice.u64(..ACCOUNTS));
        let mut to = format!("account-{}", dice.u64(..ACCOUNTS));
        let mut cents = dice.i64(1..=500);
        let mut text = format!("transfer {number}");
        let is_refused = dice.u8(..5) == 0;
        match dice.u8(..5) {
            _ if !is_refused => {}
            0 => from = "nobody".to_owned(),
            1 => cents = CENTS_EACH * 2 + 1,
            2 => to = "nobody".to_owned(),
            3 => text = String::new(),
            _ => (from, to) = ("nobody".to_owned(), "nobody".to_owned()),
        }
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let body = json!({ "from": from, "to": to, "amount": amount, "text": text }).to_string();
        let effects = [format!("debits {from} {cents}"), format!("credits {to} {cents}"), text];
        let effects = (!is_refused).then(|| NAMES.into_iter().zip(effects).collect());
        Wish { path: "/transfers", body, effects }
    }

    fn facts(&self, folder: &Path) -> Facts {
        let mut facts = Facts::default();
        for bank in ["bank-a", "bank-b"] {
            moves(&mut facts, bank, &open(folder, bank));
        }
        notes(&mut facts, &open(folder, "notifier"));
        facts
    }
}

fn open(folder: &Path, name: &str) -> Connection {
    let file = folder.join(format!("{name}.db"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).unwrap();
    connection.busy_timeout(super::process::PATIENCE).unwrap();
    connection
}

/// The moves of one bank, and whether its accounts are what the moves have made of them.
fn moves(facts: &mut Facts, bank: &'static str, connection: &Connection) {
    let mut expected: BTreeMap<String, i64> =
        (0..ACCOUNTS).map(|at| (format!("account-{at}"), CENTS_EACH)).collect();
    let row = |row: &Row| {
        let (kind, account): (String, String) = (row.get(1)?, row.get(2)?);
        Ok((row.get::<_, String>(0)?, kind, account, row.get::<_, i64>(3)?, row.get::<_, String>(4)?))
    };
    let moment = connection.unchecked_transaction().unwrap();
    for (transaction, kind, account, cents, state) in
        rows(&moment, "SELECT transaction_id, kind, account, cents, state FROM moves", row)
    {
        let balance = expected.entry(account.clone()).or_default();
        match (kind.as_str(), state.as_str()) {
            ("debits", "held" | "committed") => *balance -= cents,
            ("credits", "committed") => *balance += cents,
            _ => {}
        }
        match state.as_str() {
            "held" => facts.held.push(format!("{bank}: {transaction} {kind} {cents}")),
            "committed" => facts.note(bank, transaction, format!("{kind} {account} {cents}")),
            _ => {}
        }
    }
    let balances = rows(&moment, "SELECT account, cents FROM accounts", |row| Ok((row.get(0)?, row.get(1)?)));
    let balances: BTreeMap<String, i64> = balances.into_iter().collect();
    if balances != expected {
        facts.flaws.push(format!("{bank} has {balances:?}, and its moves make it {expected:?}"));
    }
}

fn notes(facts: &mut Facts, connection: &Connection) {
    let row = |row: &Row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    for (transaction, text) in rows(connection, "SELECT transaction_id, text FROM told", row) {
        if let Some(number) = text.strip_prefix("transfer ").and_then(|number| number.parse().ok()) {
            facts.numbers.insert(transaction.clone(), number);
        }
        facts.note("notifier", transaction, text);
    }
    for (transaction, text) in rows(connection, "SELECT transaction_id, text FROM drafts", row) {
        facts.held.push(format!("notifier: {transaction} {text}"));
    }
}

pub fn rows<T>(connection: &Connection, sql: &str, row: impl FnMut(&Row) -> rusqlite::Result<T>) -> Vec<T> {
    let mut query = connection.prepare(sql).unwrap();
    query.query_map([], row).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}
