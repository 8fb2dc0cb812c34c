//! A plain request that may be sent again: while nothing of an answer was passed on, and as far as the budget goes.

use crate::clock;
use crate::metrics::Measure;
use http::{Method, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, timeout_at};
use unanimo_contract::budget::{Allowance, Budget};
use unanimo_upstream::{Answer, Body, Error, Kind, ServiceId, Statuses, Trial, Upstream};

/// The upper bound of the pause before the first retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// When requests of a plain route are sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// How often at most.
    pub attempts: u32,
    /// Requests with these methods, and no others: their effect is the same however often they arrive.
    pub methods: Vec<Method>,
    /// After which answers, beside those that never come.
    pub statuses: Statuses,
    /// How long each try may take until the head of its answer; as long as the route's time-out leaves where `None`.
    pub per_try_timeout: Option<Duration>,
    /// The longest body that is held to be sent again, in bytes. Requests with a longer one are sent once.
    pub body_bytes: u64,
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig {
            attempts: 1,
            methods: vec![Method::GET, Method::HEAD, Method::OPTIONS],
            statuses: Statuses { from: 502, to: 504 },
            per_try_timeout: None,
            body_bytes: 64 * 1024,
        }
    }
}

impl RetryConfig {
    /// Whether a request may be sent again, with its body held where it has one.
    pub(crate) fn takes(&self, method: &Method, body: &Incoming) -> bool {
        let length = if body.is_end_stream() { Some(0) } else { body.size_hint().exact() };
        self.methods.contains(method) && length.is_some_and(|length| length <= self.body_bytes)
    }
}

/// What became of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retried {
    /// It was answered, and the answer passed on.
    Answered,
    /// It failed as the try before it had.
    Failed,
    /// It was not sent: the budget had nothing left.
    Withheld,
}

/// The budgets of one worker.
pub(crate) struct Budgets {
    began: Instant,
    services: RefCell<BTreeMap<ServiceId, Budget>>,
}

impl Budgets {
    pub(crate) fn new() -> Budgets {
        Budgets { began: clock::now(), services: RefCell::default() }
    }

    fn change<R>(
        &self,
        service: ServiceId,
        allowance: &Allowance,
        change: impl FnOnce(&mut Budget) -> R,
    ) -> R {
        let now = clock::now().saturating_duration_since(self.began);
        let mut services = self.services.borrow_mut();
        let budget = services.entry(service).or_insert_with(|| Budget::full(now, allowance));
        budget.fill(now, allowance);
        change(budget)
    }
}

/// A request that is held until its answer is there.
pub(crate) struct Held<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) service: ServiceId,
    pub(crate) head: http::request::Parts,
    /// Empty or whole.
    pub(crate) body: Body,
    /// How long all tries together may take.
    pub(crate) timeout: Duration,
    pub(crate) budgets: &'a Budgets,
    pub(crate) allowance: &'a Allowance,
    pub(crate) measure: &'a Measure,
}

impl Held<'_> {
    /// Sends the request until it is answered, the tries or the budget are used up, or its time is over: then `None`.
    pub(crate) async fn send(self, config: &RetryConfig) -> Option<Result<Response<Answer>, Error>> {
        let (service, allowance) = (self.service, self.allowance);
        let end = clock::now() + self.timeout;
        let trial = Trial::new();
        self.budgets.change(service, allowance, |budget| budget.note_first(allowance));
        for retries in 0.. {
            let sent = self.once(&trial, config, end).await;
            let has_answer =
                matches!(&sent, Some(Ok(answer)) if !config.statuses.contains(answer.status().as_u16()));
            if retries > 0 {
                self.measure.retried(if has_answer { Retried::Answered } else { Retried::Failed });
            }
            if retries > 0 && has_answer {
                self.budgets.change(service, allowance, |budget| budget.give_back(allowance));
            }
            // An earliest end that lies before the end of the pause is the end.
            let pause = FIRST_PAUSE.mul_f64(fastrand::f64()) * (1 << retries.min(4));
            let next = clock::now() + pause;
            if has_answer || retries >= config.attempts || next >= end || !is_worth_it(&sent) {
                return sent;
            }
            if !self.budgets.change(service, allowance, Budget::take) {
                self.measure.retried(Retried::Withheld);
                return sent;
            }
            // What came of it is let go, and with it the connection.
            drop(sent);
            sleep_until(next.into()).await;
        }
        None
    }

    async fn once(
        &self,
        trial: &Trial,
        config: &RetryConfig,
        end: Instant,
    ) -> Option<Result<Response<Answer>, Error>> {
        let body = match &self.body {
            Body::Full(bytes) => Body::Full(bytes.clone()),
            Body::Empty | Body::Streaming(_) => Body::Empty,
        };
        let request = Request::from_parts(self.head.clone(), body);
        let limit = config.per_try_timeout.map_or(end, |limit| end.min(clock::now() + limit));
        let sent = timeout_at(limit.into(), self.upstream.try_out(trial, self.service, request)).await;
        if sent.is_err() {
            trial.failed();
        }
        sent.ok()
    }
}

/// Whether another try may end otherwise: not where we ourselves have kept the request back.
fn is_worth_it(sent: &Option<Result<Response<Answer>, Error>>) -> bool {
    match sent {
        None | Some(Ok(_)) => true,
        Some(Err(error)) => match error.kind {
            Kind::Resolve | Kind::Connect | Kind::ConnectTimeout | Kind::Broken => true,
            Kind::Overloaded | Kind::CircuitOpen => false,
        },
    }
}
