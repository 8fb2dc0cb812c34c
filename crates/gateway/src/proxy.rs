//! A plain route: the request goes to one service, and its answer comes back, both while they are still being sent.

use crate::answer::{self, Body, Download};
use crate::connection::Client;
use crate::dispatch::Asked;
use crate::metrics::Measure;
use crate::path::Path;
use crate::pulse::{Answering, Pulse};
use crate::retry::{Held, RetryConfig};
use crate::upgrade::{self, Wish};
use crate::upload::{Failure, Progress, Upload};
use crate::{Limits, clock, hygiene, trace};
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, TE};
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::timeout_at;
use unanimo_contract::{ClientAnswer, Problem};
use unanimo_upstream::{Answer, Error, Kind, Sent, ServiceId, Trial, Upstream};

/// A plain route.
#[derive(Clone, Debug)]
pub(crate) struct Plain {
    pub(crate) service: ServiceId,
    /// How long the service may take until the head of its answer, from when it has all that the client has sent.
    pub(crate) timeout: Duration,
    pub(crate) rewrite: Option<Rewrite>,
    /// To which protocols a client may change.
    pub(crate) upgrades: Box<[HeaderValue]>,
    pub(crate) retry: Option<RetryConfig>,
}

/// A request's body as it goes to the service, and how to see how far it has come, where that takes time.
type Taken = (unanimo_upstream::Body, Option<Rc<Progress>>);

/// What the matched prefix becomes.
#[derive(Clone, Debug)]
pub(crate) struct Rewrite {
    /// How many segments the prefix has.
    pub(crate) segments: usize,
    /// What stands instead, without a slash at its end.
    pub(crate) to: String,
}

impl Rewrite {
    fn apply(&self, path: &str) -> String {
        let end = path.match_indices('/').nth(self.segments).map_or(path.len(), |(at, _)| at);
        let below = path.get(end..).unwrap_or_default();
        if self.to.is_empty() && below.is_empty() {
            "/".to_owned()
        } else {
            [self.to.as_str(), below].concat()
        }
    }
}

/// Forwards the request, and gives back what came of it.
pub(crate) async fn forward<T>(client: &Client<T>, plain: &Plain, mut asked: Asked<'_>) -> Response<Body> {
    let limits = &asked.rules.limits;
    let has_body = !asked.body.is_end_stream();
    let wish = Wish { headers: &asked.headers, version: asked.version, has_body };
    let wanted = match upgrade::wanted(&wish, &plain.upgrades) {
        Ok(wanted) => wanted,
        Err(refusal) => return answer::own(refusal),
    };
    let retry =
        plain.retry.as_ref().filter(|retry| wanted.is_none() && retry.takes(&asked.method, &asked.body));
    let taken = match retry {
        Some(_) => held(asked.body, limits, &client.pulse).await,
        None => carried(asked.body, limits, &client.pulse),
    };
    let (body, progress) = match taken {
        Ok(taken) => taken,
        Err(refusal) => return answer::own(refusal),
    };
    let Some(target) = target(asked.uri, asked.path, plain.rewrite.as_ref()) else {
        return answer::own(
            Problem::BadRequest.answer("the target is too long once it is in its normal form"),
        );
    };
    let takes_trailers = hygiene::takes_trailers(&asked.headers);
    hygiene::clean_request(&mut asked.headers, asked.version, &client.address, asked.host);
    asked.measure.trace(trace::step(&mut asked.headers));
    if let Some(protocol) = wanted {
        upgrade::say(&mut asked.headers, protocol);
    } else if takes_trailers {
        asked.headers.insert(TE, HeaderValue::from_static("trailers"));
        asked.headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = asked.method;
    *request.uri_mut() = target;
    *request.headers_mut() = asked.headers;
    let Asked { rules, budgets, measure, .. } = asked;
    let sent = match retry {
        Some(config) => {
            let (head, body) = request.into_parts();
            let (service, timeout, allowance) = (plain.service, plain.timeout, &limits.retries);
            let upstream = &rules.upstream;
            Held { upstream, service, head, body, timeout, budgets, allowance, measure }.send(config).await
        }
        None => once(&rules.upstream, plain, request, progress.as_deref()).await,
    };
    let response = match sent {
        Some(Ok(response)) => response,
        Some(Err(error)) => return answer::own(explain(error, progress.as_deref(), measure)),
        None => {
            measure.trouble(None);
            let detail = "the service did not answer in time; it may have acted upon the request";
            return answer::own(close_if(Problem::GatewayTimeout.answer(detail), progress.is_some()));
        }
    };
    pass_back(client, response, wanted, measure, limits, asked.answering)
}

/// Sends the request, and waits for the head of its answer: `None` where it took too long.
async fn once(
    upstream: &Upstream,
    plain: &Plain,
    request: Request<unanimo_upstream::Body>,
    progress: Option<&Progress>,
) -> Option<Result<Response<Answer>, Error>> {
    let trial = Trial::new();
    let sending = upstream.try_out(&trial, plain.service, request);
    let sent = within(plain.timeout, progress, sending).await;
    // A body that broke off says nothing of the service.
    if !matches!(sent, Some(Ok(_))) && progress.is_none_or(|progress| progress.failure().is_none()) {
        trial.failed();
    }
    sent
}

/// The answer as it goes to the client, while it still comes from the service.
fn pass_back<T>(
    client: &Client<T>,
    response: Response<Answer>,
    wanted: Option<&HeaderValue>,
    measure: &Measure,
    limits: &Limits,
    answering: Answering,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let taken_up = wanted.filter(|wanted| upgrade::is_taken_up(&head.headers, wanted));
        let Some((protocol, tunnel)) = taken_up.zip(body.into_tunnel()) else {
            measure.trouble(Some(Kind::Broken));
            let detail = "the service changed its protocol, unasked or to another one";
            return answer::own(Problem::BadGateway.answer(detail));
        };
        client.tunnel.set(Some(tunnel));
        hygiene::clean_answer(&mut head.headers);
        upgrade::say(&mut head.headers, protocol);
        return Response::from_parts(head, Body::Full(Bytes::new()));
    }
    hygiene::clean_answer(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let download = Download::new(body, limits.body_idle_timeout, answering);
    Response::from_parts(head, Body::Download(download))
}

/// The whole body, to be sent again if need be.
async fn held(body: Incoming, limits: &Limits, pulse: &Rc<Pulse>) -> Result<Taken, ClientAnswer> {
    if body.is_end_stream() {
        return Ok((unanimo_upstream::Body::Empty, None));
    }
    let upload = Upload::new(body, limits.body_bytes, limits.body_idle_timeout, pulse);
    let whole = match upload {
        Ok(upload) => upload.collect().await,
        Err(failure) => Err(failure),
    };
    whole.map(|whole| (unanimo_upstream::Body::Full(whole), None)).map_err(Failure::answer)
}

/// The body as it goes to the service, and how to see how far it has come; a request without a body has no progress.
fn carried(body: Incoming, limits: &Limits, pulse: &Rc<Pulse>) -> Result<Taken, ClientAnswer> {
    if body.is_end_stream() {
        return Ok((unanimo_upstream::Body::Empty, None));
    }
    let upload = Upload::new(body, limits.body_bytes, limits.body_idle_timeout, pulse)
        .map_err(|failure| failure.answer())?;
    let progress = upload.progress();
    Ok((unanimo_upstream::Body::Streaming(Box::pin(upload)), Some(progress)))
}

/// The path that was matched, with the query as it came.
fn target(uri: &Uri, path: &Path<'_>, rewrite: Option<&Rewrite>) -> Option<Uri> {
    let path = match rewrite {
        Some(rewrite) => rewrite.apply(path.sent()),
        None if path.is_unchanged() && uri.authority().is_none() => return Some(uri.clone()),
        None => path.sent().to_owned(),
    };
    let target = match uri.query() {
        Some(query) => [path.as_str(), "?", query].concat(),
        None => path,
    };
    PathAndQuery::try_from(target).ok().map(Uri::from)
}

/// Waits for the service, but not while it is the client that is being waited for: a body's own limits bound that.
async fn within<R>(
    limit: Duration,
    progress: Option<&Progress>,
    sending: impl Future<Output = R>,
) -> Option<R> {
    let mut sending = pin!(sending);
    let mut deadline = clock::now() + limit;
    loop {
        if let Ok(answer) = timeout_at(deadline.into(), sending.as_mut()).await {
            return Some(answer);
        }
        let now = clock::now();
        deadline = match progress {
            None => return None,
            Some(progress) => progress.waited_for_service_since().unwrap_or(now) + limit,
        };
        if deadline <= now {
            return None;
        }
    }
}

/// What the client is told when there is no answer to its request.
fn explain(error: Error, progress: Option<&Progress>, measure: &Measure) -> ClientAnswer {
    if let Some(failure) = progress.and_then(Progress::failure) {
        return failure.answer();
    }
    measure.trouble(Some(error.kind));
    tracing::debug!(%error, "a service could not be asked");
    let answer = match (error.kind, error.sent) {
        (Kind::Overloaded, _) => Problem::Overloaded
            .answer("all connections to the service are in use; nothing was sent to it")
            .with_header("retry-after", "1"),
        (Kind::CircuitOpen, _) => Problem::BadGateway
            .answer("the service has failed too often lately, and is left alone; nothing was sent to it")
            .with_header("retry-after", "1"),
        (Kind::Resolve | Kind::Connect | Kind::ConnectTimeout, _) | (Kind::Broken, Sent::No) => {
            Problem::BadGateway.answer("the service could not be reached; nothing was sent to it")
        }
        (Kind::Broken, Sent::Perhaps) => {
            Problem::BadGateway.answer("the service broke off; it may have acted upon the request")
        }
    };
    close_if(answer, progress.is_some())
}

/// A connection on which a body may still be coming cannot carry another request.
fn close_if(answer: ClientAnswer, has_body: bool) -> ClientAnswer {
    if has_body { answer.with_header("connection", "close") } else { answer }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_replaced_as_a_whole() {
        let rewrite = |segments, to: &str, path| Rewrite { segments, to: to.to_owned() }.apply(path);
        assert_eq!(rewrite(1, "/v1", "/api/x/y"), "/v1/x/y");
        assert_eq!(rewrite(1, "/v1", "/api"), "/v1");
        assert_eq!(rewrite(1, "/v1", "/api/"), "/v1/");
        assert_eq!(rewrite(1, "", "/api/x"), "/x");
        assert_eq!(rewrite(1, "", "/api"), "/");
        assert_eq!(rewrite(0, "/v1", "/x"), "/v1/x");
        assert_eq!(rewrite(0, "/v1", "/"), "/v1/");
        assert_eq!(rewrite(2, "/z", "/a/b/c/"), "/z/c/");
    }
}
