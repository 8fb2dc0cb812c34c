//! The admin listener's pages, asked in memory.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;
use tower_service::Service;
use unanimo_contract::operations::{
    Flags, Lagged, Position, Refusal, Resolve, Resolved, Timeline, Watch, Watched, Wish,
};
use unanimo_contract::{
    Detail, Filter, Id, Listed, Mode, Operations, Page, Retried, State, Unavailable, Verdict, View,
};
use unanimo_control::{Probe, router};
use unanimo_protocol::Unresolvable;

const KNOWN: Id = Id::from_bits(7);

#[derive(Clone)]
struct Fixed {
    ready: Result<(), &'static str>,
}

impl Probe for Fixed {
    fn ready(&self) -> Result<(), String> {
        self.ready.map_err(str::to_owned)
    }

    fn configuration(&self) -> serde_json::Value {
        serde_json::json!({ "hash": "abc" })
    }

    fn outline(&self) -> serde_json::Value {
        serde_json::json!({ "routes": {} })
    }

    async fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn services(&self) -> serde_json::Value {
        serde_json::json!([{ "name": "bank" }])
    }
}

struct Silent;

impl Watch for Silent {
    fn position(&self) -> Position {
        Position { epoch: 3, number: 7 }
    }

    fn is_resumed(&self) -> bool {
        true
    }

    async fn next(&mut self) -> Result<(Position, Arc<Watched>), Lagged> {
        Err(Lagged { missed: 5 })
    }
}

impl Operations for Fixed {
    type Watch = Silent;

    async fn get(&self, id: Id) -> Result<Option<Detail>, Unavailable> {
        let known = Detail { view: view(), timeline: Timeline::default(), exchanges: vec![] };
        Ok((id == KNOWN).then_some(known))
    }

    async fn list(&self, filter: Filter, page: Page) -> Result<Listed, Unavailable> {
        assert!(filter.states.len() < 3 && filter.text.as_deref() != Some(""));
        match page.limit {
            999 => Err(Unavailable),
            limit => {
                let all = vec![view(), View { id: Id::from_bits(8), ..view() }];
                let reached = all.into_iter().filter(|view| page.reaches(view.place())).collect();
                Ok(Listed::merged([reached], limit))
            }
        }
    }

    fn watch(&self, from: Option<Position>) -> Option<Silent> {
        (from.map(|from| from.number) != Some(0)).then_some(Silent)
    }

    async fn retry(&self, id: Id) -> Result<Option<Retried>, Unavailable> {
        let (state, called) = (State::Committing, vec!["debit".to_owned()]);
        Ok((id == KNOWN).then_some(Retried { id, state, called, under_way: vec!["credit".to_owned()] }))
    }

    async fn resolve(
        &self,
        id: Id,
        resolve: Resolve,
    ) -> Result<Option<Result<Resolved, Refusal>>, Unavailable> {
        let (state, verdict, flags) = (State::Committed, Some(Verdict::Commit), Flags::NONE);
        Ok((id == KNOWN).then_some(match resolve.wish {
            Wish::SignOff { .. } => Ok(Resolved { id, state, verdict, flags }),
            Wish::Told { .. } => Err(Refusal::Busy),
            Wish::Choose(_) | Wish::Release => Err(Refusal::State(Unresolvable::NotQuarantined)),
        }))
    }
}

fn view() -> View {
    View {
        id: KNOWN,
        route: "transfer".into(),
        mode: Mode::TwoPhase,
        state: State::Committing,
        verdict: Some(Verdict::Commit),
        cause: None,
        branch: None,
        flags: Flags::NONE,
        key: None,
        began_unix_ms: 1,
        ended_unix_ms: None,
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
    let services = r#"{"services":[{"name":"bank"}]}"#;
    assert_eq!(ask(Ok(()), "localhost", "/v1/services").await, (StatusCode::OK, services.into()));
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
    // Two began at the same moment: the higher id comes first.
    assert_eq!(page["transactions"][0]["id"], Id::from_bits(8).to_string());
    let next = page["next"].as_str().unwrap();
    let (_, body) = ask(Ok(()), "localhost", &format!("/v1/transactions?limit=1&after={next}")).await;
    let page: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&page["transactions"][0]["id"], &page["next"]), (&KNOWN.to_string().into(), &Value::Null));
    let long = format!("text={}", "x".repeat(129));
    let bad = [
        "limit=0",
        "limit=1001",
        "state=asleep",
        "state=committed,",
        "after=7",
        "sate=committed",
        "limit=x",
        "verdict=2",
        "mode=none",
        "flag=red",
        "key=k",
        "min_age_ms=-1",
        &long,
    ];
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

#[tokio::test]
async fn a_word_by_hand_names_who_and_why_or_is_refused() {
    let path = format!("/v1/transactions/{KNOWN}/resolve");
    let say = async |body: &str| {
        let request = Request::post(&path).header("host", "localhost").body(Body::from(body.to_owned()));
        send(Ok(()), request.unwrap()).await
    };
    let (status, body) = say(r#"{"what":"sign-off","branch":"debit","who":"ann","why":"paid"}"#).await;
    assert_eq!((status, body.contains(r#""state":"committed""#)), (StatusCode::OK, true), "{body}");
    for body in [
        r#"{"what":"told","branch":"debit","who":"ann","why":"paid"}"#,
        r#"{"what":"commit","who":"ann","why":"paid"}"#,
    ] {
        let (status, told) = say(body).await;
        assert!(status == StatusCode::CONFLICT && told.contains("/problems/unresolvable"), "{told}");
    }
    for body in [
        "",
        "{}",
        r#"{"what":"sign-off","branch":"debit","who":"","why":"paid"}"#,
        r#"{"what":"sign-off","branch":"debit","who":"ann"}"#,
        r#"{"what":"sign-off","who":"ann","why":"paid"}"#,
        r#"{"what":"abort","who":"ann","why":"paid"}"#,
        r#"{"what":"release","who":"ann","why":"paid","extra":1}"#,
    ] {
        assert_eq!(say(body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(say(&"x".repeat(9000)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_stream_says_where_it_begins_and_that_it_lagged() {
    let (status, body) = ask(Ok(()), "localhost", "/v1/transactions/watch?flag=stuck").await;
    let expected = "id: 3-7\nevent: watching\ndata: {}\n\nevent: lagged\ndata: {\"missed\":5}\n\n";
    assert_eq!((status, body.as_str()), (StatusCode::OK, expected));
    let (_, body) = ask(Ok(()), "localhost", &format!("/v1/transactions/{KNOWN}/watch")).await;
    assert!(body.contains("\n\nevent: transaction\ndata: {") && body.contains("event: lagged"), "{body}");
    for (path, expected) in [
        ("/v1/transactions/watch?limit=5", StatusCode::BAD_REQUEST),
        ("/v1/transactions/watch?state=x", StatusCode::BAD_REQUEST),
        ("/v1/transactions/x/watch", StatusCode::BAD_REQUEST),
        ("/v1/transactions/00000000000000000000000009/watch", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(Ok(()), "localhost", path).await.0, expected, "{path}");
    }
    for (last, expected) in [("x", StatusCode::BAD_REQUEST), ("3-0", StatusCode::SERVICE_UNAVAILABLE)] {
        let request = Request::get("/v1/transactions/watch").header("last-event-id", last);
        let request = request.header("host", "localhost").body(Body::empty()).unwrap();
        assert_eq!(send(Ok(()), request).await.0, expected, "{last}");
    }
}
