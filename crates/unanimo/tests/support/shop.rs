//! The shop: four services as processes of the program itself, with a route in each mode.

use super::banks::rows;
use super::gateway::{Choices, program};
use super::world::{Business, Facts, Participant, Wish, World, services};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use unanimo_shop::smtp_sink::Sink;
use unanimo_shop::{Service, audit};

const NAMES: [&str; 4] = ["order", "payment", "shipping", "notification"];
const CUSTOMERS: u64 = 100;

const ROUTES: &str = r#"
routes:
  - name: order
    match: { method: POST, path: /orders }
    transaction:
      mode: MODE
      deadline: 1s
      answer_timeout: 3s
      branches:
        - name: order
          service: order
          path: /orders
          body:
            customer: "${request.body.customer}"
            sku: "${request.body.sku}"
            quantity: "${request.body.quantity}"
            amount: "${request.body.amount}"
        - name: payment
          service: payment
          path: /payments
          after: [order]
          body: { customer: "${request.body.customer}", amount: "${request.body.amount}" }
        - name: shipping
          service: shipping #PIVOT
          path: /reservations
          body: { sku: "${request.body.sku}", quantity: "${request.body.quantity}" }
        - name: notification
          service: notification #RETRIABLE
          path: /notifications
          body: { address: "${request.body.address}", text: "order ${request.body.number}" }
      respond:
        body: { transaction: "${transaction.id}", receipt: "${branches.payment.response.receipt}" }
"#;

/// Four services and a mail server behind a gateway, all running.
pub fn start(mode: &str, choices: Choices) -> World {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mail = Sink::start(listener, folder.path().join("mail")).unwrap();
    let smtp = mail.address();
    let participants = NAMES.map(|name| {
        Participant::new(name, folder.path(), move |participant| {
            let mut command = Command::new(program());
            command.args(["shop", name, "--address", &participant.address.to_string()]);
            command.arg("--database").arg(participant.database());
            command.arg("--credential-file").arg(participant.token_file());
            command.args(["--smtp", &smtp.to_string()]);
            command
        })
    });
    let participants = Vec::from(participants);
    let is_saga = mode == "saga";
    let mut routes = ROUTES.replace("MODE", mode);
    for (step, name) in [("pivot", " #PIVOT"), ("retriable", " #RETRIABLE")] {
        let line = if is_saga { format!("\n          step: {step}") } else { String::new() };
        routes = routes.replace(name, &line);
    }
    let rest = services(&participants, "") + &routes;
    World::start(Box::new(Shop { mail, is_saga }), folder, participants, choices, &rest)
}

struct Shop {
    mail: Sink,
    is_saga: bool,
}

impl Business for Shop {
    fn services(&self) -> &'static [&'static str] {
        &NAMES
    }

    /// What comes from the pivot on is not given up.
    fn given_up(&self) -> usize {
        if self.is_saga { 2 } else { NAMES.len() }
    }

    fn resumes(&self) -> bool {
        self.is_saga
    }

    /// One of five is refused, by any of the four services; in a saga by any but the last, which may not refuse.
    fn wish(&self, number: u64, dice: &mut fastrand::Rng) -> Wish {
        let customer = format!("customer-{}", dice.u64(..CUSTOMERS));
        let (mut sku, mut quantity, mut amount) = ("tea", dice.i64(1..=3), dice.i64(1..=20));
        let mut address = format!("reader-{number}@shop.example");
        let is_refused = dice.u8(..5) == 0;
        match dice.u8(..if self.is_saga { 3 } else { 4 }) {
            _ if !is_refused => {}
            0 => quantity = 0,
            1 => amount = 90_000_000,
            2 => sku = "moonlight",
            _ => address = "nobody".to_owned(),
        }
        let body = json!({
            "customer": customer, "sku": sku, "quantity": quantity, "amount": amount, "address": address,
            "number": number,
        });
        let effects = [
            format!("{customer} {sku} {quantity} {amount}"),
            format!("{customer} {amount}"),
            format!("{sku} {quantity}"),
            format!("order {number}"),
        ];
        let effects = (!is_refused).then(|| NAMES.into_iter().zip(effects).collect());
        Wish { path: "/orders", body: body.to_string(), effects }
    }

    fn facts(&self, folder: &Path) -> Facts {
        let mut facts = Facts::default();
        let mut audits = Vec::new();
        for service in Service::ALL {
            let file = folder.join(format!("{service}.db"));
            let audit = audit::read(service, &file).unwrap();
            facts.held.extend(audit.pending.iter().map(|transaction| format!("{service}: {transaction}")));
            facts.held.extend((audit.unsent > 0).then(|| format!("{} mails to send", audit.unsent)));
            facts.flaws.extend(audit.flaws.iter().map(|flaw| format!("{service}: {flaw}")));
            audits.push(audit);
            effects(&mut facts, service, &file);
        }
        let mailed = self.mail.message_ids().into_iter();
        let mailed: BTreeSet<_> = mailed.map(|id| id.trim_end_matches("@shop.example").to_owned()).collect();
        let complete = audit::compare(&audits).complete;
        if facts.held.is_empty() && mailed != complete {
            let differing: Vec<_> = mailed.symmetric_difference(&complete).collect();
            facts.flaws.push(format!("mail without an order, or an order without mail: {differing:?}"));
        }
        facts
    }
}

/// The final effects in one service's database.
fn effects(facts: &mut Facts, service: Service, file: &Path) {
    let sql = match service {
        Service::Order => {
            "SELECT transaction_id, customer || ' ' || sku || ' ' || quantity || ' ' || amount_cents FROM orders
             WHERE state = 'confirmed'"
        }
        Service::Payment => "SELECT transaction_id, account || ' ' || amount_cents FROM ledger",
        Service::Shipping => "SELECT transaction_id, sku || ' ' || quantity FROM shipments",
        Service::Notification => "SELECT transaction_id, text FROM messages WHERE state != 'wish'",
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).unwrap();
    for (transaction, effect) in rows(&connection, sql, |row| Ok((row.get(0)?, row.get::<_, String>(1)?))) {
        let transaction: String = transaction;
        if service == Service::Notification
            && let Some(number) = effect.strip_prefix("order ").and_then(|number| number.parse().ok())
        {
            facts.numbers.insert(transaction.clone(), number);
        }
        facts.note(service.name(), transaction, effect);
    }
}
