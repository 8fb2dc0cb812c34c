//! Against dtmrs, a transaction manager with an HTTP contract of its own, on each of the stores that it can be given.
//!
//! The same saga of two branches and the same tcc of two, one load, and one participant that agrees at once. dtmrs says
//! when a transaction is taken, not when it has ended, and nobody asks it: a transaction of its counts when its last branch
//! was called, one of ours when the client has its answer. Nobody is pinned: every manager has all cores, as it comes, and
//! shares them with its store and the load. CPU is that of all processes of manager and store.

mod crash;
mod errand;
mod manager;
mod store;

use super::Context;
use crate::cpu;
use crate::load::{Calls, Errands, Moment, World};
use crate::place::Place;
use crate::process;
use crate::report::Report;
use crate::rounds::Spread;
use crate::table::Table;
use errand::Mode;
use manager::{Kind, Manager};
use std::io;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "peers";

const CLIENTS: [usize; 4] = [1, 16, 64, 256];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    process::unpin()?;
    let mut world = World::new()?;
    let (participant, calls) = errand::participant(&mut world)?;
    let mut managers = Vec::new();
    for kind in Kind::all() {
        let mut manager = Manager::new(kind, context, participant, place.path())?;
        manager.start(false)?;
        managers.push(manager);
    }
    let mut stage = Stage { context, world, calls, managers, next: 1, report: Report::new(NAME) };
    println!("{}\n", stage.peer());
    for mode in Mode::ALL {
        let cells = stage.throughput(mode)?;
        stage.targets(mode, &cells);
    }
    stage.losses()?;
    process::pin(context.cores.load)?;
    stage.report.write(&context.directory)
}

/// Everything that takes part.
struct Stage<'a> {
    context: &'a Context,
    world: World,
    calls: Calls,
    managers: Vec<Manager>,
    /// The number of the next transaction: no two have the same.
    next: u64,
    report: Report,
}

/// What one round of one manager came to.
#[derive(Clone, Copy)]
struct Sample {
    per_second: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    /// Those that failed, and those that did not end.
    failed: f64,
}

/// All rounds of one manager with one number of clients.
struct Cell {
    kind: Kind,
    clients: usize,
    samples: Vec<Sample>,
}

impl Cell {
    fn of(&self, quantity: fn(&Sample) -> f64) -> Spread {
        Spread::of(self.samples.iter().map(quantity))
    }
}

impl Stage<'_> {
    /// Which program it is measured against, by the directory that it was installed in.
    fn peer(&self) -> String {
        let directory = self.context.dtmrs.as_deref().and_then(|path| path.parent()?.parent()?.file_name());
        format!("against {}", directory.unwrap_or_default().to_string_lossy())
    }

    fn throughput(&mut self, mode: Mode) -> io::Result<Vec<Cell>> {
        let context = self.context;
        let title = format!(
            "peers: {} with two branches (median of the rounds, least to most of the rate; CPU of manager and store)",
            mode.name()
        );
        let columns =
            ["manager", "clients", "tx/s", "range", "CPU us", "p50 ms", "p99 ms", "failed", "durable"];
        let mut table = Table::new(title, &columns);
        let mut cells = Vec::new();
        let wanted = |clients: &usize| {
            let in_time = !context.quick || *clients == CLIENTS[1];
            in_time && context.wants(&format!("{}, {clients} clients", mode.name()))
        };
        for clients in CLIENTS.into_iter().filter(wanted) {
            let of_these = self.rounds(mode, clients)?;
            for cell in &of_these {
                table.row(row(cell));
                self.note(mode, cell);
            }
            cells.extend(of_these);
        }
        println!("{}", table.text(context.markdown));
        Ok(cells)
    }

    /// Lets the managers take turns.
    fn rounds(&mut self, mode: Mode, clients: usize) -> io::Result<Vec<Cell>> {
        let kinds = self.managers.iter().map(|manager| manager.kind);
        let mut cells: Vec<Cell> = kinds.map(|kind| Cell { kind, clients, samples: Vec::new() }).collect();
        let rounds = if self.context.quick { 1 } else { 3 };
        for _ in 0..rounds {
            for (at, cell) in cells.iter_mut().enumerate() {
                cell.samples.push(self.one(mode, at, clients)?);
            }
        }
        Ok(cells)
    }

    fn one(&mut self, mode: Mode, at: usize, clients: usize) -> io::Result<Sample> {
        let manager = &self.managers[at];
        let (errand, pids) = (manager.errand(mode, true)?, manager.pids());
        let window = Duration::from_millis(if self.context.quick { 1000 } else { 700 });
        let errands = Errands { errand: &errand, clients, first: self.next, warm: window / 4, window };
        let (mut before, mut after) = (Ok(0), Ok(0));
        let run = self.world.run_errands(&errands, &self.calls, |moment| match moment {
            Moment::Begins => before = cpu::of_trees(&pids),
            Moment::Ends => after = cpu::of_trees(&pids),
        })?;
        self.next = run.next;
        let name = manager.kind.name();
        if run.ended == 0 {
            return Err(io::Error::other(format!("{name} has not ended a single {}", mode.name())));
        }
        Ok(Sample {
            per_second: run.ended as f64 / run.seconds,
            cpu_us: (after?.saturating_sub(before?)) as f64 / 1000.0 / run.ended as f64,
            p50_us: run.latencies.quantile_us(0.5),
            p99_us: run.latencies.quantile_us(0.99),
            failed: (run.failed + run.unfinished) as f64,
        })
    }

    fn note(&mut self, mode: Mode, cell: &Cell) {
        let subject = format!("{}, {}", mode.name(), cell.kind.name());
        let report = &mut self.report;
        report.add(
            &subject,
            cell.clients,
            ("throughput", cell.of(|s| s.per_second).median, "transactions/s"),
        );
        report.add(&subject, cell.clients, ("CPU", cell.of(|s| s.cpu_us).median, "us per transaction"));
        report.add(&subject, cell.clients, ("p50", cell.of(|s| s.p50_us).median, "us"));
        report.add(&subject, cell.clients, ("p99", cell.of(|s| s.p99_us).median, "us"));
    }

    /// Prints how ours stands against what it is to reach.
    fn targets(&mut self, mode: Mode, cells: &[Cell]) {
        let mut table = Table::new(
            format!("peers: {}, ours against the best of theirs", mode.name()),
            &["what", "aim", "reached", "against"],
        );
        for target in targets() {
            let at = |cell: &&Cell| cell.clients == target.clients;
            let Some(ours) = cells.iter().filter(at).find(|cell| cell.kind == Kind::Unanimo) else {
                continue;
            };
            let rivals = cells.iter().filter(at).filter(|cell| match cell.kind {
                Kind::Unanimo => false,
                Kind::Dtmrs(store) => (target.among)(store),
            });
            let by = |cell: &&Cell| (target.chosen_by)(cell);
            let Some(rival) = rivals.min_by(|a, b| by(a).total_cmp(&by(b))) else { continue };
            let reached = (target.ratio)(ours, rival);
            let name = rival.kind.name();
            table.row(vec![target.what.into(), target.aim.into(), format!("{reached:.2}"), name.into()]);
            self.report.add(
                &format!("{}, {}", mode.name(), target.what),
                target.clients,
                ("ratio", reached, "ratio"),
            );
        }
        if !table.is_empty() {
            println!("{}", table.text(self.context.markdown));
        }
    }

    fn losses(&mut self) -> io::Result<()> {
        let mut table = Table::new(
            "peers: after SIGKILL of manager and store under load (acknowledged transactions)",
            &["manager", "acknowledged", "open at the kill", "never ended", "last end after s"],
        );
        let modes = Mode::ALL.into_iter().filter(|mode| !self.context.quick || *mode == Mode::Tcc);
        for mode in modes {
            for manager in &mut self.managers {
                let name = format!("{}, {}", manager.kind.name(), mode.name());
                if !self.context.wants(&name) {
                    continue;
                }
                let loss =
                    crash::take(self.context, &mut self.world, manager, &self.calls, (mode, self.next))?;
                // More than any run begins.
                self.next += 10_000_000;
                table.row(vec![
                    name.clone(),
                    loss.acknowledged.to_string(),
                    loss.open.to_string(),
                    loss.lost.to_string(),
                    format!("{:.1}", loss.recovered.as_secs_f64()),
                ]);
                self.report.add(&name, 64, ("acknowledged, never ended", loss.lost as f64, "transactions"));
            }
        }
        println!("{}", table.text(self.context.markdown));
        Ok(())
    }
}

fn row(cell: &Cell) -> Vec<String> {
    let rate = cell.of(|s| s.per_second);
    let failed: f64 = cell.samples.iter().map(|sample| sample.failed).sum();
    vec![
        cell.kind.name().to_owned(),
        cell.clients.to_string(),
        format!("{:.0}", rate.median),
        format!("{:.0} to {:.0}", rate.least, rate.most),
        format!("{:.0}", cell.of(|s| s.cpu_us).median),
        format!("{:.2}", cell.of(|s| s.p50_us).median / 1000.0),
        format!("{:.2}", cell.of(|s| s.p99_us).median / 1000.0),
        format!("{failed:.0}"),
        if cell.kind.is_durable() { "yes" } else { "no" }.to_owned(),
    ]
}

/// What ours is to reach.
struct Target {
    what: &'static str,
    aim: &'static str,
    clients: usize,
    /// Which stores it is measured against: of these, the one with the least of `chosen_by`.
    among: fn(Store) -> bool,
    chosen_by: fn(&Cell) -> f64,
    ratio: fn(&Cell, &Cell) -> f64,
}

fn targets() -> [Target; 4] {
    let faster: fn(&Cell, &Cell) -> f64 =
        |ours, theirs| ours.of(|s| s.per_second).median / theirs.of(|s| s.per_second).median;
    let fastest: fn(&Cell) -> f64 = |cell| -cell.of(|s| s.per_second).median;
    let cheapest: fn(&Cell) -> f64 = |cell| cell.of(|s| s.cpu_us).median;
    let cheaper: fn(&Cell, &Cell) -> f64 =
        |ours, theirs| ours.of(|s| s.cpu_us).median / theirs.of(|s| s.cpu_us).median;
    let sooner: fn(&Cell, &Cell) -> f64 =
        |ours, theirs| ours.of(|s| s.p99_us).median / theirs.of(|s| s.p99_us).median;
    [
        Target {
            what: "throughput, 64 clients, fastest store",
            aim: "2 or more, better 3",
            clients: 64,
            among: |_| true,
            chosen_by: fastest,
            ratio: faster,
        },
        Target {
            what: "throughput, 64 clients, fastest SQL store",
            aim: "12 or more",
            clients: 64,
            among: Store::is_sql,
            chosen_by: fastest,
            ratio: faster,
        },
        Target {
            what: "CPU, 64 clients, cheapest durable store",
            aim: "0.25 or less",
            clients: 64,
            among: Store::is_durable,
            chosen_by: cheapest,
            ratio: cheaper,
        },
        Target {
            what: "p99, 16 clients, cheapest durable store",
            aim: "0.33 or less",
            clients: 16,
            among: Store::is_durable,
            chosen_by: cheapest,
            ratio: sooner,
        },
    ]
}
