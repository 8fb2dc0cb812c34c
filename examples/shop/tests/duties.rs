//! The duties of a participant, for every service: whatever order calls come in, and however often, each branch ends
//! legally, has its effect once, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod world;

use std::collections::BTreeSet;
use std::net::TcpListener;

use proptest::prelude::*;
use serde_json::{Value, json};
use unanimo_shop::{Seed, Service, smtp_sink::Sink};
use world::{Answer, Client, Running};

#[derive(Clone, Copy, Debug)]
enum Step {
    Try,
    Confirm,
    Cancel,
    Restart,
}

/// What the test knows of a branch: the same five cases as the barrier's table, written down again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mark {
    None,
    Held,
    Confirmed,
    Cancelled,
    Refused,
}

/// Transactions 0 and 1 ask for what can be had, transaction 2 for what cannot.
const TRANSACTIONS: usize = 3;

fn seed() -> Seed {
    Seed { customers: 1, balance_cents: 1000, stock: vec![("tea".to_owned(), 100)] }
}

/// The table of the barrier: the mark that follows, and the answer.
fn expect(mark: Mark, step: Step, possible: bool, refusal: u16) -> (Mark, (u16, &'static str)) {
    use Mark::{Cancelled, Confirmed, Held, None, Refused};
    match (step, mark) {
        (Step::Try, None) if possible => (Held, (200, "done")),
        (Step::Try, None) => (Refused, (refusal, "refused")),
        (Step::Try, Held | Confirmed) => (mark, (200, "done")),
        (Step::Try, Refused) => (Refused, (refusal, "refused")),
        (Step::Try, Cancelled) => (Cancelled, (409, "refused")),
        (Step::Confirm, None) => (None, (404, "")),
        (Step::Confirm, Held | Confirmed) => (Confirmed, (200, "done")),
        (Step::Confirm, Cancelled | Refused) => (mark, (409, "refused")),
        (Step::Cancel, None | Held | Cancelled) => (Cancelled, (200, "done")),
        (Step::Cancel, Refused) => (Refused, (200, "done")),
        (Step::Cancel, Confirmed) => (Confirmed, (409, "refused")),
        (Step::Restart, mark) => (mark, (200, "done")),
    }
}

fn operation(step: Step, two_phase: bool) -> &'static str {
    match (step, two_phase) {
        (Step::Try, false) => "try",
        (Step::Try, true) => "prepare",
        (Step::Confirm, false) => "confirm",
        (Step::Confirm, true) => "commit",
        (Step::Cancel, false) => "cancel",
        (Step::Cancel, true) => "rollback",
        (Step::Restart, _) => unreachable!("a restart is no call"),
    }
}

fn steps() -> impl Strategy<Value = Vec<(Step, usize, bool)>> {
    let step = prop_oneof![5 => Just(Step::Try), 4 => Just(Step::Confirm), 3 => Just(Step::Cancel), 1 => Just(Step::Restart)];
    proptest::collection::vec((step, 0..TRANSACTIONS, any::<bool>()), 1..20)
}

fn run(service: Service, steps: &[(Step, usize, bool)]) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sink = Sink::start(listener, directory.path().join("mail")).unwrap();
    let start = || Running::start(service, directory.path(), seed(), Some(sink.address()));
    let mut running = start();
    let mut marks = [Mark::None; TRANSACTIONS];
    let mut first_answers: [Option<Value>; TRANSACTIONS] = Default::default();

    for &(step, transaction, two_phase) in steps {
        if matches!(step, Step::Restart) {
            drop(running);
            running = start();
            continue;
        }
        let (body, refusal) = world::bad(service);
        let possible = transaction < 2;
        let body = if possible { world::good(service) } else { body };
        let (next, (status, outcome)) = expect(marks[transaction], step, possible, refusal);
        let id = format!("t{transaction}");
        let answer = running.client().call(service, operation(step, two_phase), (&id, "the-branch"), &body);
        prop_assert!(
            answer.is(status, outcome),
            "{step:?} of {id}, {:?}: expected {status} {outcome}, saw {answer:?}",
            marks[transaction]
        );
        if !matches!(step, Step::Cancel) && outcome == "done" {
            let first = first_answers[transaction].get_or_insert(answer.body.clone());
            prop_assert_eq!(&*first, &answer.body, "a repeated call has the same answer");
        }
        marks[transaction] = next;
    }

    check(&running, marks)
}

/// The database says the same as the marks, and the sums agree.
fn check(running: &Running, marks: [Mark; TRANSACTIONS]) -> Result<(), TestCaseError> {
    let of = |wanted: Mark| -> BTreeSet<String> {
        (0..TRANSACTIONS).filter(|&i| marks[i] == wanted).map(|i| format!("t{i}")).collect()
    };
    let facts = running.facts();
    prop_assert_eq!(&facts.flaws, &Vec::<String>::new());
    prop_assert_eq!(&facts.standing, &of(Mark::Confirmed));
    prop_assert_eq!(&facts.pending, &of(Mark::Held));
    if let Some(total) = facts.total {
        let share = if running.service == Service::Payment { 30 } else { 3 };
        let (held, taken) = (of(Mark::Held).len() as i64 * share, of(Mark::Confirmed).len() as i64 * share);
        prop_assert_eq!((total.held, total.taken), (held, taken));
        prop_assert_eq!(total.free, total.seeded - held - taken);
    }
    Ok(())
}

/// A saga's table of the barrier: the mark that follows, and the answer.
fn expect_of_saga(mark: Mark, acts: bool, possible: bool, refusal: u16) -> (Mark, (u16, &'static str)) {
    use Mark::{Cancelled, Confirmed, None, Refused};
    match (acts, mark) {
        (true, None) if possible => (Confirmed, (200, "done")),
        (true, None | Refused) => (Refused, (refusal, "refused")),
        (true, Cancelled) => (Cancelled, (409, "refused")),
        (true, mark) => (mark, (200, "done")),
        (false, Refused) => (Refused, (200, "done")),
        (false, _) => (Cancelled, (200, "done")),
    }
}

/// Acts and compensations in any order, of a service that a saga may have before its pivot.
fn run_saga(service: Service, steps: &[(bool, usize)]) -> Result<(), TestCaseError> {
    let directory = tempfile::tempdir().unwrap();
    let running = Running::start(service, directory.path(), seed(), None);
    let mut marks = [Mark::None; TRANSACTIONS];
    for &(acts, transaction) in steps {
        let (bad, refusal) = world::bad(service);
        let possible = transaction < 2;
        let body = if possible { world::good(service) } else { bad };
        let (next, (status, outcome)) = expect_of_saga(marks[transaction], acts, possible, refusal);
        let operation = if acts { "act" } else { "compensate" };
        let id = format!("t{transaction}");
        let answer = running.client().call(service, operation, (&id, "the-branch"), &body);
        prop_assert!(
            answer.is(status, outcome),
            "{operation} of {id}, {:?}: expected {status} {outcome}, saw {answer:?}",
            marks[transaction]
        );
        marks[transaction] = next;
    }
    check(&running, marks)
}

fn saga_steps() -> impl Strategy<Value = Vec<(bool, usize)>> {
    proptest::collection::vec((any::<bool>(), 0..TRANSACTIONS), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_acts_and_compensations_leaves_orders_legal(steps in saga_steps()) {
        run_saga(Service::Order, &steps)?;
    }

    #[test]
    fn any_order_of_acts_and_compensations_leaves_payments_legal(steps in saga_steps()) {
        run_saga(Service::Payment, &steps)?;
    }

    #[test]
    fn any_order_of_acts_and_compensations_leaves_shipments_legal(steps in saga_steps()) {
        run_saga(Service::Shipping, &steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_calls_leaves_orders_legal(steps in steps()) { run(Service::Order, &steps)?; }

    #[test]
    fn any_order_of_calls_leaves_payments_legal(steps in steps()) { run(Service::Payment, &steps)?; }

    #[test]
    fn any_order_of_calls_leaves_reservations_legal(steps in steps()) { run(Service::Shipping, &steps)?; }

    #[test]
    fn any_order_of_calls_leaves_notifications_legal(steps in steps()) { run(Service::Notification, &steps)?; }
}

fn payment(directory: &tempfile::TempDir) -> (Running, Client) {
    let running = Running::start(Service::Payment, directory.path(), seed(), None);
    let client = running.client();
    (running, client)
}

fn pay(client: &mut Client, operation: &str, branch: (&str, &str), amount: i64) -> Answer {
    let body = json!({"customer": "customer-0", "amount": amount});
    client.call(Service::Payment, operation, branch, &body)
}

#[test]
fn a_try_after_its_cancel_is_refused_and_freezes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (running, mut client) = payment(&directory);
    assert!(pay(&mut client, "cancel", ("late", "payment"), 30).is(200, "done"));
    assert!(pay(&mut client, "try", ("late", "payment"), 30).is(409, "refused"));
    assert_eq!(running.facts().total.unwrap().free, 1000);
}

#[test]
fn a_refusal_stays_one_even_when_the_money_has_come_since() {
    let directory = tempfile::tempdir().unwrap();
    let (_running, mut client) = payment(&directory);
    assert!(pay(&mut client, "try", ("first", "payment"), 900).is(200, "done"));
    let refused = pay(&mut client, "try", ("second", "payment"), 200);
    assert!(refused.is(409, "refused"));
    assert_eq!(refused.content_type.as_deref(), Some("application/problem+json"));
    assert_eq!(refused.body["title"], "Insufficient funds");
    assert!(pay(&mut client, "cancel", ("first", "payment"), 900).is(200, "done"));
    assert_eq!(pay(&mut client, "try", ("second", "payment"), 200), refused);
    assert!(pay(&mut client, "try", ("third", "payment"), 200).is(200, "done"));
}

#[test]
fn two_branches_of_one_transaction_are_two() {
    let directory = tempfile::tempdir().unwrap();
    let (running, mut client) = payment(&directory);
    assert!(pay(&mut client, "try", ("t", "goods"), 100).is(200, "done"));
    assert!(pay(&mut client, "try", ("t", "postage"), 7).is(200, "done"));
    assert!(pay(&mut client, "confirm", ("t", "goods"), 0).is(200, "done"));
    let total = running.facts().total.unwrap();
    assert_eq!((total.free, total.held, total.taken), (893, 7, 100));
    assert!(running.facts().flaws.is_empty());
    assert!(pay(&mut client, "cancel", ("t", "postage"), 0).is(200, "done"));
    assert_eq!(running.facts().total.unwrap().free, 900);
}

#[test]
fn a_name_that_begins_another_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let (running, mut client) = payment(&directory);
    assert!(pay(&mut client, "try", ("p-1", "b"), 1).is(200, "done"));
    assert!(pay(&mut client, "try", ("p-10", "b"), 2).is(200, "done"));
    assert!(pay(&mut client, "cancel", ("p-1", "b"), 1).is(200, "done"));
    assert_eq!(running.facts().pending, BTreeSet::from(["p-10".to_owned()]));
}

#[test]
fn equal_calls_at_the_same_time_have_one_effect() {
    let directory = tempfile::tempdir().unwrap();
    let (running, _) = payment(&directory);
    for operation in ["try", "confirm"] {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let answer = pay(&mut running.client(), operation, ("t", "b"), 30);
                    assert!(answer.is(200, "done"), "{answer:?}");
                });
            }
        });
    }
    let total = running.facts().total.unwrap();
    assert_eq!((total.free, total.held, total.taken), (970, 0, 30));
}
