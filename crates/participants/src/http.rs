//! Participants that speak HTTP: one request for each operation.

use crate::Participant;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use http_body_util::BodyExt;
use std::cell::RefCell;
use std::fmt::Write;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;
use unanimo_contract::inquiry::INQUIRIES;
use unanimo_contract::plan::ANSWER_LIMIT;
use unanimo_contract::{Answer, Outcome, ParticipantCall, Reading, headers, outcome};
use unanimo_upstream::{Affinity, Body, Trial, Upstream};

const TRANSACTION: HeaderName = HeaderName::from_static(headers::TRANSACTION);
const BRANCH: HeaderName = HeaderName::from_static(headers::BRANCH);
const OPERATION: HeaderName = HeaderName::from_static(headers::OPERATION);
const DEADLINE_MS: HeaderName = HeaderName::from_static(headers::DEADLINE_MS);
const INQUIRE: HeaderName = HeaderName::from_static(headers::INQUIRE);
const ATTEMPT: HeaderName = HeaderName::from_static(headers::ATTEMPT);
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static(headers::IDEMPOTENCY_KEY);
const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(headers::TRACESTATE);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One worker's participants over HTTP.
///
/// Clones are the same.
#[derive(Clone)]
pub struct Http {
    upstream: Rc<RefCell<Upstream>>,
    /// Where participants that ask find the verdict: followed by the transaction.
    inquiries: Option<Rc<str>>,
}

/// Why a call never became a request: the same at every attempt, until somebody changes the configuration.
struct Unsendable;

impl Http {
    /// Participants behind these services. Those that ask are given the address of this gateway's listener for them,
    /// such as `http://10.0.0.1:8082`, where there is one.
    pub fn new(upstream: Upstream, gateway: Option<&str>) -> Http {
        let inquiries = gateway.map(|gateway| [gateway, INQUIRIES].concat().into());
        Http { upstream: Rc::new(RefCell::new(upstream)), inquiries }
    }

    /// From now on calls go this way: the services of another configuration. Calls under way end as they began.
    pub fn follow(&self, upstream: Upstream) {
        self.upstream.replace(upstream);
    }

    async fn exchange(&self, call: &ParticipantCall, trial: &Trial) -> Answer {
        let upstream = self.upstream.borrow().clone();
        let services = upstream.services();
        let Some(service) = services.id(&call.service) else { return unsendable() };
        let credential = services.credential(service).header();
        let Ok(request) = request(call, credential, self.inquiries.as_deref()) else { return unsendable() };
        match upstream.try_out(trial, service, request).await {
            Ok(response) => answer(call, response).await,
            // Also where an open circuit has kept it from being sent: it is repeated like any other.
            Err(_) => nothing(),
        }
    }
}

impl Participant for Http {
    async fn call(&self, call: &ParticipantCall) -> Answer {
        let timeout = call.remaining.map_or(call.timeout, |remaining| remaining.min(call.timeout));
        // Past its deadline a call still gets a moment: the transaction's own timer decides, not this one.
        let timeout = timeout.max(Duration::from_millis(1));
        // Where the service asks for it, every operation of a transaction reaches the same endpoint.
        let trial = Trial::of(Affinity::new(call.transaction.bits()));
        let answer = tokio::time::timeout(timeout, self.exchange(call, &trial)).await;
        answer.unwrap_or_else(|_| {
            // What a deadline leaves may be less than anybody could keep to, and says nothing of the endpoint.
            if timeout == call.timeout {
                trial.failed();
            }
            nothing()
        })
    }
}

/// Nothing came back, or not in time.
fn nothing() -> Answer {
    Answer { reading: Reading::of(Outcome::Unknown), status: None, content_type: None, body: None }
}

/// The service or the call cannot be expressed: a person has to look at the configuration.
fn unsendable() -> Answer {
    Answer { reading: Reading { stuck: true, ..Reading::of(Outcome::Unknown) }, ..nothing() }
}

fn request(
    call: &ParticipantCall,
    credential: Option<&HeaderValue>,
    inquiries: Option<&str>,
) -> Result<Request<Body>, Unsendable> {
    let mut map = HeaderMap::with_capacity(12 + call.headers.len() + call.credentials.len());
    if !call.body.is_empty() {
        map.insert(CONTENT_TYPE, JSON);
    }
    for (name, value) in call.headers.iter() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Unsendable)?;
        map.append(name, HeaderValue::from_str(value).map_err(|_| Unsendable)?);
    }
    if let Some(credential) = credential {
        map.insert(AUTHORIZATION, credential.clone());
    }
    // On a first operation the client's own identity, where the route lets it travel, goes before the service's.
    for (name, _) in call.credentials.iter() {
        map.remove(name);
    }
    for (name, value) in call.credentials.iter() {
        map.append(name.clone(), value.clone());
    }
    insert_ours(&mut map, call)?;
    if let Some(inquiries) = inquiries.filter(|_| call.asks) {
        let address = format!("{inquiries}{}", call.transaction);
        map.insert(INQUIRE, HeaderValue::try_from(address).map_err(|_| Unsendable)?);
    }
    let uri: Uri = call.path.parse().map_err(|_| Unsendable)?;
    let body = if call.body.is_empty() { Body::Empty } else { Body::Full(call.body.clone()) };
    let mut request = Request::new(body);
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = map;
    Ok(request)
}

/// The headers that are ours: they replace whatever the route's own headers say.
fn insert_ours(map: &mut HeaderMap, call: &ParticipantCall) -> Result<(), Unsendable> {
    // One text holds all that differs from call to call, and the headers share it.
    let mut text = BytesMut::with_capacity(160);
    // Writing to it cannot fail.
    let _ = write!(text, "{}", call.transaction);
    let id = text.len();
    let _ = write!(text, "/{}/{}", call.name, call.operation);
    let key = text.len();
    text.extend_from_slice(&call.trace.trace.parent(call.span));
    let parent = text.len();
    let _ = write!(text, "{}", call.attempt);
    let attempt = text.len();
    if let Some(remaining) = call.remaining {
        let _ = write!(text, "{}", remaining.as_millis());
    }
    let text = text.freeze();
    let share = |part: Range<usize>| HeaderValue::from_maybe_shared(text.slice(part)).map_err(|_| Unsendable);
    map.insert(TRANSACTION, share(0..id)?);
    map.insert(BRANCH, share(id + 1..id + 1 + call.name.len())?);
    map.insert(OPERATION, HeaderValue::from_static(call.operation.as_str()));
    map.insert(ATTEMPT, share(parent..attempt)?);
    if call.remaining.is_some() {
        map.insert(DEADLINE_MS, share(attempt..text.len())?);
    }
    map.insert(IDEMPOTENCY_KEY, share(0..key)?);
    map.insert(TRACEPARENT, share(key..parent)?);
    // It belongs to the trace that is named above, and to no other.
    map.remove(TRACESTATE);
    if let Some(state) = &call.trace.state {
        map.insert(TRACESTATE, HeaderValue::from_str(state).map_err(|_| Unsendable)?);
    }
    Ok(())
}

async fn answer(call: &ParticipantCall, response: Response<unanimo_upstream::Answer>) -> Answer {
    let (head, body) = response.into_parts();
    let text = |name: &HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    // An outcome header that is not even text is garbage, not absence.
    let word = head.headers.get(headers::OUTCOME).map(|value| value.to_str().unwrap_or("unreadable"));
    let reading = outcome::read(call.asked(), head.status.as_u16(), word, text(&RETRY_AFTER));
    let content_type = text(&CONTENT_TYPE).map(str::to_owned);
    match read(body).await {
        Ok(body) => Answer { reading, status: Some(head.status.as_u16()), content_type, body },
        Err(_) => nothing(),
    }
}

/// The whole body; nothing where it is longer than anybody needs. A body that breaks off makes the answer unknown.
async fn read(mut body: unanimo_upstream::Answer) -> Result<Option<Bytes>, unanimo_upstream::Error> {
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if whole.len() + data.len() > ANSWER_LIMIT {
            return Ok(None);
        }
        // A copy: what came is a piece of the connection's buffer, which would live as long as the answer is kept.
        whole = if whole.is_empty() { Bytes::copy_from_slice(&data) } else { append(whole, &data) };
    }
    Ok(Some(whole))
}

fn append(whole: Bytes, data: &[u8]) -> Bytes {
    let mut whole = whole.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    whole.extend_from_slice(data);
    whole.freeze()
}
