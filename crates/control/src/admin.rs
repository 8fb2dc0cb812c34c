//! The admin listener's pages.
//!
//! It stands on loopback and asks for no credential, so a web page in a browser on this machine must not be able to
//! read it, nor to change anything: requests whose `Host` is a name other than `localhost` are refused, and so are those
//! that a page of another origin has sent.

use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use std::net::IpAddr;
use unanimo_contract::{
    ClientAnswer, Filter, Id, Operations, Problem, State as TransactionState, Unavailable,
};

/// What the pages ask of the process.
pub trait Probe: Clone + Send + Sync + 'static {
    /// Whether transactions can be begun now; else why not, in words.
    fn ready(&self) -> Result<(), String>;

    /// All metrics, as OpenMetrics text.
    fn metrics(&self) -> impl Future<Output = String> + Send;
}

#[derive(Clone)]
struct Admin<O, P> {
    operations: O,
    probe: P,
}

/// The admin listener's router.
pub fn router<O: Operations, P: Probe>(operations: O, probe: P) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready::<O, P>))
        .route("/metrics", get(metrics::<O, P>))
        .route("/v1/transactions", get(list::<O, P>))
        .route("/v1/transactions/{id}", get(show::<O, P>))
        .route("/v1/transactions/{id}/retry", post(retry::<O, P>))
        .fallback(async || problem(&Problem::NoRoute.answer("the admin listener has no such page")))
        .method_not_allowed_fallback(async || {
            problem(&Problem::MethodNotAllowed.answer("the admin listener's page takes another method"))
        })
        .layer(from_fn(own_name_only))
        .with_state(Admin { operations, probe })
}

async fn ready<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    match admin.probe.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn metrics<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    let text = admin.probe.metrics().await;
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}

/// What a list may be asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    #[serde(default)]
    stuck: bool,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let filter = match query.map_err(|error| error.body_text()).and_then(|Query(query)| query.filter()) {
        Ok(filter) => filter,
        Err(detail) => return problem(&Problem::BadRequest.answer(&detail)),
    };
    match admin.operations.list(filter).await {
        Ok(page) => {
            let views: Vec<_> = page.transactions.iter().map(|view| view.to_json()).collect();
            Json(json!({ "transactions": views, "next": page.next.map(|id| id.to_string()) })).into_response()
        }
        Err(Unavailable) => unavailable(),
    }
}

impl ListQuery {
    fn filter(self) -> Result<Filter, String> {
        let state = self.state.map(|word| {
            let known = TransactionState::ALL.into_iter().find(|state| state.as_str() == word);
            known.ok_or_else(|| format!("`state` may be {}; not `{word}`", states()))
        });
        let after = self.after.map(|id| id.parse().map_err(|error| format!("`after`: {error}")));
        let limit = self.limit.unwrap_or(100);
        if limit == 0 || limit > Filter::LIMIT {
            return Err(format!("`limit` may be 1 to {}", Filter::LIMIT));
        }
        Ok(Filter { state: state.transpose()?, stuck: self.stuck, after: after.transpose()?, limit })
    }
}

fn states() -> String {
    TransactionState::ALL.map(TransactionState::as_str).join(", ")
}

async fn show<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>, Path(id): Path<String>) -> Response {
    let id = match named(&id) {
        Ok(id) => id,
        Err(refusal) => return problem(&refusal),
    };
    match admin.operations.get(id).await {
        Ok(Some(view)) => Json(view.to_json()).into_response(),
        Ok(None) => unknown(id),
        Err(Unavailable) => unavailable(),
    }
}

async fn retry<O: Operations, P: Probe>(
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

fn named(id: &str) -> Result<Id, ClientAnswer> {
    id.parse().map_err(|error| Problem::BadRequest.answer(&format!("`{id}` is {error}")))
}

fn unknown(id: Id) -> Response {
    let detail = "no such transaction is known here; that does not mean that it was rolled back";
    problem(&Problem::UnknownTransaction.answer_for(Some(id), None, detail))
}

fn unavailable() -> Response {
    problem(&Problem::NotReady.answer("the workers are ending, or have too much to do; try again"))
}

fn problem(answer: &ClientAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ([(header::CONTENT_TYPE, unanimo_contract::problem::MEDIA_TYPE)], (status, answer.body.clone()))
        .into_response()
}

/// Refuses whoever came by a name that somebody else may have pointed at this machine.
async fn own_name_only(request: Request, next: Next) -> Response {
    if !is_own_name(request.headers()) {
        let detail = "call the admin listener by its address or as localhost";
        return problem(&ClientAnswer { status: 421, ..Problem::BadRequest.answer(detail) });
    }
    if is_foreign(request.headers()) {
        let detail = "the admin listener hears no page of another origin";
        return problem(&ClientAnswer { status: 403, ..Problem::BadRequest.answer(detail) });
    }
    next.run(request).await
}

/// Whether a browser says that a page from elsewhere sends it.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://")) != Some(host)
}

fn is_own_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else { return true };
    let host = host.to_str().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}
