//! More than it can do: requests come at rates from half to three times of what the gateway can do, whether or not those
//! before them were answered, and one participant says nothing for ten seconds meanwhile.
//!
//! The participants are on the gateway's core, so that whoever offers has the other one alone, and can.
//!
//! What counts is goodput: transactions that are committed and answered within two seconds of their moment.

use super::Context;
use super::bad_participants::{capacity, request, route};
use crate::gateway::{Gateway, Setup};
use crate::load::{Behaviour, Crowd, Offer, Second, Target, World, sum};
use crate::place::Place;
use crate::report::Report;
use crate::table::Table;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::time::Duration;

pub const NAME: &str = "overload";

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

const STALLS: u8 = 1;

fn agrees(_mood: u8, _target: Target<'_>) -> Option<&'static [u8]> {
    Some(AGREED)
}

fn may_stall(mood: u8, _target: Target<'_>) -> Option<&'static [u8]> {
    (mood != STALLS).then_some(AGREED)
}

const SERVICES: [Behaviour; 2] = [agrees, may_stall];

/// After this, a client has no use for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A while of one rate.
struct Phase {
    name: &'static str,
    /// In parts of capacity.
    offered: f64,
    seconds: usize,
    /// Whether one participant says nothing.
    stalls: bool,
}

const PHASES: [Phase; 7] = [
    Phase { name: "half", offered: 0.5, seconds: 10, stalls: false },
    Phase { name: "all of it", offered: 1.0, seconds: 10, stalls: false },
    Phase { name: "twice", offered: 2.0, seconds: 15, stalls: false },
    Phase { name: "three times", offered: 3.0, seconds: 15, stalls: false },
    Phase { name: "twice, one stalls", offered: 2.0, seconds: 10, stalls: true },
    Phase { name: "twice again", offered: 2.0, seconds: 15, stalls: false },
    Phase { name: "half again", offered: 0.5, seconds: 40, stalls: false },
];

/// What the last phase must come back to: this share of what is offered, from a second on that is not too late.
const BACK: f64 = 0.98;

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let mut world = World::new()?;
    let crowd = Crowd::start_on(&SERVICES, context.cores.measured)?;
    let setup = Setup { configuration: configuration(&crowd), ..Setup::default() };
    let gateway = Gateway::start(&context.program, &setup, place.path(), context.cores.measured)?;
    let capacity = capacity(&mut world, &gateway, context.quick)?;
    let phases: Vec<(&Phase, Range<usize>)> = phases(context.quick);
    let rates: Vec<f64> = phases
        .iter()
        .flat_map(|(phase, seconds)| seconds.clone().map(|_| phase.offered * capacity))
        .collect();
    let counts = || -> io::Result<[f64; 2]> {
        Ok([gateway.metric("unanimo_calls_sent_total")?, gateway.metric("unanimo_transactions_begun_total")?])
    };
    let [calls, begun] = counts()?;
    let good = request("/good");
    let offer = Offer { target: gateway.address, requests: &[&good], rates: &rates, patience: PATIENCE };
    let seen = world.offer(&offer, |second| {
        let phase = phases.iter().find(|(_, seconds)| seconds.contains(&second));
        crowd.turn(u8::from(phase.is_some_and(|(phase, _)| phase.stalls)));
    })?;
    let [calls_after, begun_after] = counts()?;
    // Two branches are asked twice each.
    let amplified = (calls_after - calls) / (begun_after - begun) / 4.0;
    let seconds = &seen[0];
    let mut table = Table::new(
        format!("overload: {capacity:.0} transactions/s with 64 clients are all of it"),
        &[
            "offered",
            "requests/s",
            "goodput/s",
            "of capacity",
            "503/s",
            "failed or late/s",
            "left late/s",
            "p50 ms",
            "p99 ms",
        ],
    );
    for (phase, at) in &phases {
        table.row(row(phase, &seconds[at.clone()], capacity));
    }
    println!("{}", table.text(context.markdown));
    let closing = Closing::of(&phases, seconds, amplified);
    println!("{}", closing.table().text(context.markdown));
    let mut report = Report::new(NAME);
    report.add("capacity", 64, ("throughput", capacity, "transactions/s"));
    report.add("twice", 0, ("goodput of peak", closing.goodput, "ratio"));
    report.add("after", 0, ("back after", closing.back.unwrap_or(f64::NAN), "s"));
    report.add("calls", 0, ("calls per transaction", amplified, "ratio"));
    report.write(&context.directory)
}

/// Which seconds each phase has.
fn phases(quick: bool) -> Vec<(&'static Phase, Range<usize>)> {
    let mut begin = 0;
    let with_seconds = |phase: &'static Phase| {
        let end = begin + if quick { 1 } else { phase.seconds };
        let seconds = begin..end;
        begin = end;
        (phase, seconds)
    };
    PHASES.iter().map(with_seconds).collect()
}

fn row(phase: &Phase, seconds: &[Second], capacity: f64) -> Vec<String> {
    let (all, lasted) = (sum(seconds), seconds.len() as f64);
    vec![
        phase.name.to_owned(),
        format!("{:.0}", all.offered as f64 / lasted),
        format!("{:.0}", all.good as f64 / lasted),
        format!("{:.2}", all.good as f64 / lasted / capacity),
        format!("{:.0}", all.shed as f64 / lasted),
        format!("{:.0}", all.other as f64 / lasted),
        format!("{:.0}", all.tardy as f64 / lasted),
        format!("{:.1}", all.latencies.quantile_us(0.5) / 1000.0),
        format!("{:.1}", all.latencies.quantile_us(0.99) / 1000.0),
    ]
}

/// How it came out.
struct Closing {
    /// Goodput at twice of capacity, of the peak of all phases.
    goodput: f64,
    /// Seconds after the stall until all but a few of what is offered at half of capacity come through; `None` if never.
    back: Option<f64>,
    calls: f64,
}

impl Closing {
    fn of(phases: &[(&Phase, Range<usize>)], seconds: &[Second], calls: f64) -> Closing {
        let goodput = |at: &Range<usize>| {
            let all = sum(&seconds[at.clone()]);
            all.good as f64 / at.len() as f64
        };
        let by_name = |name| phases.iter().find(|(phase, _)| phase.name == name).map(|(_, at)| at.clone());
        let peak = phases.iter().map(|(_, at)| goodput(at)).fold(1.0, f64::max);
        let twice = by_name("twice").map_or(f64::NAN, |at| goodput(&at));
        let stalled = by_name("twice, one stalls").map_or(0, |at| at.end);
        let is_back = |second: &Second| second.good as f64 >= BACK * second.offered as f64;
        let last = by_name("half again").unwrap_or_default();
        // The first second from which on all are well.
        let first = last.clone().rev().take_while(|at| seconds.get(*at).is_some_and(is_back)).last();
        Closing { goodput: twice / peak, back: first.map(|at| (at - stalled) as f64), calls }
    }

    fn table(&self) -> Table {
        let mut table = Table::new("overload, in short", &["what", "aim", "reached"]);
        let goodput = format!("{:.2}", self.goodput);
        table.row(vec!["goodput at twice of capacity, of the peak".into(), "0.90 or more".into(), goodput]);
        let back = self.back.map_or("never".to_owned(), |seconds| format!("{seconds:.0} s"));
        table.row(vec!["back after the stall (half comes 15 s after)".into(), "30 s or less".into(), back]);
        table.row(vec![
            "calls for each transaction, of 4".into(),
            "1.10 or less".into(),
            format!("{:.3}", self.calls),
        ]);
        table
    }
}

/// Two participants, of which the second may say nothing.
fn configuration(crowd: &Crowd) -> String {
    let mut text = "services:\n".to_owned();
    for (name, address) in ["a", "b"].iter().zip(&crowd.addresses) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name}: {{ endpoints: [\"{address}\"], anonymous: true }}");
    }
    text.push_str("routes:\n");
    text.push_str(&route("good", "b"));
    text
}
