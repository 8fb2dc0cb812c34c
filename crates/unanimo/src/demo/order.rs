//! What is ordered: mostly what can be had; now and then more than there is money or stock for.

use super::wire::Question;
use serde_json::json;
use std::time::Duration;

/// The accounts that the shop opens, as its seed has it.
const CUSTOMERS: u64 = 100;

/// One order.
#[derive(Clone, Debug)]
pub struct Order {
    /// The client's key for it, and nobody else's.
    pub key: String,
    /// How much it costs, in cents.
    pub amount: i64,
    /// How many of the goods.
    pub quantity: i64,
    sku: &'static str,
    customer: String,
    manner: Manner,
}

/// How the client waits for its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As long as it takes.
    Patient,
    /// It hangs up after this while, and comes back.
    HangsUp(Duration),
    /// It takes a 202, and looks at the address that it was given.
    LooksLater,
}

impl Order {
    /// The order of this number. Of a hundred, five are too dear, four of goods that run out and four of goods that there
    /// are not, so that others have acted before somebody refuses; six hang up, and six look later.
    pub fn number(number: u64) -> Order {
        let customer = format!("customer-{}", fastrand::u64(0..CUSTOMERS));
        let quantity = fastrand::i64(1..=3);
        let (sku, price) = match number % 25 {
            3 => ("saffron", 90),
            11 => ("moonlight", 10),
            at if at % 2 == 0 => ("tea", 45),
            _ => ("coffee", 60),
        };
        // Nobody ever had so much.
        let amount = if number % 20 == 7 { 60_000 } else { price * quantity };
        let manner = match number % 16 {
            5 => Manner::HangsUp(Duration::from_millis(fastrand::u64(1..=20))),
            9 => Manner::LooksLater,
            _ => Manner::Patient,
        };
        Order { key: format!("order-{number:06}"), amount, quantity, sku, customer, manner }
    }

    /// What the gateway is asked: the same bytes under the same key, however often.
    pub fn question(&self) -> Question {
        let Order { amount, quantity, sku, customer, .. } = self;
        let email = format!("{customer}@example.org");
        let body =
            json!({"customer": customer, "email": email, "sku": sku, "quantity": quantity, "amount": amount});
        let question = Question::post("/orders", &self.key, body.to_string());
        match self.manner {
            Manner::LooksLater => question.preferring_async(),
            Manner::Patient | Manner::HangsUp(_) => question,
        }
    }

    /// How long the client waits the first time, where that is shorter than usual.
    pub fn hangs_up_after(&self) -> Option<Duration> {
        match self.manner {
            Manner::HangsUp(after) => Some(after),
            Manner::Patient | Manner::LooksLater => None,
        }
    }
}
