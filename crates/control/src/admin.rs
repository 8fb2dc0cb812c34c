//! The admin listener's pages.
//!
//! It stands on loopback and asks for no credential, so a web page in a browser on this machine must not be able to
//! read it, nor to change anything: requests whose `Host` is a name other than `localhost` are refused, and so are those
//! that a page of another origin has sent.

use crate::transactions::{self, BODY_LIMIT, problem};
use crate::watch;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::IpAddr;
use unanimo_contract::{ClientAnswer, Operations, Problem};

/// What the pages ask of the process.
pub trait Probe: Clone + Send + Sync + 'static {
    /// Whether transactions can be begun now; else why not, in words.
    fn ready(&self) -> Result<(), String>;

    /// Which configuration is in force, why a later one is not, and which services are retired.
    fn configuration(&self) -> Value;

    /// What the configuration in force comes to, as `unanimo diff` compares it.
    fn outline(&self) -> Value;

    /// All metrics, as OpenMetrics text.
    fn metrics(&self) -> impl Future<Output = String> + Send;

    /// The services, and what is known of each of their endpoints.
    fn services(&self) -> serde_json::Value;
}

#[derive(Clone)]
pub(crate) struct Admin<O, P> {
    pub(crate) operations: O,
    pub(crate) probe: P,
}

/// The admin listener's router.
pub fn router<O: Operations, P: Probe>(operations: O, probe: P) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready::<O, P>))
        .route("/metrics", get(metrics::<O, P>))
        .route("/v1/services", get(services::<O, P>))
        .route("/v1/configuration", get(configuration::<O, P>))
        .route("/v1/configuration/outline", get(outline::<O, P>))
        .route("/v1/openapi.json", get(openapi))
        .route("/v1/transactions", get(transactions::list::<O, P>))
        .route("/v1/transactions/{id}", get(transactions::show::<O, P>))
        .route("/v1/transactions/watch", get(watch::all::<O, P>))
        .route("/v1/transactions/{id}/watch", get(watch::one::<O, P>))
        .route("/v1/transactions/{id}/retry", post(transactions::retry::<O, P>))
        .route("/v1/transactions/{id}/resolve", post(transactions::resolve::<O, P>))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
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

async fn configuration<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    Json(admin.probe.configuration()).into_response()
}

async fn outline<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    Json(admin.probe.outline()).into_response()
}

/// What every path takes and answers, for programs. A test holds it against the real answers.
async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

async fn metrics<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    let text = admin.probe.metrics().await;
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}

async fn services<O: Operations, P: Probe>(State(admin): State<Admin<O, P>>) -> Response {
    Json(json!({ "services": admin.probe.services() })).into_response()
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
