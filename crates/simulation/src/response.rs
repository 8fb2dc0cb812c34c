//! What participants say, in HTTP: by their own word, by status, and with every error that real services make.

use crate::dice::Dice;
use bytes::Bytes;
use std::time::Duration;
use unanimo_journal::simulated::lookalike;

/// An answer as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) retry_after: Option<&'static str>,
    pub(crate) body: Bytes,
}

/// How a participant speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// By `Unanimo-Outcome`.
    Word,
    /// By status: 422 for no, 425 for busy.
    Status,
    /// By status: 409 for no and for busy, as idempotency layers do.
    Conflict,
}

/// What a participant is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Temper {
    pub(crate) style: Style,
    /// First operations that it refuses, of a thousand.
    pub(crate) refuses: u32,
    /// First operations that have nothing to commit, of a thousand.
    pub(crate) reads_only: u32,
    /// Whether an undo stops work that is still running. Otherwise it is asked to wait.
    pub(crate) fences_what_runs: bool,
    /// Commits of a thousand that it answers with an undo and a refusal: a heuristic end.
    pub(crate) breaks_its_word: u32,
    /// Whether it is a service like any other, which keeps no marks: what it is asked for twice it does twice.
    pub(crate) plain: bool,
    /// How long it takes for a first operation, where that is always the same.
    pub(crate) takes: Option<Duration>,
}

impl Temper {
    pub(crate) fn draw(dice: &mut Dice) -> Temper {
        Temper {
            style: dice.pick([Style::Word, Style::Status, Style::Conflict]),
            refuses: dice.pick([0, 30, 200]),
            reads_only: dice.pick([0, 100, 400]),
            fences_what_runs: dice.chance(500),
            breaks_its_word: if dice.chance(20) { 100 } else { 0 },
            plain: false,
            takes: None,
        }
    }

    /// One that keeps no marks.
    pub(crate) fn draw_plain(dice: &mut Dice) -> Temper {
        let drawn = Temper::draw(dice);
        Temper { plain: true, reads_only: 0, fences_what_runs: false, breaks_its_word: 0, ..drawn }
    }

    /// It was done, now or before.
    pub(crate) fn done(self, dice: &mut Dice) -> Response {
        match self.style {
            Style::Word => Response::word("done"),
            Style::Status | Style::Conflict => Response::status(dice.pick([200, 201, 204])),
        }
    }

    /// It will not be done.
    pub(crate) fn refused(self, dice: &mut Dice) -> Response {
        let response = match self.style {
            Style::Word => Response { status: dice.pick([200, 409, 500]), ..Response::word("refused") },
            Style::Status => Response::status(dice.pick([400, 403, 422])),
            Style::Conflict => Response::status(409),
        };
        match dice.chance(500) {
            true => Response { body: Bytes::from([vec![b' '; 700], lookalike()].concat()), ..response },
            false => response.with_body(r#"{"refused":"not enough"}"#.to_owned()),
        }
    }

    /// An earlier call is still at work.
    pub(crate) fn busy(self, dice: &mut Dice) -> Response {
        match self.style {
            Style::Word => Response::word("ongoing"),
            Style::Status => {
                Response { retry_after: Some("1"), ..Response::status(dice.pick([202, 425, 503])) }
            }
            Style::Conflict => Response::status(409),
        }
    }
}

impl Response {
    pub(crate) fn status(status: u16) -> Response {
        Response { status, outcome: None, retry_after: None, body: Bytes::new() }
    }

    pub(crate) fn word(outcome: &'static str) -> Response {
        Response { outcome: Some(outcome), ..Response::status(200) }
    }

    /// What nobody can build upon.
    pub(crate) fn error(dice: &mut Dice) -> Response {
        match dice.below(4) {
            0 => Response { outcome: Some("perhaps"), ..Response::status(200) },
            1 => Response { retry_after: Some("1"), ..Response::status(dice.pick([429, 503])) },
            _ => Response::status(dice.pick([302, 408, 429, 500, 502, 503])),
        }
    }

    pub(crate) fn with_body(self, body: String) -> Response {
        Response { body: Bytes::from(body), ..self }
    }

    /// Whether it is a 409 that says nothing more.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == 409 && self.outcome.is_none()
    }
}
