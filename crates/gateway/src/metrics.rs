//! What the gateway counts. Each worker counts for itself, without locked instructions; who asks gets the sums.

use crate::access::Line;
use crate::clock;
use crate::retry::Retried;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use std::array;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use unanimo_contract::Id;
use unanimo_contract::trace::Trace;
use unanimo_upstream::Kind;

/// The route's label for requests that no route took, and for the gateway's own paths.
const NO_ROUTE: &str = "(none)";
const OWN_PATHS: &str = "(own)";

/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What was answered. `none` is a connection that was closed without an answer, by us or by the client.
const STATUSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "none"];

/// What went wrong on the way to a service.
const TROUBLES: [&str; 7] =
    ["resolve", "connect", "connect-timeout", "overloaded", "broken", "timeout", "circuit-open"];

/// What became of retries of plain requests.
const RETRIES: [&str; 3] = ["answered", "failed", "withheld"];

/// What all workers have counted. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    workers: Arc<Mutex<Vec<Arc<Tally>>>>,
}

impl Metrics {
    /// Nothing was counted yet.
    pub fn new() -> Metrics {
        Metrics::default()
    }

    /// Shows the counts to whoever asks the registry.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// What one more worker counts with.
    pub(crate) fn worker(&self) -> Arc<Tally> {
        let tally = Arc::<Tally>::default();
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        tally
    }
}

/// What one worker counts.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Of the routes in force, which are other ones after a change of the configuration. No request takes this lock.
    routes: Mutex<RouteTallies>,
    /// Connections that are open now.
    pub(crate) open: Count,
    /// Those of them that have become tunnels.
    pub(crate) tunnels: Count,
    pub(crate) accepted: Count,
    pub(crate) failed_accepts: Count,
    pub(crate) panics: Count,
}

/// What one worker counts by route: by number; then those of [`NO_ROUTE`] and [`OWN_PATHS`].
pub(crate) type RouteTallies = Arc<[Arc<RouteTally>]>;

impl Tally {
    /// What is counted by these routes, in the order of their numbers. One that was there before goes on with its
    /// counts; one that is gone takes them with it.
    pub(crate) fn of_routes<'a>(&self, names: impl Iterator<Item = &'a Arc<str>>) -> RouteTallies {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let before: BTreeMap<&Arc<str>, &Arc<RouteTally>> =
            routes.iter().map(|route| (&route.name, route)).collect();
        let tally = |name: Arc<str>| match before.get(&name) {
            Some(tally) => Arc::clone(tally),
            None => Arc::new(RouteTally::new(name)),
        };
        let now: RouteTallies =
            names.cloned().chain([NO_ROUTE.into(), OWN_PATHS.into()]).map(tally).collect();
        *routes = now.clone();
        now
    }
}

#[derive(Debug)]
pub(crate) struct RouteTally {
    name: Arc<str>,
    answers: [Count; STATUSES.len()],
    troubles: [Count; TROUBLES.len()],
    retries: [Count; RETRIES.len()],
    /// The last one is for what took longer than all bounds.
    durations: [Count; BUCKETS.len() + 1],
    microseconds: Count,
}

impl RouteTally {
    fn new(name: Arc<str>) -> RouteTally {
        RouteTally {
            name,
            answers: array::from_fn(|_| Count::default()),
            troubles: array::from_fn(|_| Count::default()),
            retries: array::from_fn(|_| Count::default()),
            durations: array::from_fn(|_| Count::default()),
            microseconds: Count::default(),
        }
    }
}

/// Many may read it, but only the worker that owns it counts: so no locked instruction is needed.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// Counts one more until what it gives back is dropped.
    pub(crate) fn one(&self) -> One<'_> {
        self.add(1);
        One(self)
    }

    pub(crate) fn take(&self, less: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(less), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of those that are counted now.
pub(crate) struct One<'a>(&'a Count);

impl Drop for One<'_> {
    fn drop(&mut self) {
        self.0.take(1);
    }
}

/// One request, from its head until the head of its answer. It is counted when this is dropped.
pub(crate) struct Measure {
    routes: RouteTallies,
    began: Instant,
    route: Cell<usize>,
    status: Cell<usize>,
    /// Boxed, since most gateways have none.
    line: Option<Box<Line>>,
}

impl Measure {
    pub(crate) fn begin(routes: &RouteTallies, line: Option<Line>) -> Measure {
        let none = routes.len() - 2;
        Measure {
            routes: routes.clone(),
            began: clock::now(),
            route: Cell::new(none),
            status: Cell::new(STATUSES.len() - 1),
            line: line.map(Box::new),
        }
    }

    /// It is a request of this route.
    pub(crate) fn route(&self, number: usize) {
        self.route.set(number);
    }

    /// It is a request for one of the gateway's own paths.
    pub(crate) fn own_path(&self, path: &str) {
        self.route.set(self.routes.len() - 1);
        if let Some(line) = &self.line {
            line.own_path(path);
        }
    }

    /// It went on as a step of this trace.
    pub(crate) fn trace(&self, trace: Trace) {
        if let Some(line) = &self.line {
            line.trace(trace);
        }
    }

    /// It became this transaction.
    pub(crate) fn transaction(&self, transaction: Id) {
        if let Some(line) = &self.line {
            line.transaction(transaction);
        }
    }

    /// It is answered with this status.
    pub(crate) fn answered(&self, status: u16) {
        if let Some(line) = &self.line {
            line.status(status);
        }
        self.status.set(match status {
            ..300 => 0,
            300..400 => 1,
            400..500 => 2,
            500.. => 3,
        });
    }

    /// A service could not be asked; `None` where it did not answer in time.
    pub(crate) fn trouble(&self, kind: Option<Kind>) {
        let trouble = match kind {
            Some(Kind::Resolve) => 0,
            Some(Kind::Connect) => 1,
            Some(Kind::ConnectTimeout) => 2,
            Some(Kind::Overloaded) => 3,
            Some(Kind::Broken) => 4,
            None => 5,
            Some(Kind::CircuitOpen) => 6,
        };
        self.of_route(|route| route.troubles[trouble].add(1));
    }

    /// It was sent again, or was to be.
    pub(crate) fn retried(&self, outcome: Retried) {
        let retry = match outcome {
            Retried::Answered => 0,
            Retried::Failed => 1,
            Retried::Withheld => 2,
        };
        self.of_route(|route| route.retries[retry].add(1));
    }

    fn of_route(&self, count: impl FnOnce(&RouteTally)) {
        if let Some(route) = self.routes.get(self.route.get()) {
            count(route);
        }
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        let took = clock::now().saturating_duration_since(self.began);
        let seconds = took.as_secs_f64();
        self.of_route(|route| {
            route.answers[self.status.get()].add(1);
            route.durations[BUCKETS.iter().take_while(|bound| seconds > **bound).count()].add(1);
            route.microseconds.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            if let Some(line) = &self.line {
                line.write(&route.name, took);
            }
        });
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let encoder = &mut encoder;
        let sum = |count: fn(&Tally) -> &Count| workers.iter().map(|tally| count(tally).read()).sum::<u64>();
        let open = sum(|tally| &tally.open);
        gauge(encoder, "gateway_connections", "Connections of clients that are open", open)?;
        let tunnels = sum(|tally| &tally.tunnels);
        let help = "Connections of clients that have changed their protocol, and are open";
        gauge(encoder, "gateway_tunnels", help, tunnels)?;
        let accepted = sum(|tally| &tally.accepted);
        counter(encoder, "gateway_connections_accepted", "Connections of clients", accepted)?;
        let failed = sum(|tally| &tally.failed_accepts);
        counter(encoder, "gateway_accept_failures", "Connections that could not be accepted", failed)?;
        let panics = sum(|tally| &tally.panics);
        counter(encoder, "gateway_panics", "Requests that met a mistake of the gateway's own", panics)?;
        by_route(encoder, &workers)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    encoder
        .encode_descriptor(name, help, None, MetricType::Gauge)?
        .encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX))
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    encoder
        .encode_descriptor(name, help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, _, f64>(&value, None)
}

fn by_route(encoder: &mut DescriptorEncoder<'_>, workers: &[Arc<Tally>]) -> fmt::Result {
    let routes = sums(workers);
    let help =
        "Requests by route and class of status; none where the connection was closed without an answer";
    let requests = encoder.encode_descriptor("gateway_requests", help, None, MetricType::Counter)?;
    labelled(requests, &routes, "status", &STATUSES, |route| &route.answers)?;
    let help = "Requests of plain routes that got no answer from their service";
    let failures = encoder.encode_descriptor("gateway_upstream_failures", help, None, MetricType::Counter)?;
    labelled(failures, &routes, "kind", &TROUBLES, |route| &route.troubles)?;
    let help = "Retries of plain requests; withheld where the budget had nothing left";
    let retries = encoder.encode_descriptor("gateway_retries", help, None, MetricType::Counter)?;
    labelled(retries, &routes, "outcome", &RETRIES, |route| &route.retries)?;
    let help = "Time from the head of a request to the head of its answer";
    let name = "gateway_request_duration";
    let mut durations = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
    for route in &routes {
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(route.durations.iter().map(Count::read)).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = route.microseconds.read() as f64 / 1e6;
        let labels = [("route", route.name.as_ref())];
        durations.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
    }
    Ok(())
}

fn labelled<const N: usize>(
    mut encoder: MetricEncoder<'_>,
    routes: &[RouteTally],
    label: &str,
    names: &[&str; N],
    counts: impl Fn(&RouteTally) -> &[Count; N],
) -> fmt::Result {
    for route in routes {
        for (name, count) in names.iter().zip(counts(route)) {
            let labels = [("route", route.name.as_ref()), (label, name)];
            encoder.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count.read(), None)?;
        }
    }
    Ok(())
}

/// What all workers have counted, for each route that any of them has.
fn sums(workers: &[Arc<Tally>]) -> Vec<RouteTally> {
    let mut sums: Vec<RouteTally> = Vec::new();
    let mut places = BTreeMap::new();
    let all = workers.iter().map(|tally| tally.routes.lock().unwrap_or_else(PoisonError::into_inner).clone());
    for route in all.collect::<Vec<_>>().iter().flat_map(|routes| routes.iter()) {
        let at = *places.entry(route.name.clone()).or_insert_with(|| {
            sums.push(RouteTally::new(route.name.clone()));
            sums.len() - 1
        });
        let sum = &sums[at];
        let pairs = |sums: &'_ [Count], counts: &'_ [Count]| {
            for (sum, count) in sums.iter().zip(counts) {
                sum.add(count.read());
            }
        };
        pairs(&sum.answers, &route.answers);
        pairs(&sum.troubles, &route.troubles);
        pairs(&sum.retries, &route.retries);
        pairs(&sum.durations, &route.durations);
        sum.microseconds.add(route.microseconds.read());
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn scraped(metrics: &Metrics) -> String {
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn workers_are_summed() {
        let metrics = Metrics::new();
        let names: [Arc<str>; 2] = ["a".into(), "b".into()];
        for worker in 0..2 {
            let tally = metrics.worker();
            let routes = tally.of_routes(names.iter());
            tally.open.add(3);
            tally.open.take(1);
            drop(tally.tunnels.one());
            let measure = Measure::begin(&routes, None);
            measure.route(1);
            measure.trouble(Some(Kind::Broken));
            measure.answered(if worker == 0 { 502 } else { 204 });
            drop(measure);
            drop(Measure::begin(&routes, None));
            Measure::begin(&routes, None).own_path("/problems/refused");
        }
        let text = scraped(&metrics);
        for line in [
            "gateway_connections 4",
            "gateway_tunnels 0",
            "gateway_requests_total{route=\"b\",status=\"5xx\"} 1",
            "gateway_requests_total{route=\"b\",status=\"2xx\"} 1",
            "gateway_requests_total{route=\"a\",status=\"2xx\"} 0",
            "gateway_requests_total{route=\"(none)\",status=\"none\"} 2",
            "gateway_requests_total{route=\"(own)\",status=\"none\"} 2",
            "gateway_upstream_failures_total{route=\"b\",kind=\"broken\"} 2",
            "gateway_request_duration_seconds_count{route=\"b\"} 2",
            "gateway_request_duration_seconds_bucket{le=\"+Inf\",route=\"b\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_route_that_stays_goes_on_counting_whatever_comes_and_goes() {
        let metrics = Metrics::new();
        let tally = metrics.worker();
        let [a, b, c]: [Arc<str>; 3] = ["a".into(), "b".into(), "c".into()];
        let before = tally.of_routes([&a, &b].into_iter());
        let under_way = Measure::begin(&before, None);
        under_way.route(1);
        let after = tally.of_routes([&c, &b].into_iter());
        drop(under_way);
        let later = Measure::begin(&after, None);
        later.route(1);
        drop(later);
        let text = scraped(&metrics);
        assert!(text.contains("gateway_requests_total{route=\"b\",status=\"none\"} 2"), "{text}");
        assert!(text.contains("route=\"c\"") && !text.contains("route=\"a\""), "{text}");
    }
}
