//! What a client hears whose submission began nothing.

use unanimo_contract::{ClientAnswer, Id, Problem, Reply};

/// Why a submission began nothing, and what its client hears.
pub(crate) struct Turned {
    /// The kind of problem; none where the client hears what it was told before.
    pub(crate) problem: Option<Problem>,
    pub(crate) reply: Box<Reply>,
}

impl Turned {
    /// Nothing was begun.
    pub(crate) fn away(problem: Problem, detail: &str) -> Turned {
        let answer = problem.answer(detail);
        let again = matches!(problem, Problem::Overloaded | Problem::NotReady);
        let answer = if again { answer.with_header("retry-after", "1") } else { answer };
        Turned { problem: Some(problem), reply: Box::new(Reply::not_begun(answer)) }
    }

    /// The branch's call cannot be made.
    pub(crate) fn at_branch(problem: Problem, branch: &str, detail: &str) -> Turned {
        let reply = Box::new(Reply::not_begun(problem.answer_for(None, Some(branch), detail)));
        Turned { problem: Some(problem), reply }
    }

    /// The answer that the first request got, or would have got.
    pub(crate) fn known(id: Id, finished: bool, answer: ClientAnswer) -> Turned {
        let reply = Reply { transaction: Some(id), finished: Some(finished), answer };
        Turned { problem: None, reply: Box::new(reply) }
    }
}
