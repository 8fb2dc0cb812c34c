//! Plans, submissions and answers for the tests.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::sync::Arc;
use unanimo_contract::outcome;
use unanimo_contract::plan::LANGUAGE;
use unanimo_contract::{
    Answer, AnswerAt, BranchPlan, ClientAnswer, Digest, Key, Mode, Outcome, ParticipantCall, Plan, Reading,
    RefusedPlan, Request, ResponsePlan, Submission,
};

/// Branches `a`, `b`, … at services `bank-a`, `bank-b`, …, side by side: 5 s for the votes, 7 s for the answer.
pub fn plan(mode: Mode, branches: u8) -> Plan {
    let branch = |at: u8| {
        let letter = char::from(b'a' + at);
        BranchPlan {
            name: letter.to_string(),
            service: format!("bank-{letter}"),
            path: format!("/{letter}/${{request.parameters.account}}"),
            headers: vec![("x-tenant".to_owned(), "${request.headers[\"x-tenant\"]}".to_owned())],
            body: Some(json!({ "amount": "${request.body.amount}" })),
            call_timeout_ms: 2000,
            ..BranchPlan::default()
        }
    };
    Plan {
        language: LANGUAGE,
        route: "transfer".to_owned(),
        mode: mode.as_str().to_owned(),
        deadline_ms: 5000,
        answer_timeout_ms: 7000,
        answer_at: AnswerAt::Finished,
        branches: (0..branches).map(branch).collect(),
        respond: None,
        secret: Vec::new(),
        refused: None,
    }
}

pub fn two_phase() -> Plan {
    plan(Mode::TwoPhase, 2)
}

/// The same plan with its own answers: both pass on what the branches said.
pub fn with_answers(mut plan: Plan) -> Plan {
    let body = json!({ "id": "${transaction.id}", "receipt": "${branches.a.response.receipt}" });
    plan.respond = Some(ResponsePlan { status: 201, headers: Vec::new(), body: Some(body) });
    plan.refused = Some(RefusedPlan::PassOn);
    plan
}

pub fn request(body: &'static [u8]) -> Request {
    let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    Request {
        method: "POST".to_owned(),
        path: "/transfers/7".to_owned(),
        parameters: pair("account", "7"),
        query: Vec::new(),
        headers: pair("x-tenant", "t1"),
        body: Bytes::from_static(body),
    }
}

pub fn submission(plan: &Plan) -> Submission {
    let credential = (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer client"));
    Submission {
        digest: Plan::digest_of(&plan.encode()),
        plan: Arc::new(plan.clone()),
        request: request(b"{\"amount\":10.10}"),
        credentials: Arc::new([credential]),
        key: None,
        respond_async: false,
        trace: None,
    }
}

pub fn keyed(plan: &Plan, key: u8, payload: u8) -> Submission {
    let key = Key { scope: Digest([key; 16]), fingerprint: Digest([payload; 16]) };
    Submission { key: Some(key), ..submission(plan) }
}

fn answer(reading: Reading, status: Option<u16>, body: &'static str) -> Answer {
    let content_type = Some("application/json".to_owned());
    Answer { reading, status, content_type, body: status.map(|_| Bytes::from_static(body.as_bytes())) }
}

pub fn done() -> Answer {
    answer(Reading::of(Outcome::Done), Some(200), "{\"receipt\":\"r-1\"}")
}

pub fn read_only() -> Answer {
    answer(Reading::of(Outcome::ReadOnly), Some(200), "{}")
}

pub fn refused() -> Answer {
    answer(Reading::of(Outcome::Refused), Some(422), "{\"why\":\"no money\"}")
}

/// The end of the wait for an answer.
pub fn silence() -> Answer {
    answer(Reading::of(Outcome::Unknown), None, "")
}

/// What this status means to this call.
pub fn status(call: &ParticipantCall, status: u16, retry_after: Option<&str>) -> Answer {
    answer(outcome::read(call.asked(), status, None, retry_after), Some(status), "{}")
}

pub fn json_of(answer: &ClientAnswer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The stable name of a problem.
pub fn problem(answer: &ClientAnswer) -> String {
    let body = json_of(answer);
    body["type"].as_str().unwrap().trim_start_matches("/problems/").to_owned()
}
