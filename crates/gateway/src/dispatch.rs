//! From a request's head to who answers it.

use crate::access::Line;
use crate::answer::{self, Body};
use crate::connection::Client;
use crate::metrics::Measure;
use crate::path::Path;
use crate::proxy::{self, Plain};
use crate::pulse::Answering;
use crate::retry::Budgets;
use crate::rules::InForce;
use crate::server::{Door, Stage};
use crate::status::Own;
use crate::table::{Found, Sought};
use crate::transaction::{self, Transactional};
use crate::{Rules, Table, authority, hygiene, inquiry, multiplexed, upgrade};
use http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use unanimo_contract::{ClientAnswer, Problem, Transactions};

/// What is done with requests that match.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Its place among the routes.
    pub(crate) number: usize,
    pub(crate) name: Arc<str>,
    /// Names of the path's parameters, and the places of their segments.
    pub(crate) parameters: Box<[(Box<str>, usize)]>,
    pub(crate) work: Work,
}

/// Of which kind a route is.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Plain(Plain),
    Transactional(Transactional),
}

/// A request on its way to whoever answers it.
pub(crate) struct Asked<'a> {
    /// Those that were in force when it came.
    pub(crate) rules: &'a Rules,
    pub(crate) budgets: &'a Budgets,
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// Without `Host`.
    pub(crate) headers: HeaderMap,
    /// The host as the client wrote it.
    pub(crate) host: Option<&'a HeaderValue>,
    pub(crate) uri: &'a Uri,
    pub(crate) path: &'a Path<'a>,
    pub(crate) body: Incoming,
    pub(crate) measure: &'a Measure,
    /// Lives until the answer has gone.
    pub(crate) answering: Answering,
}

/// The connection is closed without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody knows whether the transaction began, so no answer is given")
    }
}

impl std::error::Error for Cut {}

/// Answers a request. A panic on the way is the gateway's own mistake, and nobody else's trouble.
pub(crate) async fn answer<T: Transactions>(
    client: Rc<Client<T>>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let in_force = client.worker.governed.now();
    let is_shared = request.version() == Version::HTTP_2;
    let line = in_force.rules.logs_requests.then(|| Line::new(&client.address, &request));
    let measure = Measure::begin(&in_force.routes, line);
    let mut work = pin!(route(&client, &in_force, request, &measure));
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    let mut answer = caught.await.unwrap_or_else(|panic| {
        client.worker.tally.panics.add(1);
        tracing::error!(panic = message(panic.as_ref()), "a request met a mistake of the gateway's own");
        let answer =
            Problem::Internal.answer("the gateway made a mistake; nobody knows how far the request got");
        Ok(answer::own(answer.with_header("connection", "close")))
    });
    if let (Ok(response), true) = (&mut answer, is_shared) {
        multiplexed::clean_answer(response.headers_mut());
    } else if let Ok(response) = &mut answer
        && !client.worker.stages.is_before(Stage::Draining)
        && response.status() != StatusCode::SWITCHING_PROTOCOLS
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(response) = &answer {
        measure.answered(response.status().as_u16());
    }
    answer
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

async fn route<T: Transactions>(
    client: &Client<T>,
    in_force: &InForce,
    request: Request<Incoming>,
    measure: &Measure,
) -> Result<Response<Body>, Cut> {
    let InForce { rules, budgets, .. } = in_force;
    let answering = client.pulse.answering();
    let (mut head, body) = request.into_parts();
    client.pulse.expects_body(!body.is_end_stream());
    let uri = std::mem::take(&mut head.uri);
    let (host, path) = match read(&uri, &mut head) {
        Ok(target) => target,
        Err(refusal) => return Ok(answer::own(refusal)),
    };
    let name = match host.as_ref().map(authority::name).transpose() {
        Ok(name) => name,
        Err(why) => return Ok(answer::own(bad_request(why))),
    };
    let own = Own::of_path(path.matched());
    if (client.door == Door::Participants || own.is_some()) && hygiene::wants_upgrade(&head.headers) {
        return Ok(answer::own(upgrade::refusal()));
    }
    if client.door == Door::Participants {
        measure.own_path(path.matched());
        let transactions = &client.worker.transactions;
        return Ok(answer::own(inquiry::answer(&head.method, path.matched(), transactions).await));
    }
    if let Some(own) = own {
        measure.own_path(path.matched());
        return Ok(answer::own(own.answer(&head.method, &client.worker.transactions).await));
    }
    let sought = Sought {
        host: name.as_deref(),
        path: path.matched(),
        method: &head.method,
        headers: &head.headers,
        query: uri.query(),
    };
    let route = match find(&rules.table, sought) {
        Ok(route) => route,
        Err(refusal) => return Ok(answer::own(refusal)),
    };
    measure.route(route.number);
    let Parts { method, version, headers, .. } = head;
    let asked = Asked {
        rules,
        budgets,
        method,
        version,
        headers,
        host: host.as_ref(),
        uri: &uri,
        path: &path,
        body,
        measure,
        answering,
    };
    match &route.work {
        Work::Plain(plain) => Ok(proxy::forward(client, plain, asked).await),
        Work::Transactional(_) if hygiene::wants_upgrade(&asked.headers) => {
            Ok(answer::own(upgrade::refusal()))
        }
        Work::Transactional(transactional) => transaction::run(client, route, transactional, asked).await,
    }
}

fn find<'a>(table: &'a Table, sought: Sought<'_>) -> Result<&'a Route, ClientAnswer> {
    match table.find(sought) {
        Found::Route(route) => Ok(route),
        Found::OtherMethods(allowed) => {
            let answer = Problem::MethodNotAllowed.answer(&format!("this path takes {allowed}"));
            Err(answer.with_header("allow", allowed))
        }
        Found::Nothing => Err(Problem::NoRoute.answer("no route has this host and path")),
    }
}

/// Refuses what this gateway does not do or what has two meanings, before anything is made of it.
fn read<'u>(uri: &'u Uri, head: &mut Parts) -> Result<(Option<HeaderValue>, Path<'u>), ClientAnswer> {
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        let detail = format!("this gateway does not take {}", head.method);
        return Err(Problem::NotImplemented.answer(&detail));
    }
    let mut encodings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let coding = encodings.next();
    if coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || encodings.next().is_some()
    {
        let answer =
            Problem::NotImplemented.answer("this gateway takes no transfer coding but one `chunked`");
        return Err(answer.with_header("connection", "close"));
    }
    if head.version == Version::HTTP_2 {
        multiplexed::join_cookies(&mut head.headers);
    }
    let host = authority::of_request(uri, &mut head.headers, head.version).map_err(bad_request)?;
    let path = Path::normalise(uri.path()).map_err(|why| bad_request(why.to_string()))?;
    Ok((host, path))
}

fn bad_request(why: impl Into<Cow<'static, str>>) -> ClientAnswer {
    Problem::BadRequest.answer(&why.into())
}
