//! What a client hears whose submission began nothing.

use unanimo_contract::{ClientAnswer, Id, Problem, Reply};

/// Why a submission began nothing.
pub(crate) enum Turned {
    /// Its client hears this now.
    Told(Told),
    /// It has its answer already: history knows it, since this transaction has ended.
    Recall(Id),
}

/// What its client hears.
pub(crate) struct Told {
    /// The kind of problem; none where the client hears what it was told before.
    pub(crate) problem: Option<Problem>,
    /// The answer.
    pub(crate) reply: Box<Reply>,
}

impl From<Told> for Turned {
    fn from(told: Told) -> Turned {
        Turned::Told(told)
    }
}

impl Told {
    /// Nothing was begun.
    pub(crate) fn away(problem: Problem, detail: &str) -> Told {
        let answer = problem.answer(detail);
        let again = matches!(problem, Problem::Overloaded | Problem::NotReady);
        let answer = if again { answer.with_header("retry-after", "1") } else { answer };
        Told { problem: Some(problem), reply: Box::new(Reply::not_begun(answer)) }
    }

    /// The branch's call cannot be made.
    pub(crate) fn at_branch(problem: Problem, branch: &str, detail: &str) -> Told {
        let reply = Box::new(Reply::not_begun(problem.answer_for(None, Some(branch), detail)));
        Told { problem: Some(problem), reply }
    }

    /// The answer that the first request got, or would have got.
    pub(crate) fn known(id: Id, finished: bool, answer: ClientAnswer) -> Told {
        let reply = Reply { transaction: Some(id), finished: Some(finished), answer };
        Told { problem: None, reply: Box::new(reply) }
    }

    /// The transaction has ended, and what its client was told is lost.
    pub(crate) fn lost(id: Id) -> Told {
        let detail = "the transaction of this key has ended, and its answer is lost with the history that held it; \
                      nothing was begun anew: look at the services to see how it ended";
        let answer = Problem::Internal.answer_for(Some(id), None, detail);
        let reply = Reply { transaction: Some(id), finished: Some(true), answer };
        Told { problem: Some(Problem::Internal), reply: Box::new(reply) }
    }
}
