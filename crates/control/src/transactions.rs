//! The transaction API but for its streams: list, one, retry, resolve.

use crate::admin::{Admin, Probe};
use crate::query;
use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use unanimo_contract::operations::{Refusal, Resolve, Wish, Word};
use unanimo_contract::{ClientAnswer, Id, Operations, Problem, Unavailable};

/// The largest body of a request, in bytes: who and why have bounds of their own.
pub(crate) const BODY_LIMIT: usize = 8 * 1024;

pub(crate) async fn list<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    headers: HeaderMap,
    query: Result<Query<query::Wanted>, QueryRejection>,
) -> Response {
    let query = query.map_err(|error| error.body_text());
    let read = |query: query::Wanted| Ok((query.page()?, query.filter(&headers)?));
    let (page, filter) = match query.and_then(|Query(query)| read(query)) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(&Problem::BadRequest.answer(&detail)),
    };
    match admin.operations.list(filter, page).await {
        Ok(listed) => {
            let items: Vec<_> = listed.items.iter().map(|view| view.to_json()).collect();
            let next = listed.next.map(|cursor| cursor.to_string());
            Json(json!({ "transactions": items, "next": next })).into_response()
        }
        Err(Unavailable) => unavailable(),
    }
}

pub(crate) async fn show<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    Path(id): Path<String>,
) -> Response {
    let id = match named(&id) {
        Ok(id) => id,
        Err(refusal) => return problem(&refusal),
    };
    match admin.operations.get(id).await {
        Ok(Some(detail)) => Json(detail.to_json()).into_response(),
        Ok(None) => unknown(id),
        Err(Unavailable) => unavailable(),
    }
}

pub(crate) async fn retry<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    Path(id): Path<String>,
) -> Response {
    let id = match named(&id) {
        Ok(id) => id,
        Err(refusal) => return problem(&refusal),
    };
    match admin.operations.retry(id).await {
        Ok(Some(retried)) => Json(retried.to_json()).into_response(),
        Ok(None) => unknown(id),
        Err(Unavailable) => unavailable(),
    }
}

/// What an operator ends by hand, as the request's body says it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    what: String,
    branch: Option<String>,
    who: String,
    why: String,
}

impl Wanted {
    fn read(self) -> Result<Resolve, String> {
        Word::check(&self.who, &self.why)?;
        Ok(Resolve { wish: Wish::parse(&self.what, self.branch)?, who: self.who, why: self.why })
    }
}

pub(crate) async fn resolve<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let id = match named(&id) {
        Ok(id) => id,
        Err(refusal) => return problem(&refusal),
    };
    let body = match body {
        Ok(body) => body,
        Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return problem(&Problem::TooLarge.answer(&format!("the body may have {BODY_LIMIT} bytes")));
        }
        Err(error) => return problem(&Problem::BadRequest.answer(&error.body_text())),
    };
    let wanted = serde_json::from_slice::<Wanted>(&body).map_err(|error| format!("the body: {error}"));
    let resolve = match wanted.and_then(Wanted::read) {
        Ok(resolve) => resolve,
        Err(detail) => return problem(&Problem::BadRequest.answer_for(Some(id), None, &detail)),
    };
    let branch = resolve.wish.branch().map(str::to_owned);
    match admin.operations.resolve(id, resolve).await {
        Ok(Some(Ok(resolved))) => Json(resolved.to_json()).into_response(),
        Ok(Some(Err(refusal))) => refused(id, branch.as_deref(), refusal),
        Ok(None) => unknown(id),
        Err(Unavailable) => unavailable(),
    }
}

fn refused(id: Id, branch: Option<&str>, refusal: Refusal) -> Response {
    let answer = Problem::Unresolvable.answer_for(Some(id), branch, &refusal.to_string());
    problem(&match refusal {
        Refusal::Busy => answer.with_header("retry-after", "1"),
        Refusal::State(_) | Refusal::NotStuck => answer,
    })
}

/// The id of a path; else what is told of it.
pub(crate) fn named(id: &str) -> Result<Id, ClientAnswer> {
    id.parse().map_err(|error| Problem::BadRequest.answer(&format!("`{id}` is {error}")))
}

pub(crate) fn unknown(id: Id) -> Response {
    let detail = "no such transaction is known here; that does not mean that it was rolled back";
    problem(&Problem::UnknownTransaction.answer_for(Some(id), None, detail))
}

pub(crate) fn unavailable() -> Response {
    problem(&Problem::NotReady.answer("the workers are ending, or have too much to do; try again"))
}

/// The answer as it is sent.
pub(crate) fn problem(answer: &ClientAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body.clone()).into_response();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
