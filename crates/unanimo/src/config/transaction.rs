//! A transactional route: what becomes its plan.

use super::answers;
use super::branches;
use super::cursor::{Cursor, Fields};
use super::headers::{self, Use};
use super::matching::Matching;
use super::scalars::milliseconds;
use super::secret;
use super::services::Services;
use super::template::Scope;
use http::HeaderName;
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::plan::LANGUAGE;
use unanimo_contract::{AnswerAt, Mode, Plan};
use unanimo_gateway::TransactionConfig;

const KEYS: [&str; 9] = [
    "mode",
    "deadline",
    "answer_timeout",
    "answer_at",
    "pass_credentials",
    "secret",
    "branches",
    "respond",
    "refused",
];

const MOMENTS: [(&str, AnswerAt); 2] = [("finished", AnswerAt::Finished), ("verdict", AnswerAt::Verdict)];

/// How long branches may take to vote, where nothing is said.
const DEADLINE: Duration = Duration::from_secs(10);

/// How much longer a client waits for its answer, where nothing is said.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// The modes that the lexicon knows and this version does not run.
const MODES_TO_COME: [&str; 4] = ["one-phase", "three-phase", "message", "paxos-commit"];

/// Reads `transaction`.
pub fn read(
    cursor: Cursor,
    route: &str,
    matching: Option<&Matching>,
    services: &Services,
) -> Option<TransactionConfig> {
    let fields = cursor.fields("`transaction`", &KEYS)?;
    let mode = fields.need("mode").and_then(mode);
    let mut deadline = DEADLINE;
    fields.set("deadline", &mut deadline, Cursor::milliseconds);
    let mut answer_timeout = deadline + ANSWER_MARGIN;
    fields.set("answer_timeout", &mut answer_timeout, Cursor::milliseconds);
    let mut answer_at = AnswerAt::default();
    fields.set("answer_at", &mut answer_at, |cursor| cursor.word("a moment to answer at", &MOMENTS));
    let credentials = credentials(&fields);
    let scope = Scope {
        parameters: matching.map(|matching| matching.parameters.as_slice()),
        answers: &[],
        credentials: &credentials,
        named: None,
        late: &[],
        is_compensation: false,
    };
    let branches = fields.need("branches").and_then(|it| branches::read(it, mode, &scope, services));
    let names = branches.as_ref().map(|branches| branches.names.as_slice()).unwrap_or_default();
    let late = branches.as_ref().map(|branches| branches.late.as_slice()).unwrap_or_default();
    let scope = Scope { answers: names, late, ..scope };
    let secret = fields.get("secret").map(|cursor| secret::read(cursor, names));
    let respond = fields.get("respond").map(|cursor| answers::respond(cursor, &scope));
    let refused = fields.get("refused").map(|cursor| answers::refused(cursor, &scope));
    let plans = branches?.plans;
    let plan = Plan {
        language: LANGUAGE,
        route: route.to_owned(),
        mode: mode?.as_str().to_owned(),
        deadline_ms: milliseconds(deadline),
        answer_timeout_ms: milliseconds(answer_timeout),
        answer_at,
        branches: plans?,
        secret: secret.unwrap_or_else(|| Some(Vec::new()))?,
        respond: respond.map_or(Some(None), |read| read.map(Some))?,
        refused: refused.map_or(Some(None), |read| read.map(Some))?,
    };
    // Everything has been checked piece by piece; whoever runs the plan has the last word on the whole.
    if let Err(error) = unanimo_coordinator::check(&plan) {
        fields.wrong(error.to_string());
    }
    if let Some(cursor) = fields.get("secret") {
        secret::warn_of_unnamed(cursor, &plan);
    }
    Some(TransactionConfig { plan: Arc::new(plan), pass_credentials: credentials })
}

fn mode(cursor: Cursor) -> Option<Mode> {
    let word = cursor.text()?;
    let mode = Mode::parse(word);
    let known = Mode::ALL.map(Mode::as_str);
    if mode.is_none() && MODES_TO_COME.contains(&word) {
        let [first @ .., last] = known;
        let help = format!("this version has `{}` and `{last}`", first.join("`, `"));
        cursor.wrong_but(format!("the mode `{word}` is not in this version yet"), help);
    } else if mode.is_none() {
        cursor.unknown("a mode", word, known);
    }
    mode
}

fn credentials(fields: &Fields) -> Vec<HeaderName> {
    let mut credentials = Vec::new();
    let cursors = fields.get("pass_credentials").and_then(|cursor| cursor.elements("`pass_credentials`"));
    for cursor in cursors.unwrap_or_default() {
        match cursor.text().map(|text| headers::name(text, Use::Credential)) {
            Some(Ok(name)) if credentials.contains(&name) => {
                cursor.wrong(format!("`{name}` stands there twice"));
            }
            Some(Ok(name)) => credentials.push(name),
            Some(Err((message, help))) => cursor.wrong_but(message, help),
            None => {}
        }
    }
    credentials
}
