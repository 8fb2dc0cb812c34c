//! What an answer means to a client: the truth, where to find it, or nothing yet.

use super::wire::Answer;
use serde_json::Value;
use unanimo_contract::Problem;
use unanimo_contract::problem::PAGES;

/// What a client takes from an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// The truth.
    Told(Told),
    /// It stands, and the truth will be found at that address (202).
    Accepted {
        /// The transaction.
        transaction: String,
        /// Where to look.
        location: String,
    },
    /// Not decided yet, or nothing was begun: ask again with the same key.
    AskAgain,
    /// Nothing that a client of this route should ever hear.
    Odd(String),
}

/// The truth, as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The transaction.
    pub transaction: String,
    /// How it ended.
    pub end: End,
    /// The status with which it was told.
    pub status: u16,
    /// The body, as JSON.
    pub body: Value,
}

/// How an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It stands.
    Committed,
    /// A service said no.
    Refused,
    /// A service was silent for too long.
    TimedOut,
    /// The gateway died before it had decided.
    Interrupted,
}

/// What the route's own answer means.
pub fn of_order(answer: &Answer) -> Meaning {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let transaction = answer.transaction.as_deref();
    match (of_parts(answer.status, transaction, body), &answer.location, &answer.transaction) {
        (Meaning::Odd(_), Some(location), Some(transaction)) if answer.status == 202 => {
            Meaning::Accepted { transaction: transaction.clone(), location: location.clone() }
        }
        (meaning, _, _) => meaning,
    }
}

/// What the answer at a status address means.
pub fn of_status(answer: &Answer) -> Meaning {
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let odd = || Meaning::Odd(format!("{} at a status address: {status}", answer.status));
    if answer.status != 200 {
        return odd();
    }
    let verdict = match status["verdict"].as_i64() {
        Some(-1) => return Meaning::AskAgain,
        Some(verdict @ (0 | 1)) => verdict,
        _ => return odd(),
    };
    let told = &status["answer"];
    let number = told["status"].as_u64().and_then(|number| u16::try_from(number).ok());
    let meaning = of_parts(number.unwrap_or_default(), status["transaction"].as_str(), told["body"].clone());
    match &meaning {
        Meaning::Told(it) if (it.end == End::Committed) == (verdict == 1) => meaning,
        _ => odd(),
    }
}

fn of_parts(status: u16, transaction: Option<&str>, body: Value) -> Meaning {
    let slug = body["type"].as_str().map(|address| address.strip_prefix(PAGES).unwrap_or(address));
    let end = match (status, slug, slug.and_then(Problem::by_slug)) {
        (200, None, _) => End::Committed,
        // The service's own reason, which the route passes on.
        (400..=499, None, _) => End::Refused,
        (409, _, Some(Problem::Refused)) => End::Refused,
        (409, _, Some(Problem::Interrupted)) => End::Interrupted,
        (504, _, Some(Problem::Deadline)) => End::TimedOut,
        (409, _, Some(Problem::InProgress)) | (503, _, Some(Problem::NotReady | Problem::Overloaded)) => {
            return Meaning::AskAgain;
        }
        _ => return Meaning::Odd(format!("{status}: {body}")),
    };
    match transaction {
        Some(transaction) => Meaning::Told(Told { transaction: transaction.to_owned(), end, status, body }),
        None => Meaning::Odd(format!("{status} without a transaction: {body}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(status: u16, transaction: Option<&str>, body: &Value) -> Answer {
        let transaction = transaction.map(str::to_owned);
        Answer { status, transaction, location: None, body: body.to_string().into() }
    }

    fn problem(problem: Problem) -> Meaning {
        let told = problem.answer("why");
        of_order(&Answer {
            status: told.status,
            transaction: Some("t".into()),
            location: None,
            body: told.body,
        })
    }

    fn end(meaning: &Meaning) -> Option<End> {
        match meaning {
            Meaning::Told(told) => Some(told.end),
            _ => None,
        }
    }

    #[test]
    fn every_way_to_end_is_read() {
        assert_eq!(end(&of_order(&answer(200, Some("t"), &json!({"order": "t"})))), Some(End::Committed));
        let reason = json!({"title": "Insufficient funds", "status": 409, "detail": "too little"});
        assert_eq!(end(&of_order(&answer(409, Some("t"), &reason))), Some(End::Refused));
        for (kind, expected) in [
            (Problem::Refused, End::Refused),
            (Problem::Deadline, End::TimedOut),
            (Problem::Interrupted, End::Interrupted),
        ] {
            assert_eq!(end(&problem(kind)), Some(expected));
        }
    }

    #[test]
    fn what_says_nothing_yet_is_no_end() {
        for kind in [Problem::InProgress, Problem::NotReady, Problem::Overloaded] {
            assert_eq!(problem(kind), Meaning::AskAgain);
        }
        let location = Some("/transactions/t.x".to_owned());
        let accepted = Answer { location, ..answer(202, Some("t"), &json!({"verdict": -1})) };
        assert!(matches!(of_order(&accepted), Meaning::Accepted { .. }));
    }

    #[test]
    fn what_no_client_should_hear_is_odd() {
        for kind in [Problem::Heuristic, Problem::KeyReused, Problem::Internal, Problem::NoRoute] {
            assert!(matches!(problem(kind), Meaning::Odd(_)), "{kind:?}");
        }
        assert!(matches!(of_order(&answer(200, None, &json!({}))), Meaning::Odd(_)));
        assert!(matches!(of_order(&answer(409, None, &json!({}))), Meaning::Odd(_)));
        assert!(matches!(of_order(&answer(409, Some("t"), &json!({"type": "strange"}))), Meaning::Odd(_)));
        assert!(matches!(of_order(&answer(202, Some("t"), &json!({}))), Meaning::Odd(_)));
        assert!(matches!(of_status(&answer(404, None, &json!({}))), Meaning::Odd(_)));
    }

    #[test]
    fn a_status_tells_the_same_as_the_answer_did() {
        let body = json!({"order": "t"});
        let direct = of_order(&answer(200, Some("t"), &body));
        let told = json!({"status": 200, "headers": {}, "body": body});
        let status = |verdict: i64| json!({"transaction": "t", "verdict": verdict, "answer": told});
        assert_eq!(of_status(&answer(200, None, &status(1))), direct);
        assert_eq!(of_status(&answer(200, None, &status(-1))), Meaning::AskAgain);
        assert!(
            matches!(of_status(&answer(200, None, &status(0))), Meaning::Odd(_)),
            "verdict against answer"
        );
    }
}
