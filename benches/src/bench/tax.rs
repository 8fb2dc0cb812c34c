//! What all-or-nothing costs: a durable transaction against the same calls without one.
//!
//! Both are the same program with the same gateway in front, the same connections behind, and the same bodies. The bare
//! fan-out sends the first operations side by side, then the commits side by side, and answers: it decides nothing,
//! writes nothing, and undoes nothing.

use super::Context;
use crate::gateway::{Gateway, Setup};
use crate::load::World;
use crate::place::Place;
use crate::report::Report;
use crate::rounds::{self, Contestant, Pace, Sample, Spread, ratio, spread};
use crate::table::Table;
use std::fmt::Write;
use std::io;
use std::time::Duration;

pub const NAME: &str = "tax";

const MODES: [&str; 2] = ["two-phase", "tcc"];
const BRANCHES: [usize; 2] = [2, 3];
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// Values of `commit_interval`, in microseconds.
const INTERVALS_US: [u64; 4] = [0, 250, 500, 1000];

/// What the slow disk takes longer for each sync.
const SLOW_US: u64 = 2000;

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let mut world = World::new()?;
    let configuration = configuration(&mut world)?;
    let mut stage = Stage { context, place, world, configuration, report: Report::new(NAME) };
    against_fan_out(&mut stage)?;
    by_interval(&mut stage)?;
    stage.report.write(&context.directory)
}

/// What every measurement here needs.
struct Stage<'a> {
    context: &'a Context,
    place: Place,
    world: World,
    configuration: String,
    report: Report,
}

impl Stage<'_> {
    fn start(&self, name: &str, setup: Setup) -> io::Result<Gateway> {
        let setup = Setup { configuration: self.configuration.clone(), ..setup };
        let directory = self.place.path().join(name);
        Gateway::start(&self.context.program, &setup, &directory, self.context.cores.measured)
    }
}

/// One row of the comparison with the fan-out.
#[derive(Clone, Copy, Debug)]
struct Row {
    mode: &'static str,
    branches: usize,
    clients: usize,
}

impl Row {
    fn all() -> impl Iterator<Item = Row> {
        let kinds = MODES.into_iter().flat_map(|mode| BRANCHES.map(|branches| (mode, branches)));
        kinds.flat_map(|(mode, branches)| CLIENTS.map(|clients| Row { mode, branches, clients }))
    }

    fn subject(self) -> String {
        format!("{}, {} branches", self.mode, self.branches)
    }

    /// What has a target.
    fn is_important(self) -> bool {
        self.clients == 64 && self.branches == 2
    }
}

/// Yes to everything.
const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Three services that agree, and a route for each mode and number of branches.
fn configuration(world: &mut World) -> io::Result<String> {
    let mut text = "services:\n".to_owned();
    // Writing to a string cannot fail.
    for service in ["a", "b", "c"] {
        let address = world.serve(|_| Some(AGREED))?;
        let _ = writeln!(text, "  {service}: {{ endpoints: [\"{address}\"], anonymous: true }}");
    }
    text.push_str("routes:\n");
    for Row { mode, branches, .. } in Row::all().filter(|row| row.clients == CLIENTS[0]) {
        let _ = write!(
            text,
            "  - name: {mode}-{branches}\n    match: {{ method: POST, path: /{mode}/{branches} }}\n    \
             transaction:\n      mode: {mode}\n      branches:\n"
        );
        for service in ["a", "b", "c"].iter().take(branches) {
            let _ = writeln!(
                text,
                "        - {{ name: {service}, service: {service}, path: /shares, \
                 body: {{ account: \"${{request.body.from}}\", amount: \"${{request.body.amount}}\" }} }}"
            );
        }
    }
    Ok(text)
}

fn request(mode: &str, branches: usize) -> Vec<u8> {
    let body = r#"{"from":"DE02120300000000202051","to":"DE02500105170137075030","amount":10.50}"#;
    format!(
        "POST /{mode}/{branches} HTTP/1.1\r\nhost: gateway\r\nuser-agent: bench\r\naccept: */*\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn against_fan_out(stage: &mut Stage<'_>) -> io::Result<()> {
    let wanted = |row: &Row| stage.context.wants(&format!("{}, {} clients", row.subject(), row.clients));
    let rows: Vec<Row> = Row::all().filter(wanted).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let durable = stage.start("durable", Setup::default())?;
    let bare = stage.start("bare", Setup { fan_out: true, ..Setup::default() })?;
    let title = "tax: a durable transaction against the bare fan-out of its calls (median, least to most of all rounds)";
    let mut table = Table::new(
        title,
        &[
            "mode, branches",
            "clients",
            "CPU us durable",
            "CPU us bare",
            "tax",
            "range",
            "tx/s durable",
            "tx/s bare",
            "p50 ms",
            "p99 ms",
            "syncs/tx",
            "gateway busy",
            "load core",
        ],
    );
    for row in rows {
        let request = request(row.mode, row.branches);
        let contestants = [&durable, &bare].map(|gateway| gateway.contestant(&request));
        let syncs = Syncs::before(&durable)?;
        let pace = pace(stage.context, row.is_important());
        let samples = rounds::take(&mut stage.world, &contestants, row.clients, pace, stage.context.cores)?;
        let cell = Cell { durable: &samples[0], bare: &samples[1], syncs: syncs.per_transaction(&durable)? };
        table.row(cell.row(&row.subject(), row.clients));
        cell.report(&row.subject(), row.clients, &mut stage.report);
    }
    println!("{}", table.text(stage.context.markdown));
    Ok(())
}

/// What one row came to.
struct Cell<'a> {
    durable: &'a [Sample],
    bare: &'a [Sample],
    syncs: f64,
}

impl Cell<'_> {
    fn tax(&self) -> Spread {
        ratio(self.durable, self.bare, |sample| sample.cpu_us)
    }

    fn row(&self, subject: &str, clients: usize) -> Vec<String> {
        let tax = self.tax();
        vec![
            subject.to_owned(),
            clients.to_string(),
            format!("{:.1}", spread(self.durable, |s| s.cpu_us).median),
            format!("{:.1}", spread(self.bare, |s| s.cpu_us).median),
            format!("{:.2}", tax.median),
            format!("{:.2} to {:.2}", tax.least, tax.most),
            format!("{:.0}", spread(self.durable, |s| s.per_second).median),
            format!("{:.0}", spread(self.bare, |s| s.per_second).median),
            format!("{:.2}", spread(self.durable, |s| s.p50_us).median / 1000.0),
            format!("{:.2}", spread(self.durable, |s| s.p99_us).median / 1000.0),
            format!("{:.3}", self.syncs),
            busy(self.durable, self.bare),
            format!("{:.0} %", 100.0 * spread(self.durable, |s| s.load_core).median),
        ]
    }

    fn report(&self, subject: &str, clients: usize, report: &mut Report) {
        for (name, samples) in [("durable", self.durable), ("bare", self.bare)] {
            let subject = format!("{subject}, {name}");
            rounds::report(&subject, clients, samples, report);
        }
        let tax = self.tax();
        report.add(subject, clients, ("tax", tax.median, "ratio"));
        report.add(subject, clients, ("tax least", tax.least, "ratio"));
        report.add(subject, clients, ("tax most", tax.most, "ratio"));
        report.add(subject, clients, ("syncs per transaction", self.syncs, "syncs"));
    }
}

fn by_interval(stage: &mut Stage<'_>) -> io::Result<()> {
    const CLIENTS: usize = 64;
    let request = request(MODES[0], 2);
    let mut table = Table::new(
        format!("tax by commit_interval: two-phase, 2 branches, {CLIENTS} clients"),
        &[
            "disk, interval",
            "CPU us",
            "range",
            "syncs/tx",
            "tx/s",
            "p50 ms",
            "p99 ms",
            "gateway busy",
            "load core",
        ],
    );
    let mut any = false;
    for slow_syncs_us in [0, SLOW_US] {
        let disk = if slow_syncs_us == 0 { "this disk" } else { "2 ms slower" };
        let mut gateways = Vec::new();
        for interval in INTERVALS_US {
            let subject = format!("{disk}, {interval} us");
            if stage.context.wants(&subject) {
                let setup = Setup { commit_interval_us: Some(interval), slow_syncs_us, ..Setup::default() };
                let gateway = stage.start(&format!("interval-{slow_syncs_us}-{interval}"), setup)?;
                gateways.push((subject, Syncs::before(&gateway)?, gateway));
            }
        }
        any |= !gateways.is_empty();
        let contestants: Vec<Contestant<'_>> =
            gateways.iter().map(|(.., gateway)| gateway.contestant(&request)).collect();
        let pace = pace(stage.context, false);
        let samples = rounds::take(&mut stage.world, &contestants, CLIENTS, pace, stage.context.cores)?;
        for (samples, (subject, syncs, gateway)) in samples.iter().zip(&gateways) {
            let syncs = syncs.per_transaction(gateway)?;
            table.row(interval_row(subject, samples, syncs));
            rounds::report(subject, CLIENTS, samples, &mut stage.report);
            stage.report.add(subject, CLIENTS, ("syncs per transaction", syncs, "syncs"));
        }
    }
    if any {
        println!("{}", table.text(stage.context.markdown));
    }
    Ok(())
}

fn interval_row(subject: &str, samples: &[Sample], syncs: f64) -> Vec<String> {
    let cpu = spread(samples, |s| s.cpu_us);
    vec![
        subject.to_owned(),
        format!("{:.1}", cpu.median),
        format!("{:.1} to {:.1}", cpu.least, cpu.most),
        format!("{syncs:.3}"),
        format!("{:.0}", spread(samples, |s| s.per_second).median),
        format!("{:.2}", spread(samples, |s| s.p50_us).median / 1000.0),
        format!("{:.2}", spread(samples, |s| s.p99_us).median / 1000.0),
        format!("{:.0} %", 100.0 * spread(samples, |s| s.busy).median),
        format!("{:.0} %", 100.0 * spread(samples, |s| s.load_core).median),
    ]
}

/// How much of their core the gateways used.
fn busy(durable: &[Sample], bare: &[Sample]) -> String {
    let percent = |samples| 100.0 * spread(samples, |s: &Sample| s.busy).median;
    format!("{:.0}, {:.0} %", percent(durable), percent(bare))
}

/// The cell that is a target gets more rounds.
fn pace(context: &Context, important: bool) -> Pace {
    let (rounds, window_ms) = match (context.quick, important) {
        (true, _) => (1, 250),
        (false, true) => (9, 1000),
        (false, false) => (3, 700),
    };
    Pace { rounds, warm: Duration::from_millis(window_ms / 4), window: Duration::from_millis(window_ms) }
}

/// What the gateway had counted before.
struct Syncs {
    syncs: f64,
    transactions: f64,
}

impl Syncs {
    fn before(gateway: &Gateway) -> io::Result<Syncs> {
        Ok(Syncs {
            syncs: gateway.metric("unanimo_journal_syncs_total")?,
            // There is none before the first.
            transactions: gateway.metric("unanimo_transactions_finished_total").unwrap_or(0.0),
        })
    }

    fn per_transaction(&self, gateway: &Gateway) -> io::Result<f64> {
        let now = Syncs::before(gateway)?;
        Ok((now.syncs - self.syncs) / (now.transactions - self.transactions))
    }
}
