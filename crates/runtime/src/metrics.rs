//! What the runtime counts, as metrics with stable names.
//!
//! The workers are asked once for each scrape; nothing is counted twice, and the hot path touches plain numbers only.

use crate::history::{History, Shared};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use unanimo_contract::{Mode, State};
use unanimo_coordinator::Tally;
use unanimo_journal::{Counters, Histogram, Journal};

/// The collector of a runtime: register it once, and refresh it before each scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    tally: Arc<Mutex<Tally>>,
    journal: Journal,
    history: History,
}

impl Metrics {
    /// A collector of this runtime.
    pub fn new(handle: &crate::Handle) -> Metrics {
        Metrics {
            tally: Arc::default(),
            journal: handle.journal().clone(),
            history: handle.history().clone(),
        }
    }

    /// Takes over the workers' present counts.
    pub async fn refresh(&self, handle: &crate::Handle) {
        let tally = handle.tally().await;
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut page = Page { encoder };
        transactions(&mut page, &tally)?;
        calls(&mut page, &tally)?;
        journal(&mut page, self.journal.counters())?;
        history(&mut page, self.history.counters())
    }
}

fn transactions(page: &mut Page<'_>, tally: &Tally) -> fmt::Result {
    // What has not happened yet is 0: a series that appears with its first event hides that event from rates.
    let of = |counts: &BTreeMap<Mode, u64>, mode| counts.get(&mode).copied().unwrap_or_default();
    let modes = |counts| Mode::ALL.map(|mode| ([("mode", mode.as_str())], of(counts, mode)));
    page.counters(
        "transactions_begun",
        "Transactions that have begun, also those whose beginning is not written",
        modes(&tally.begun),
    )?;
    let ends =
        tally.concluded.iter().map(|((mode, end), count)| ([("mode", mode.as_str()), ("end", *end)], *count));
    page.counters("transactions_concluded", "Verdicts, by how they came about", ends)?;
    page.counters(
        "transactions_finished",
        "Transactions whose every branch has heard",
        modes(&tally.finished),
    )?;
    let open = State::ALL
        .map(|state| ([("state", state.as_str())], tally.open.get(&state).copied().unwrap_or_default()));
    page.gauges("transactions_open", "Open transactions", open)?;
    page.gauge("transactions_stuck", "Transactions that a branch keeps from ending", tally.stuck)?;
    let heuristic = tally.heuristic_open;
    page.gauge(
        "transactions_heuristic",
        "Transactions with a branch that ended against the verdict",
        heuristic,
    )?;
    let quarantined = tally.quarantined;
    page.gauge("transactions_quarantined", "Restored transactions that wait for an operator", quarantined)?;
    page.gauge(
        "transactions_remembered",
        "Finished transactions that history has not taken yet",
        tally.remembered,
    )?;
    page.gauge("idempotency_keys", "Idempotency keys that stand for a transaction", tally.keys)?;
    let help = "Idempotency keys that were forgotten before their time, since there were too many";
    page.counter("idempotency_keys_cut_short", help, tally.keys_cut_short)?;
    page.counter("branches_heuristic", "Branches that ended against the verdict", tally.heuristic)?;
    page.gauge("transactions_recovered", "Open transactions that this start has found", tally.recovered)?;
    page.gauge("transactions_recovering", "Those of them that have not ended yet", tally.recovering)?;
    let turned = tally.turned_away.iter().map(|(problem, count)| ([("problem", *problem)], *count));
    page.counters("submissions_turned_away", "Submissions that began nothing", turned)
}

fn calls(page: &mut Page<'_>, tally: &Tally) -> fmt::Result {
    let answers = tally.answers.iter().map(|((operation, outcome), count)| {
        ([("operation", operation.as_str()), ("outcome", outcome.as_str())], *count)
    });
    page.counters("calls_answered", "Answers of participants", answers)?;
    page.counter("calls_sent", "Calls to participants", tally.calls)?;
    page.counter("calls_repeated", "Calls that were not a first attempt", tally.retries)?;
    page.counter("calls_unwaited", "Calls that nobody waited for: recovery's", tally.unwaited)?;
    page.counter("calls_held", "Repetitions that had to wait for a retry budget", tally.retries_held)
}

fn journal(page: &mut Page<'_>, counters: &Counters) -> fmt::Result {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    page.counter("journal_appends", "Decisions that were appended", read(&counters.appends))?;
    page.counter("journal_forced_records", "Records that had to be durable", read(&counters.forced))?;
    page.counter("journal_batches", "Batches that are durable", read(&counters.batches))?;
    page.counter("journal_syncs", "Syncs of the disk", read(&counters.syncs))?;
    let written = ConstCounter::new(read(&counters.bytes));
    let help = "Bytes of durable batches";
    let unit = Some(&Unit::Bytes);
    written.encode(page.encoder.encode_descriptor("journal_written", help, unit, MetricType::Counter)?)?;
    let durations = Scaled {
        unit: Unit::Seconds,
        per_unit: 1e6,
        sum: read(&counters.commit_micros),
        buckets: &counters.commit_times,
    };
    page.histogram("journal_commit", "Time to write and sync a batch", durations)?;
    let sizes = Scaled {
        unit: Unit::Other("records".to_owned()),
        per_unit: 1.0,
        sum: read(&counters.forced),
        buckets: &counters.batch_sizes,
    };
    page.histogram("journal_batch", "Forced records of a batch", sizes)
}

fn history(page: &mut Page<'_>, history: &Shared) -> fmt::Result {
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    page.gauge("history_transactions", "Transactions that history keeps", read(&history.transactions))?;
    page.gauge("history_keys", "Idempotency keys that history keeps", read(&history.keys))?;
    let size = level(read(&history.bytes));
    let (help, unit) = ("Bytes of history's file that hold something", Some(&Unit::Bytes));
    size.encode(page.encoder.encode_descriptor("history_size", help, unit, MetricType::Gauge)?)?;
    page.counter("history_taken", "Transactions that history has taken", read(&history.taken))?;
    page.counter("history_pruned", "Transactions that history has pruned", read(&history.pruned))?;
    page.counter("history_commits", "Commits of history", read(&history.commits))?;
    page.gauge("history_behind_batches", "Durable batches that history has not read", read(&history.behind))?;
    let failing = u64::from(history.failing.load(Relaxed));
    page.gauge("history_failing", "1 while history cannot be written", failing)?;
    page.counter("history_set_aside", "Damaged histories that were set aside", read(&history.set_aside))
}

/// The labels of a metric that has none.
type NoLabels = [(&'static str, &'static str); 0];

fn level(count: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
}

/// What a histogram shows, and in which unit.
struct Scaled<'a> {
    unit: Unit,
    /// How many of what was counted make one of the unit.
    per_unit: f64,
    sum: u64,
    buckets: &'a Histogram,
}

/// A page that is being written.
struct Page<'a> {
    encoder: DescriptorEncoder<'a>,
}

impl Page<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        ConstCounter::new(count).encode(self.encoder.encode_descriptor(
            name,
            help,
            None,
            MetricType::Counter,
        )?)
    }

    fn gauge(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        level(count).encode(self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counts {
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        counts: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, count) in counts {
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX))
                .encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, values: Scaled<'_>) -> fmt::Result {
        let Scaled { unit, per_unit, sum, buckets } = values;
        let counts = buckets.counts();
        // Bucket n counts values below 2ⁿ, that is up to 2ⁿ − 1; the last one all that are larger.
        let bounded = counts.iter().enumerate().map(|(at, count)| match at + 1 {
            Histogram::BUCKETS => (f64::INFINITY, *count),
            _ => (((1u64 << at) as f64 - 1.0) / per_unit, *count),
        });
        let bounded: Vec<(f64, u64)> = bounded.collect();
        let mut family = self.encoder.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        family.encode_histogram::<NoLabels>(sum as f64 / per_unit, counts.iter().sum(), &bounded, None)
    }
}
