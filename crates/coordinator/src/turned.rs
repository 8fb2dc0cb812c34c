//! What a client hears whose submission began nothing.

use unanimo_contract::{ClientAnswer, Id, Problem, Reply};

/// Why a submission began nothing.
pub(crate) enum Turned {
    /// What its client hears.
    Told {
        /// The kind of problem; none where the client hears what it was told before.
        problem: Option<Problem>,
        /// The answer.
        reply: Box<Reply>,
    },
    /// It has its answer already: history knows it, since this transaction has ended.
    Recall(Id),
}

impl Turned {
    /// Nothing was begun.
    pub(crate) fn away(problem: Problem, detail: &str) -> Turned {
        let answer = problem.answer(detail);
        let again = matches!(problem, Problem::Overloaded | Problem::NotReady);
        let answer = if again { answer.with_header("retry-after", "1") } else { answer };
        Turned::Told { problem: Some(problem), reply: Box::new(Reply::not_begun(answer)) }
    }

    /// The branch's call cannot be made.
    pub(crate) fn at_branch(problem: Problem, branch: &str, detail: &str) -> Turned {
        let reply = Box::new(Reply::not_begun(problem.answer_for(None, Some(branch), detail)));
        Turned::Told { problem: Some(problem), reply }
    }

    /// The answer that the first request got, or would have got.
    pub(crate) fn known(id: Id, finished: bool, answer: ClientAnswer) -> Turned {
        let reply = Reply { transaction: Some(id), finished: Some(finished), answer };
        Turned::Told { problem: None, reply: Box::new(reply) }
    }

    /// The transaction has ended, and what its client was told is lost.
    pub(crate) fn lost(id: Id) -> Turned {
        let detail = "the transaction of this key has ended, and its answer is lost with the history that held it; \
                      nothing was begun anew: look at the services to see how it ended";
        let answer = Problem::Internal.answer_for(Some(id), None, detail);
        let reply = Reply { transaction: Some(id), finished: Some(true), answer };
        Turned::Told { problem: Some(Problem::Internal), reply: Box::new(reply) }
    }
}
