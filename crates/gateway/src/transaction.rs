//! A transactional route: the request is read whole and handed over; what comes back is told to the client.

use crate::answer::{self, Body};
use crate::connection::Client;
use crate::dispatch::{Asked, Cut, Route};
use crate::hygiene;
use crate::key;
use crate::named::Named;
use crate::parts::{self, Visible};
use crate::upload::Upload;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use std::sync::Arc;
use unanimo_contract::{
    Digest, Plan, Problem, Reply, Severed, Submission, TraceContext, Transactions, headers,
};

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const RESPOND_ASYNC: &str = "respond-async";

/// A transactional route.
#[derive(Clone, Debug)]
pub(crate) struct Transactional {
    pub(crate) plan: Arc<Plan>,
    /// Of the plan as it is stored.
    pub(crate) digest: Digest,
    /// What its expressions name.
    pub(crate) named: Named,
    /// The client's headers that travel on first operations, and that no expression sees.
    pub(crate) pass_credentials: Vec<HeaderName>,
}

/// Runs the transaction, and gives back what the client is to be told.
///
/// When the client hangs up, this is dropped; the transaction goes on without it.
pub(crate) async fn run<T: Transactions>(
    client: &Client<T>,
    route: &Route,
    transactional: &Transactional,
    mut asked: Asked<'_>,
) -> Result<Response<Body>, Cut> {
    let limits = &asked.rules.limits;
    let key = match key::read(&asked.headers) {
        Ok(key) => key,
        Err(why) => return Ok(answer::own(Problem::BadRequest.answer(why))),
    };
    let Ok(query) = parts::query(asked.uri.query(), &transactional.named.query) else {
        let detail = "a parameter of the query, percent-decoded, is not UTF-8";
        return Ok(answer::own(Problem::BadRequest.answer(detail)));
    };
    let limit = limits.transaction_body_bytes as u64;
    let upload = Upload::new(asked.body, limit, limits.body_idle_timeout, &client.pulse);
    let body = match upload {
        Ok(upload) => upload.collect().await,
        Err(failure) => Err(failure),
    };
    let body = match body {
        Ok(body) => body,
        Err(failure) => return Ok(answer::own(failure.answer())),
    };
    let key = key.map(|key| {
        let target = parts::target(asked.path, asked.uri.query());
        let authorized = key::consumer(&asked.headers);
        key::of_request(
            key,
            &route.name,
            &authorized,
            [asked.method.as_str().as_bytes(), target.as_bytes(), &body],
        )
    });
    let respond_async = wants_async(&asked.headers);
    let credentials = credentials(&asked.headers, &transactional.pass_credentials);
    let trace = TraceContext::of_request(&asked.headers);
    let named = &transactional.named.headers;
    let mut headers = Vec::new();
    if !named.is_empty() {
        hygiene::clean_request(&mut asked.headers, asked.version, &client.address, asked.host);
        let visible = Visible { headers: &asked.headers, hidden: &transactional.pass_credentials };
        headers = visible.to_vec(named);
    }
    let submission = Submission {
        plan: transactional.plan.clone(),
        digest: transactional.digest,
        credentials,
        request: unanimo_contract::Request {
            method: asked.method.as_str().to_owned(),
            path: asked.path.sent().to_owned(),
            parameters: parts::parameters(asked.path, &route.parameters),
            query,
            headers,
            body,
        },
        key,
        respond_async,
        trace,
    };
    match client.worker.transactions.submit(submission).await {
        Ok(reply) => {
            reply.transaction.into_iter().for_each(|transaction| asked.measure.transaction(transaction));
            Ok(tell(reply, respond_async))
        }
        Err(Severed) => Err(Cut),
    }
}

fn tell(reply: Reply, respond_async: bool) -> Response<Body> {
    let mut response = answer::foreign(reply.answer);
    let is_accepted = response.status() == StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    if let Some(transaction) = reply.transaction {
        if let Ok(value) = HeaderValue::try_from(transaction.to_string()) {
            headers.insert(headers::TRANSACTION, value);
        }
        if respond_async && is_accepted && reply.finished == Some(false) {
            headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(RESPOND_ASYNC));
        }
    }
    if let Some(finished) = reply.finished {
        headers.insert(headers::FINISHED, HeaderValue::from_static(if finished { "true" } else { "false" }));
    }
    response
}

/// Whether the client wants 202 as soon as the beginning is durable.
fn wants_async(headers: &HeaderMap) -> bool {
    let preferences = hygiene::tokens(headers, &PREFER);
    let mut names = preferences.filter_map(|preference| preference.split(';').next());
    names.any(|name| name.trim().eq_ignore_ascii_case(RESPOND_ASYNC))
}

fn credentials(headers: &HeaderMap, allowed: &[HeaderName]) -> Arc<[(HeaderName, HeaderValue)]> {
    let lines =
        allowed.iter().flat_map(|name| headers.get_all(name).into_iter().map(move |value| (name, value)));
    let sensitive = lines.map(|(name, value)| {
        let mut value = value.clone();
        // A log shows it as such, and not what it is.
        value.set_sensitive(true);
        (name.clone(), value)
    });
    sensitive.collect()
}
