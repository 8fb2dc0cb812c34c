//! What happens, as it happens: server-sent events.
//!
//! A watcher first hears that it watches (`watching`), then every change (`change`), each with an id from which it may
//! go on (`Last-Event-ID`). Where that place is gone it hears `reset`: it has to look anew. Who reads too slowly hears
//! `lagged`, and is cut: no watcher is ever waited for.

use crate::admin::{Admin, Probe};
use crate::query::Wanted;
use crate::transactions::{named, problem, unavailable, unknown};
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use unanimo_contract::operations::{Lagged, MomentKind, Position, Watch};
use unanimo_contract::{Filter, Id, Operations, Problem, Unavailable};

/// How many events may wait for a watcher's connection.
const BUFFERED: usize = 64;

/// How long a silent stream is left silent.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a watcher may leave what is sent to it unread.
const PATIENCE: Duration = Duration::from_secs(30);

/// Every transaction that the filter takes.
pub(crate) async fn all<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let query = query.map_err(|error| error.body_text());
    match query.and_then(|Query(query)| query.without_page()?.filter(&headers)) {
        Ok(filter) => match watch(&admin.operations, &headers) {
            Ok(watch) => stream(watch, Whom::Taken(filter), None),
            Err(refusal) => *refusal,
        },
        Err(detail) => problem(&Problem::BadRequest.answer(&detail)),
    }
}

/// One transaction: first all that is known of it, then every change, until it has ended.
pub(crate) async fn one<O: Operations, P: Probe>(
    State(admin): State<Admin<O, P>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let id = match named(&id) {
        Ok(id) => id,
        Err(refusal) => return problem(&refusal),
    };
    // First the watcher, then what is known: nothing can happen between them unheard.
    let watch = match watch(&admin.operations, &headers) {
        Ok(watch) => watch,
        Err(refusal) => return *refusal,
    };
    match admin.operations.get(id).await {
        Ok(Some(detail)) => {
            let ended = detail.view.state.is_finished();
            stream(watch, Whom::One(id), Some((detail.to_json(), ended)))
        }
        Ok(None) => unknown(id),
        Err(Unavailable) => unavailable(),
    }
}

fn watch<O: Operations>(operations: &O, headers: &HeaderMap) -> Result<O::Watch, Box<Response>> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default().parse::<Position>());
    let from = match last {
        Some(Err(_)) => {
            let detail = "`Last-Event-ID` is no id of an event of this stream";
            return Err(Box::new(problem(&Problem::BadRequest.answer(detail))));
        }
        Some(Ok(position)) => Some(position),
        None => None,
    };
    operations.watch(from).ok_or_else(|| {
        let answer = Problem::Overloaded.answer("too many watch already; end one of them, or try again");
        Box::new(problem(&answer.with_header("retry-after", "1")))
    })
}

/// Of whom a watcher hears.
enum Whom {
    Taken(Filter),
    One(Id),
}

fn stream<W: Watch>(watch: W, whom: Whom, known: Option<(Value, bool)>) -> Response {
    let (events, body) = mpsc::channel(BUFFERED);
    // It ends with its watcher: nobody reads, or it was told that it is cut.
    tokio::spawn(feed(watch, whom, known, events));
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::new(Events(body))).into_response()
}

/// Hands events to the connection until one of the two has no more.
async fn feed<W: Watch>(mut watch: W, whom: Whom, known: Option<(Value, bool)>, events: mpsc::Sender<Bytes>) {
    let opening = if watch.is_resumed() { "watching" } else { "reset" };
    if !send(&events, event(Some(watch.position()), opening, &json!({}))).await {
        return;
    }
    if let Some((transaction, ended)) = known
        && (!send(&events, event(None, "transaction", &transaction)).await || ended)
    {
        return;
    }
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(HEARTBEAT, watch.next()) => next,
            () = events.closed() => return,
        };
        let sent = match next {
            Err(_) => send(&events, Bytes::from_static(b": alive\n\n")).await,
            Ok(Err(Lagged { missed })) => {
                let _ = send(&events, event(None, "lagged", &json!({ "missed": missed }))).await;
                return;
            }
            Ok(Ok((position, change))) => {
                let (wanted, last) = match &whom {
                    Whom::Taken(filter) => (change.is_taken_by(filter), false),
                    Whom::One(id) => (change.id == *id, change.moment.kind == MomentKind::Ended),
                };
                if !wanted {
                    continue;
                }
                send(&events, event(Some(position), "change", &change.to_json())).await && !last
            }
        };
        if !sent {
            return;
        }
    }
}

async fn send(events: &mpsc::Sender<Bytes>, event: Bytes) -> bool {
    matches!(tokio::time::timeout(PATIENCE, events.send(event)).await, Ok(Ok(())))
}

/// One event. JSON text has no line breaks, so it is one line of data.
fn event(position: Option<Position>, name: &str, data: &Value) -> Bytes {
    let id = position.map_or_else(String::new, |position| format!("id: {position}\n"));
    Bytes::from(format!("{id}event: {name}\ndata: {data}\n\n"))
}

/// The events as a body.
struct Events(mpsc::Receiver<Bytes>);

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
