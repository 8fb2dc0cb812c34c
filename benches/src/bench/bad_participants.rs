//! What the others feel of participants that behave badly: one that never answers, one that answers what is no HTTP, and
//! one that answers a byte a second.
//!
//! Requests come at a fixed rate, whether or not those before them were answered. In every second window three in ten of
//! them are for routes with a bad participant; in the windows between, for the same number of good ones. What is compared
//! is the time of the other seven.

use super::Context;
use crate::cpu::resident_bytes;
use crate::gateway::{Gateway, Setup};
use crate::load::{Dripping, Offer, Run, Second, World, sum};
use crate::place::Place;
use crate::report::Report;
use crate::rounds::Spread;
use crate::table::Table;
use std::fmt::Write;
use std::io;
use std::time::Duration;

pub const NAME: &str = "bad-participants";

/// The share of what it can do that the gateway is asked for.
const LOAD: f64 = 0.4;

const GOOD: usize = 7;

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const GARBAGE: &[u8] = b"\x16\x03\x01 what? \xff\xfe\r\n<html>\r\n\r\n{\"outcome\":\"done\"}";

const BAD: [&str; 3] = ["hangs", "garbles", "drips"];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let (rounds, seconds) = if context.quick { (1, 1) } else { (5, 8) };
    let mut world = World::new()?;
    let dripping = Dripping::start()?;
    let setup = Setup { configuration: configuration(&mut world, &dripping)?, ..Setup::default() };
    let gateway = Gateway::start(&context.program, &setup, place.path(), context.cores.measured)?;
    let resident = || resident_bytes(gateway.pid()).map(|bytes| bytes as f64 / 1e6);
    let capacity = capacity(&mut world, &gateway, context.quick)?;
    let rate = (capacity * LOAD).max(20.0);
    let good = request("/good");
    let bad = BAD.map(|name| request(&format!("/{name}")));
    let mixes = [
        vec![good.as_slice(); 10],
        [vec![good.as_slice(); GOOD], bad.iter().map(Vec::as_slice).collect()].concat(),
    ];
    let mut table = Table::new(
        format!(
            "bad-participants: {rate:.0} requests/s, {:.0} % of capacity, {seconds} s a window",
            100.0 * LOAD
        ),
        &["window", "good p50 ms", "good p99 ms", "good failed", "bad ones", "of them 200", "resident MB"],
    );
    let (mut ratios, mut p99s) = (Vec::new(), [Vec::new(), Vec::new()]);
    let before = resident()?;
    let mut most: f64 = before;
    for _ in 0..rounds {
        for (at, mix) in mixes.iter().enumerate() {
            let rates = vec![rate; seconds];
            let offer = Offer {
                target: gateway.address,
                requests: mix,
                rates: &rates,
                patience: Duration::from_secs(2),
            };
            let mut peak: f64 = 0.0;
            let seen = world.offer(&offer, |_| peak = resident().map_or(peak, |now| now.max(peak)))?;
            most = most.max(peak).max(resident()?);
            let others = sum(seen.iter().take(GOOD).flatten());
            let bad = sum(seen.iter().skip(GOOD).flatten());
            p99s[at].push(others.latencies.quantile_us(0.99));
            table.row(row(["all are good", "three are bad"][at], &others, &bad, peak.max(resident()?)));
        }
        ratios
            .push(p99s[1].last().copied().unwrap_or(f64::NAN) / p99s[0].last().copied().unwrap_or(f64::NAN));
    }
    println!("{}", table.text(context.markdown));
    let left = gateway.metric("unanimo_transactions_open")?;
    close(context, &Spread::of(ratios), [before, most], left, p99s)
}

/// Prints how it came out, and writes it down. `left` are those that the bad ones have not heard the end of.
fn close(
    context: &Context,
    ratio: &Spread,
    [before, most]: [f64; 2],
    left: f64,
    p99s: [Vec<f64>; 2],
) -> io::Result<()> {
    let mut closing = Table::new("bad-participants, in short", &["what", "aim", "reached", "range"]);
    closing.row(vec![
        "p99 of the others".into(),
        "1.1 or less".into(),
        format!("{:.2}", ratio.median),
        format!("{:.2} to {:.2}", ratio.least, ratio.most),
    ]);
    closing.row(vec![
        "resident MB at most".into(),
        "bounded".into(),
        format!("{most:.1}"),
        format!("from {before:.1}"),
    ]);
    closing.row(vec!["open at the end".into(), "bounded".into(), format!("{left:.0}"), String::new()]);
    println!("{}", closing.text(context.markdown));
    let mut report = Report::new(NAME);
    report.add("others", 0, ("p99 ratio", ratio.median, "ratio"));
    for (samples, name) in p99s.into_iter().zip(["p99 of good ones among good", "p99 of good ones among bad"])
    {
        report.add("others", 0, (name, Spread::of(samples).median, "us"));
    }
    report.add("gateway", 0, ("resident before", before, "MB"));
    report.add("gateway", 0, ("resident at most", most, "MB"));
    report.write(&context.directory)
}

/// Good transactions a second, as many as it can do with 64 clients.
pub fn capacity(world: &mut World, gateway: &Gateway, quick: bool) -> io::Result<f64> {
    let request = request("/good");
    let window = Duration::from_millis(if quick { 200 } else { 3000 });
    let run = Run { target: gateway.address, request: &request, clients: 64, warm: window / 4, window };
    let outcome = world.run(&run, |_| {})?;
    Ok(outcome.answered as f64 / outcome.seconds)
}

fn row(name: &str, others: &Second, bad: &Second, resident: f64) -> Vec<String> {
    vec![
        name.to_owned(),
        format!("{:.2}", others.latencies.quantile_us(0.5) / 1000.0),
        format!("{:.2}", others.latencies.quantile_us(0.99) / 1000.0),
        (others.shed + others.other).to_string(),
        bad.offered.to_string(),
        bad.good.to_string(),
        format!("{resident:.1}"),
    ]
}

/// A route with two good participants, and one with each of the bad ones beside a good one.
fn configuration(world: &mut World, dripping: &Dripping) -> io::Result<String> {
    let addresses = [
        ("a", world.serve(|_| Some(AGREED))?),
        ("b", world.serve(|_| Some(AGREED))?),
        ("hangs", world.serve(|_| None)?),
        ("garbles", world.serve(|_| Some(GARBAGE))?),
        ("drips", dripping.address),
    ];
    let mut text = "services:\n".to_owned();
    // Writing to a string cannot fail.
    for (name, address) in addresses {
        let _ = writeln!(text, "  {name}: {{ endpoints: [\"{address}\"], anonymous: true }}");
    }
    text.push_str("routes:\n");
    for (name, second) in [("good", "b"), ("hangs", "hangs"), ("garbles", "garbles"), ("drips", "drips")] {
        text.push_str(&route(name, second));
    }
    Ok(text)
}

/// A route with the service `a` and another one.
pub fn route(name: &str, second: &str) -> String {
    let mut text = format!(
        "  - name: {name}\n    match: {{ method: POST, path: /{name} }}\n    transaction:\n      \
         mode: two-phase\n      deadline: 2s\n      branches:\n"
    );
    for service in ["a", second] {
        let _ = writeln!(
            text,
            "        - {{ name: {service}, service: {service}, path: /shares, \
             body: {{ amount: \"${{request.body.amount}}\" }} }}"
        );
    }
    text
}

/// A request for such a route.
pub fn request(path: &str) -> Vec<u8> {
    let body = r#"{"amount":10.50}"#;
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
