//! The listener for participants: whoever has prepared asks here for the verdict, and for nothing else.

use http::Method;
use unanimo_contract::inquiry::{self, INQUIRIES};
use unanimo_contract::{ClientAnswer, Problem, Transactions, headers};

/// Answers a request to the listener for participants.
pub(crate) async fn answer<T: Transactions>(method: &Method, path: &str, transactions: &T) -> ClientAnswer {
    if !path.starts_with(INQUIRIES) {
        let detail = format!("this listener answers `GET {INQUIRIES}<transaction>` alone");
        return Problem::NoRoute.answer(&detail);
    }
    if method != Method::GET && method != Method::HEAD {
        let answer = Problem::MethodNotAllowed.answer("an inquiry is a GET");
        return answer.with_header("allow", "GET, HEAD");
    }
    let Some(transaction) = inquiry::parse(path) else {
        return Problem::BadRequest.answer("this is no transaction's id: take the address as it was given");
    };
    let word = transactions.inquire(transaction).await.as_str();
    let headers = [
        ("content-type", "text/plain; charset=utf-8"),
        ("cache-control", "no-store"),
        (headers::TRANSACTION, &transaction.to_string()),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    ClientAnswer { status: 200, headers, body: word.into() }
}
