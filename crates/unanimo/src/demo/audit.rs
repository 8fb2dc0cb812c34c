//! The audit: the four databases, the mail server and every answer that a client got, held against each other.

use super::book::Entry;
use super::count::number;
use super::meaning::End;
use super::order::Order;
use std::collections::BTreeSet;
use unanimo_shop::Service;
use unanimo_shop::audit::{Facts, Total, compare};

/// How many of the things that are wrong are named.
const NAMED: usize = 3;

/// All that can be known from outside, after everything has ended.
pub struct Evidence<'a> {
    /// What the four databases say.
    pub facts: &'a [Facts],
    /// The Message-IDs of all mail that arrived.
    pub message_ids: &'a [String],
    /// Every order, and what its client was told.
    pub entries: &'a [Entry],
    /// How many transactions the gateway still holds open; `None` where it did not say.
    pub open: Option<u64>,
}

/// One line of the audit.
#[derive(Clone, Debug)]
pub struct Line {
    /// What should be so.
    pub claim: &'static str,
    /// Whether it is.
    pub is_right: bool,
    /// The numbers that prove it, and what is wrong.
    pub proof: Vec<String>,
}

/// Judges.
pub fn judge(evidence: &Evidence) -> Vec<Line> {
    let standing = compare(evidence.facts).complete;
    let told = |is_meant: fn(End) -> bool| -> BTreeSet<String> {
        let told = evidence.entries.iter().flat_map(|entry| &entry.told);
        told.filter(|told| is_meant(told.end)).map(|told| told.transaction.clone()).collect()
    };
    let committed = told(|end| end == End::Committed);
    let undone = told(|end| end != End::Committed);
    vec![
        all_or_nothing(evidence),
        conserved(evidence, &MONEY),
        conserved(evidence, &STOCK),
        one_mail_each(evidence, &standing),
        committed_stands(&committed, &standing),
        undone_left_nothing(evidence, &undone),
        same_key_same_answer(evidence),
        everybody_knows(evidence),
        nothing_left(evidence),
    ]
}

fn all_or_nothing(evidence: &Evidence) -> Line {
    let compared = compare(evidence.facts);
    let torn = compared.torn.iter().map(|(transaction, services)| {
        let services: Vec<_> = services.iter().map(ToString::to_string).collect();
        format!("{transaction} only in {}", services.join(", "))
    });
    let (complete, torn_count) = (len(&compared.complete), compared.torn.len());
    let proof = format!("{complete} orders stand in all four databases, {torn_count} in fewer");
    line("All four, or none", proof, torn)
}

/// Something of which there is a fixed amount.
struct Good {
    claim: &'static str,
    service: Service,
    unit: &'static str,
    taken: &'static str,
    of: fn(&Order) -> i64,
}

const MONEY: Good = Good {
    claim: "Money is conserved",
    service: Service::Payment,
    unit: "cents",
    taken: "paid",
    of: |order| order.amount,
};

const STOCK: Good = Good {
    claim: "Stock is conserved",
    service: Service::Shipping,
    unit: "pieces",
    taken: "shipped",
    of: |order| order.quantity,
};

/// What was taken is what the orders that clients know of come to, and everything else is still there.
fn conserved(evidence: &Evidence, good: &Good) -> Line {
    let Good { claim, service, unit, taken: taken_is, of } = good;
    let Some(total) =
        evidence.facts.iter().find(|facts| facts.service == *service).and_then(|facts| facts.total)
    else {
        return line(claim, "the database does not say".to_owned(), ["no total".to_owned()]);
    };
    let Total { seeded, free, held, taken } = total;
    let is_committed = |entry: &&Entry| entry.told.first().is_some_and(|told| told.end == End::Committed);
    let orders = evidence.entries.iter().filter(is_committed);
    let ordered: i64 = orders.clone().map(|entry| of(&entry.order)).sum();
    let orders = number(orders.count() as u64);
    let mut wrong = Vec::new();
    if !total.conserved() {
        wrong.push(format!("{} {unit} are missing", signed(seeded - free - held - taken)));
    }
    if ordered != taken {
        wrong.push(format!("the {orders} orders come to {}", signed(ordered)));
    }
    let equation = [free, held, taken, seeded].map(signed);
    let [free, held, taken, seeded] = &equation;
    let proof = format!("{free} free + {held} held + {taken} {taken_is} = {seeded}");
    let mut line = line(claim, proof, wrong);
    if line.is_right {
        line.proof.push(format!("{taken} {unit} are what the {orders} orders come to"));
    }
    line
}

fn one_mail_each(evidence: &Evidence, standing: &BTreeSet<String>) -> Line {
    let named = |id: &String| id.strip_suffix("@shop.example").unwrap_or(id).to_owned();
    let mailed: BTreeSet<String> = evidence.message_ids.iter().map(named).collect();
    let repeats = evidence.message_ids.len() - mailed.len();
    let without = standing.difference(&mailed).map(|transaction| format!("no mail for {transaction}"));
    let surplus =
        mailed.difference(standing).map(|transaction| format!("mail without an order: {transaction}"));
    let (orders, mails, repeats) = (len(standing), len(&mailed), number(repeats as u64));
    let proof = format!("{orders} orders, {mails} Message-IDs, {repeats} repeats");
    line("One mail for each", proof, without.chain(surplus))
}

fn committed_stands(committed: &BTreeSet<String>, standing: &BTreeSet<String>) -> Line {
    let false_promises =
        committed.difference(standing).map(|transaction| format!("{transaction} does not stand"));
    let unknown =
        standing.difference(committed).map(|transaction| format!("{transaction} stands, and nobody knows"));
    let kept = committed.intersection(standing).count() as u64;
    let proof = format!("{} clients were told so, and {} orders stand", len(committed), number(kept));
    line("Committed is true", proof, false_promises.chain(unknown))
}

fn undone_left_nothing(evidence: &Evidence, undone: &BTreeSet<String>) -> Line {
    let traces = evidence.facts.iter().flat_map(|facts| facts.standing.union(&facts.pending));
    let traces: BTreeSet<&String> = traces.filter(|transaction| undone.contains(*transaction)).collect();
    let proof = format!("{} clients were told so, and {} orders left a trace", len(undone), traces.len());
    line(
        "Rolled back is true",
        proof,
        traces.into_iter().map(|transaction| format!("{transaction} left a trace")),
    )
}

/// Whatever was told under one key agrees, also with what a 202 promised.
fn same_key_same_answer(evidence: &Evidence) -> Line {
    let differing = evidence.entries.iter().filter(|entry| {
        let promised = |accepted: &String| entry.told.iter().all(|told| told.transaction == *accepted);
        entry.told.windows(2).any(|pair| matches!(pair, [a, b] if a != b))
            || !entry.accepted.iter().all(promised)
    });
    let mut differing: Vec<_> =
        differing.map(|entry| format!("{} heard {:?}", entry.order.key, entry.told)).collect();
    let count = differing.len();
    let repeated = evidence.entries.iter().filter(|entry| entry.told.len() > 1);
    let unasked = evidence.entries.len() - repeated.clone().count();
    if unasked > 0 {
        differing.push(format!("{unasked} keys were not answered again"));
    }
    let before = repeated.clone().filter(|entry| entry.is_from_before).count() as u64;
    let proof = format!(
        "{} keys asked again, {} answers differ; {} of them were first given before the crash",
        number(repeated.count() as u64),
        count,
        number(before)
    );
    line("Same key, same answer", proof, differing)
}

fn everybody_knows(evidence: &Evidence) -> Line {
    let ignorant = evidence.entries.iter().filter(|entry| entry.told.is_empty());
    let known = evidence.entries.len() - ignorant.clone().count();
    let ignorant = ignorant.map(|entry| format!("{} never learned", entry.order.key));
    let odd = evidence.entries.iter().flat_map(|entry| {
        entry.odd.iter().map(|odd| format!("{} heard what it should not: {odd}", entry.order.key))
    });
    let proof = format!("{} orders placed, {} ends known", len(evidence.entries), number(known as u64));
    line("Every client knows", proof, odd.chain(ignorant))
}

fn nothing_left(evidence: &Evidence) -> Line {
    let held: usize = evidence.facts.iter().map(|facts| facts.pending.len()).sum();
    let unsent: i64 = evidence.facts.iter().map(|facts| facts.unsent).sum();
    let mut wrong: Vec<_> = evidence
        .facts
        .iter()
        .flat_map(|facts| facts.flaws.iter().map(move |flaw| format!("{}: {flaw}", facts.service)))
        .collect();
    if evidence.facts.len() != Service::ALL.len() {
        wrong.push(format!("only {} databases were read", evidence.facts.len()));
    }
    for (count, what) in [(held as i64, "held in the databases"), (unsent, "not sent yet")] {
        if count > 0 {
            wrong.push(format!("{count} {what}"));
        }
    }
    let open = match evidence.open {
        Some(0) => "0".to_owned(),
        Some(open) => {
            wrong.push(format!("{open} open at the gateway"));
            number(open)
        }
        None => {
            wrong.push("the gateway does not say what is open".to_owned());
            "?".to_owned()
        }
    };
    let proof = format!("{held} held, {open} open at the gateway, {unsent} mails unsent");
    line("Nothing is left", proof, wrong)
}

/// A line that is right where nothing is wrong.
fn line(claim: &'static str, proof: String, wrong: impl IntoIterator<Item = String>) -> Line {
    let mut wrong = wrong.into_iter();
    let mut named: Vec<_> = wrong.by_ref().take(NAMED).collect();
    let is_right = named.is_empty();
    let more = wrong.count();
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    Line { claim, is_right, proof: std::iter::once(proof).chain(named).collect() }
}

fn len<'a, T: 'a>(things: impl IntoIterator<Item = &'a T>) -> String {
    number(things.into_iter().count() as u64)
}

fn signed(count: i64) -> String {
    let sign = if count < 0 { "-" } else { "" };
    format!("{sign}{}", number(count.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::meaning::Told;
    use serde_json::json;

    /// A world in which everything is right: one order stands, one was refused.
    struct World {
        facts: Vec<Facts>,
        message_ids: Vec<String>,
        entries: Vec<Entry>,
        open: Option<u64>,
    }

    fn told(transaction: &str, end: End) -> Told {
        Told { transaction: transaction.to_owned(), end, status: 200, body: json!({}) }
    }

    fn entry(number: u64, transaction: &str, end: End) -> Entry {
        let mut order = Order::number(number);
        (order.amount, order.quantity) = (30, 3);
        let told = vec![told(transaction, end), told(transaction, end)];
        Entry { order, told, accepted: None, lost: 0, odd: vec![], is_from_before: true }
    }

    fn right() -> World {
        let facts = |service, total: Option<[i64; 4]>| Facts {
            service,
            standing: BTreeSet::from(["a".to_owned()]),
            pending: BTreeSet::new(),
            total: total.map(|[seeded, free, held, taken]| Total { seeded, free, held, taken }),
            unsent: 0,
            flaws: vec![],
        };
        World {
            facts: vec![
                facts(Service::Order, None),
                facts(Service::Payment, Some([100, 70, 0, 30])),
                facts(Service::Shipping, Some([100, 97, 0, 3])),
                facts(Service::Notification, None),
            ],
            message_ids: vec!["a@shop.example".to_owned(), "a@shop.example".to_owned()],
            entries: vec![entry(0, "a", End::Committed), entry(1, "b", End::Refused)],
            open: Some(0),
        }
    }

    /// The claims that do not hold after this damage.
    fn wrong_after(damage: impl FnOnce(&mut World)) -> Vec<&'static str> {
        let mut world = right();
        damage(&mut world);
        let World { facts, message_ids, entries, open } = &world;
        let lines = judge(&Evidence { facts, message_ids, entries, open: *open });
        assert_eq!(lines.len(), 9);
        lines.iter().filter(|line| !line.is_right).map(|line| line.claim).collect()
    }

    #[test]
    fn what_is_right_passes_and_a_repeated_mail_is_no_mistake() {
        assert_eq!(wrong_after(|_| {}), Vec::<&str>::new());
    }

    #[test]
    fn an_order_that_stands_in_three_databases_is_seen() {
        let wrong = wrong_after(|world| world.facts[3].standing.clear());
        assert_eq!(wrong, ["All four, or none", "One mail for each", "Committed is true"]);
    }

    #[test]
    fn an_order_of_which_nobody_was_told_is_seen() {
        let wrong = wrong_after(|world| world.entries[0].told.clear());
        let expected = [
            "Money is conserved",
            "Stock is conserved",
            "Committed is true",
            "Same key, same answer",
            "Every client knows",
        ];
        assert_eq!(wrong, expected);
    }

    #[test]
    fn a_refused_order_that_stands_is_seen() {
        let stand = |world: &mut World| {
            world.facts.iter_mut().for_each(|facts| facts.standing.extend(["b".to_owned()]));
        };
        assert_eq!(wrong_after(stand), ["One mail for each", "Committed is true", "Rolled back is true"]);
    }

    #[test]
    fn a_refused_order_that_is_still_held_is_seen() {
        let wrong = wrong_after(|world| world.facts[1].pending.extend(["b".to_owned()]));
        assert_eq!(wrong, ["Rolled back is true", "Nothing is left"]);
    }

    #[test]
    fn money_and_stock_that_are_lost_or_taken_too_often_are_seen() {
        let total = |seeded, free, held, taken| Some(Total { seeded, free, held, taken });
        assert_eq!(wrong_after(|it| it.facts[1].total = total(100, 69, 0, 30)), ["Money is conserved"]);
        assert_eq!(wrong_after(|it| it.facts[1].total = total(100, 40, 0, 60)), ["Money is conserved"]);
        assert_eq!(wrong_after(|it| it.facts[2].total = total(100, 94, 0, 6)), ["Stock is conserved"]);
        assert_eq!(wrong_after(|it| it.facts[2].total = None), ["Stock is conserved"]);
    }

    #[test]
    fn mail_that_is_missing_or_too_much_is_seen() {
        assert_eq!(wrong_after(|world| world.message_ids.clear()), ["One mail for each"]);
        let refused = |world: &mut World| world.message_ids.push("b@shop.example".to_owned());
        assert_eq!(wrong_after(refused), ["One mail for each"]);
    }

    #[test]
    fn two_answers_under_one_key_are_seen() {
        let differ = |world: &mut World| world.entries[1].told[1].body = json!({"other": 1});
        assert_eq!(wrong_after(differ), ["Same key, same answer"]);
        assert_eq!(wrong_after(|world| drop(world.entries[1].told.pop())), ["Same key, same answer"]);
        let promise = |world: &mut World| world.entries[1].accepted = Some("c".to_owned());
        assert_eq!(wrong_after(promise), ["Same key, same answer"]);
    }

    #[test]
    fn what_is_left_over_or_odd_is_seen() {
        assert_eq!(wrong_after(|world| world.open = Some(1)), ["Nothing is left"]);
        assert_eq!(wrong_after(|world| world.open = None), ["Nothing is left"]);
        assert_eq!(wrong_after(|world| world.facts[3].unsent = 1), ["Nothing is left"]);
        assert_eq!(wrong_after(|world| world.facts[0].flaws.push("x".to_owned())), ["Nothing is left"]);
        assert_eq!(wrong_after(|world| world.entries[0].odd.push("500".to_owned())), ["Every client knows"]);
    }
}
