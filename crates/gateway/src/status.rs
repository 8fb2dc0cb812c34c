//! The gateway's own paths: a transaction's status for the holder of its token, and the pages about problems.

use http::Method;
use unanimo_contract::problem::PAGES;
use unanimo_contract::transactions::{STATUS_ADDRESS, parse_status_address};
use unanimo_contract::{ClientAnswer, Problem, Transactions, Unavailable, headers};

/// The first segments of the paths below which no route may lie.
pub(crate) const OWN_SEGMENTS: [&str; 2] = ["transactions", "problems"];

/// One of the gateway's own paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own<'a> {
    /// What follows [`STATUS_ADDRESS`].
    Status(&'a str),
    /// What follows [`PAGES`].
    Page(&'a str),
}

impl<'a> Own<'a> {
    /// What this path is, if it is ours.
    pub(crate) fn of_path(path: &'a str) -> Option<Own<'a>> {
        let status = path.strip_prefix(STATUS_ADDRESS).map(Own::Status);
        status.or_else(|| path.strip_prefix(PAGES).map(Own::Page))
    }

    pub(crate) async fn answer<T: Transactions>(self, method: &Method, transactions: &T) -> ClientAnswer {
        if method != Method::GET && method != Method::HEAD {
            let answer = Problem::MethodNotAllowed.answer("this address can be read only");
            return answer.with_header("allow", "GET, HEAD");
        }
        match self {
            Own::Status(rest) => status(rest, transactions).await.with_header("cache-control", "no-store"),
            Own::Page(slug) => page(slug),
        }
    }
}

/// An id that is malformed and a token that does not fit are answered alike: nothing can be learnt by trying.
async fn status<T: Transactions>(rest: &str, transactions: &T) -> ClientAnswer {
    let unknown = || Problem::UnknownTransaction.answer("no transaction here has this address");
    let Some((transaction, token)) = parse_status_address(rest) else { return unknown() };
    match transactions.status(transaction, token).await {
        Ok(Some(status)) => ClientAnswer::json(200, status.to_json())
            .with_header(headers::TRANSACTION, transaction.to_string())
            .with_header(headers::FINISHED, status.finished.to_string()),
        Ok(None) => unknown(),
        Err(Unavailable) => {
            Problem::NotReady.answer("nobody can look it up now; try again").with_header("retry-after", "1")
        }
    }
}

fn page(slug: &str) -> ClientAnswer {
    let Some(problem) = Problem::by_slug(slug) else {
        return Problem::NoRoute.answer("no problem has this name");
    };
    let headers = vec![("content-type".to_owned(), "text/markdown; charset=utf-8".to_owned())];
    ClientAnswer { status: 200, headers, body: problem.page().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_segments_are_those_of_our_addresses() {
        let addresses = [STATUS_ADDRESS, PAGES].map(|address| address.trim_matches('/'));
        assert_eq!(addresses, OWN_SEGMENTS);
    }

    #[test]
    fn every_problem_has_a_page_that_answers_the_questions() {
        for problem in Problem::ALL {
            let page = problem.page();
            assert!(page.starts_with(&format!("# {}\n", problem.slug())), "{}", problem.slug());
            assert!(page.contains(&problem.status().to_string()), "{} names its status", problem.slug());
            for heading in ["## What happened", "## Whose fault", "## May I try again", "## What now"] {
                assert!(page.contains(heading), "{} lacks `{heading}`", problem.slug());
            }
        }
    }
}
