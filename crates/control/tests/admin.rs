//! The admin listener's pages, asked in memory.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;
use unanimo_contract::{Filter, Id, Mode, Operations, Page, Retried, State, Unavailable, View};
use unanimo_control::{Probe, router};

const KNOWN: Id = Id::from_bits(7);

#[derive(Clone)]
struct Fixed {
    ready: Result<(), &'static str>,
}

impl Probe for Fixed {
    fn ready(&self) -> Result<(), String> {
        self.ready.map_err(str::to_owned)
    }

    async fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}

impl Operations for Fixed {
    async fn get(&self, id: Id) -> Result<Option<View>, Unavailable> {
        Ok((id == KNOWN).then(view))
    }

    async fn retry(&self, id: Id) -> Result<Option<Retried>, Unavailable> {
        let (state, called) = (State::Committing, vec!["debit".to_owned()]);
        Ok((id == KNOWN).then_some(Retried { id, state, called, under_way: vec!["credit".to_owned()] }))
    }

    async fn list(&self, filter: Filter) -> Result<Page, Unavailable> {
        match filter.limit {
            999 => Err(Unavailable),
            limit => Ok(Page::of(vec![view(), View { id: Id::from_bits(8), ..view() }], limit)),
        }
    }
}

fn view() -> View {
    View {
        id: KNOWN,
        route: "transfer".into(),
        mode: Mode::TwoPhase,
        state: State::Committing,
        verdict: Some(unanimo_contract::Verdict::Commit),
        cause: None,
        branch: None,
        stuck: false,
        heuristic: false,
        keyed: true,
        began_unix_ms: 1,
        branches: vec![],
        answer: None,
    }
}

async fn ask(ready: Result<(), &'static str>, host: &str, path: &str) -> (StatusCode, String) {
    send(ready, Request::get(path).header("host", host).body(Body::empty()).unwrap()).await
}

async fn post(path: &str, origin: Option<&str>) -> (StatusCode, String) {
    let request = Request::post(path).header("host", "127.0.0.1:8081");
    let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
    send(Ok(()), request.body(Body::empty()).unwrap()).await
}

async fn send(ready: Result<(), &'static str>, request: Request<Body>) -> (StatusCode, String) {
    let fixed = Fixed { ready };
    let mut router = router(fixed.clone(), fixed);
    let response = router.call(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn probes_say_what_is() {
    assert_eq!(ask(Ok(()), "127.0.0.1:1", "/livez").await, (StatusCode::OK, "alive\n".into()));
    assert_eq!(ask(Ok(()), "127.0.0.1:1", "/readyz").await, (StatusCode::OK, "ready\n".into()));
    let (status, body) = ask(Err("poisoned"), "[::1]:1", "/readyz").await;
    assert_eq!((status, body.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "not ready: poisoned\n"));
    assert_eq!(ask(Ok(()), "localhost", "/metrics").await, (StatusCode::OK, "# EOF\n".into()));
}

#[tokio::test]
async fn a_foreign_name_is_refused() {
    for host in ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "localhost.evil.example"] {
        assert_eq!(ask(Ok(()), host, "/livez").await.0, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
}

#[tokio::test]
async fn one_transaction_and_none() {
    let (status, body) = ask(Ok(()), "localhost", &format!("/v1/transactions/{KNOWN}")).await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&shown["state"], &shown["verdict"]), (&"committing".into(), &1.into()));
    let unknown = Id::from_bits(9);
    assert_eq!(
        ask(Ok(()), "localhost", &format!("/v1/transactions/{unknown}")).await.0,
        StatusCode::NOT_FOUND
    );
    assert_eq!(ask(Ok(()), "localhost", "/v1/transactions/nonsense").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn lists_have_pages_and_say_what_they_do_not_understand() {
    let (_, body) = ask(Ok(()), "localhost", "/v1/transactions?limit=1").await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(page["next"], KNOWN.to_string());
    let bad = ["limit=0", "limit=1001", "state=asleep", "after=7", "sate=committed", "limit=x"];
    for query in bad {
        let (status, body) = ask(Ok(()), "localhost", &format!("/v1/transactions?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {body}");
    }
    assert_eq!(
        ask(Ok(()), "localhost", "/v1/transactions?limit=999").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_retry_says_what_it_did_and_no_foreign_page_can_ask_for_one() {
    let path = format!("/v1/transactions/{KNOWN}/retry");
    let (status, body) = post(&path, None).await;
    let expected = serde_json::json!({
        "id": KNOWN.to_string(), "state": "committing", "called": ["debit"], "under_way": ["credit"],
    });
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (StatusCode::OK, expected));
    assert_eq!(post(&path, Some("http://127.0.0.1:8081")).await.0, StatusCode::OK);
    for origin in ["http://evil.example", "http://127.0.0.1:9999", "null", "https://127.0.0.1:8081"] {
        assert_eq!(post(&path, Some(origin)).await.0, StatusCode::FORBIDDEN, "{origin}");
    }
    let unknown = format!("/v1/transactions/{}/retry", Id::from_bits(9));
    assert_eq!(post(&unknown, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(post("/v1/transactions/x/retry", None).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(ask(Ok(()), "localhost", &path).await.0, StatusCode::METHOD_NOT_ALLOWED);
}
