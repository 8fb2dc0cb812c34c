//! What stays: memory and disk after each tenth of a great number of transactions, which must not grow with them.

use super::Context;
use super::bad_participants::{request, route};
use crate::clock;
use crate::cpu::resident_bytes;
use crate::gateway::{Gateway, Setup};
use crate::load::World;
use crate::place::Place;
use crate::report::Report;
use crate::table::Table;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

pub const NAME: &str = "soak";

const CLIENTS: usize = 64;

/// It ends after this, with as many as were done.
const LONGEST: Duration = Duration::from_secs(285);

/// Parts of a tenth: so often it is looked whether it lasts too long.
const PARTS: u64 = 20;

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let mut world = World::new()?;
    let [a, b] = [world.serve(|_| Some(AGREED))?, world.serve(|_| Some(AGREED))?];
    let configuration = format!(
        "services:\n  a: {{ endpoints: [\"{a}\"], anonymous: true }}\n  \
         b: {{ endpoints: [\"{b}\"], anonymous: true }}\nroutes:\n{}",
        route("good", "b")
    );
    let setup = Setup { configuration, ..Setup::default() };
    let gateway = Gateway::start(&context.program, &setup, place.path(), context.cores.measured)?;
    let transactions = context.transactions.unwrap_or(if context.quick { 2000 } else { 1_000_000 });
    let part = (transactions / 10 / PARTS).max(1);
    let mut table = Table::new(
        format!("soak: {transactions} transactions of two branches"),
        &["done", "transactions/s", "resident MB", "journal MB", "history MB"],
    );
    let mut report = Report::new(NAME);
    let (begin, request) = (clock::now(), request("/good"));
    let mut done = 0;
    let mut resident = Vec::new();
    'tenths: for _ in 0..10 {
        let tenth = clock::now();
        let before = done;
        for _ in 0..PARTS {
            if clock::now() - begin > LONGEST {
                println!("soak: it took too long, and was ended after {done}\n");
                break 'tenths;
            }
            let failed = world.ask_times(gateway.address, &request, CLIENTS, part)?;
            if failed > 0 {
                return Err(io::Error::other(format!(
                    "{failed} of {part} transactions failed, after {done}"
                )));
            }
            done += part;
        }
        let rate = (done - before) as f64 / (clock::now() - tenth).as_secs_f64();
        let held = Held::of(gateway.pid(), place.path())?;
        table.row(vec![
            done.to_string(),
            format!("{rate:.0}"),
            format!("{:.1}", held.resident),
            format!("{:.1}", held.journal),
            format!("{:.1}", held.history),
        ]);
        let at = done.to_string();
        report.add(&at, CLIENTS, ("resident", held.resident, "MB"));
        report.add(&at, CLIENTS, ("journal", held.journal, "MB"));
        report.add(&at, CLIENTS, ("history", held.history, "MB"));
        resident.push(held.resident);
    }
    println!("{}", table.text(context.markdown));
    if let [_, second, .., last] = resident.as_slice() {
        let mut closing = Table::new("soak, in short", &["what", "aim", "reached"]);
        let growth = format!("{:.2}", last / second);
        closing.row(vec!["resident at the end, of that after two tenths".into(), "about 1".into(), growth]);
        println!("{}", closing.text(context.markdown));
    }
    report.write(&context.directory)
}

/// What the gateway takes, in MB.
struct Held {
    resident: f64,
    journal: f64,
    history: f64,
}

impl Held {
    fn of(pid: u32, directory: &Path) -> io::Result<Held> {
        let mut held = Held { resident: resident_bytes(pid)? as f64 / 1e6, journal: 0.0, history: 0.0 };
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                // A segment may have gone since.
                let Ok(metadata) = entry.metadata() else { continue };
                let megabytes = metadata.len() as f64 / 1e6;
                match () {
                    () if metadata.is_dir() => directories.push(entry.path()),
                    () if entry.file_name().to_string_lossy().contains("history") => {
                        held.history += megabytes
                    }
                    () => held.journal += megabytes,
                }
            }
        }
        Ok(held)
    }
}
