//! How large the history is, and how long an operator's lists take where it holds a million transactions.
//!
//! A gateway finishes some thousands, which the history's file is then filled up with: copies of their rows under ids of
//! their own, each round later than the one before. What is measured is the admin API of a gateway that starts with it.

use super::Context;
use super::bad_participants::route;
use super::recovery::within;
use crate::clock;
use crate::gateway::{Gateway, Setup};
use crate::load::World;
use crate::place::Place;
use crate::report::Report;
use crate::table::Table;
use rusqlite::Connection;
use std::io;
use std::path::Path;
use std::time::Duration;

pub const NAME: &str = "history";

const CLIENTS: usize = 64;

/// How often each list is asked for.
const TIMES: usize = 20;

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

/// Each filter, and some of them together. `rare` is the route of one in a hundred.
const LISTS: [(&str, &str); 13] = [
    ("none", ""),
    ("state", "&state=committed"),
    ("state nobody is in", "&state=rolled-back"),
    ("mode", "&mode=two-phase"),
    ("route", "&route=common"),
    ("route, rare", "&route=rare"),
    ("service", "&service=b"),
    ("age, the oldest", "&began_before_unix_ms=OLD"),
    ("age and route, rare", "&began_before_unix_ms=OLD&route=rare"),
    ("key", "&route=keyed&key=the-one"),
    ("text: in names", "&text=rar"),
    ("text: an id's beginning", "&text=0"),
    ("flag nobody has", "&flag=heuristic"),
];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let (real, rows) = if context.quick { (400, 2000) } else { (20_000, 1_000_000) };
    let mut world = World::new()?;
    let [a, b] = [world.serve(|_| Some(AGREED))?, world.serve(|_| Some(AGREED))?];
    let routes: String = ["common", "rare", "keyed"].iter().map(|name| route(name, "b")).collect();
    let configuration = format!(
        "history: {{ retention: {{ transactions: 10000000, size: 16GiB }} }}\nservices:\n  \
         a: {{ endpoints: [\"{a}\"], anonymous: true }}\n  b: {{ endpoints: [\"{b}\"], anonymous: true }}\n\
         routes:\n{routes}"
    );
    let setup = Setup { configuration, ..Setup::default() };
    let start = || Gateway::start(&context.program, &setup, place.path(), context.cores.measured);
    let gateway = start()?;
    let keyed = "idempotency-key: the-one\r\n";
    for (path, headers, times) in
        [("common", "", real - real / 100 - 1), ("rare", "", real / 100), ("keyed", keyed, 1)]
    {
        let failed =
            world.ask_times(gateway.address, &request(path, headers), CLIENTS.min(times as usize), times)?;
        if failed > 0 {
            return Err(io::Error::other(format!("{failed} of {times} transactions were turned away")));
        }
    }
    within("history has all", || Ok(gateway.metric("unanimo_history_taken_total")? >= real as f64))?;
    let bytes = gateway.metric("unanimo_history_size_bytes")? / real as f64;
    drop(gateway);
    let oldest = fill(&place.path().join("journal/history.sqlite"), rows)?;
    let begin = clock::now();
    let gateway = start()?;
    let mut report = Report::new(NAME);
    report.add("two-phase, 2 branches", 0, ("bytes in history", bytes, "bytes/transaction"));
    report.add("start", 0, ("serving after", (clock::now() - begin).as_secs_f64() * 1000.0, "ms"));
    let title = format!(
        "history: pages of 100 out of {rows} transactions, {TIMES} times each; {bytes:.0} bytes a transaction of two branches"
    );
    let mut table = Table::new(title, &["filter", "found", "median ms", "longest ms"]);
    for (name, filter) in LISTS.into_iter().filter(|(name, _)| context.wants(name)) {
        let path = format!("/v1/transactions?limit=100{}", filter.replace("OLD", &oldest.to_string()));
        let (found, times) = list(&gateway, &path)?;
        let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let cells = [found.to_string(), format!("{:.1}", millis(median)), format!("{:.1}", millis(longest))];
        table.row(std::iter::once(name.to_owned()).chain(cells).collect());
        report.add(name, 0, ("median", millis(median), "ms"));
        report.add(name, 0, ("longest", millis(longest), "ms"));
    }
    println!("{}", table.text(context.markdown));
    report.write(&context.directory)
}

fn request(path: &str, headers: &str) -> Vec<u8> {
    let body = r#"{"amount":10.50}"#;
    format!(
        "POST /{path} HTTP/1.1\r\nhost: gateway\r\n{headers}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// How many a list has, and how long it took each time, shortest first. The connection counts.
fn list(gateway: &Gateway, path: &str) -> io::Result<(usize, Vec<Duration>)> {
    let (mut found, mut times) = (0, Vec::new());
    for _ in 0..TIMES {
        let begin = clock::now();
        let answer = gateway.ask(path)?;
        times.push(clock::now() - begin);
        if !answer.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("{path} was answered with {answer}")));
        }
        found = answer.matches("\"began_unix_ms\"").count();
    }
    times.sort_unstable();
    Ok((found, times))
}

/// Copies rows until there are so many; says when the older half of them ends.
fn fill(file: &Path, rows: u64) -> io::Result<i64> {
    fill_up(file, rows).map_err(io::Error::other)
}

fn fill_up(file: &Path, rows: u64) -> rusqlite::Result<i64> {
    let mut connection = Connection::open(file)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")?;
    let transaction = connection.transaction()?;
    let read = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0));
    let real = read("SELECT count(*) FROM transactions")?;
    let span = read("SELECT max(ended_ms) - min(began_ms) + 1 FROM transactions")?;
    let rounds = i64::try_from(rows).unwrap_or(i64::MAX) / real;
    for round in 1..rounds {
        // Ids as a gateway gives them out: their beginnings rise with time. Keys stay with the first of them.
        transaction.execute(
            "INSERT INTO transactions SELECT number + ?1 * ?2, substr(id, 1, 8) || randomblob(8), token, plan, verdict, \
             flags, cause, fault, began_ms + ?1 * ?3, ended_ms + ?1 * ?3, NULL, answer, detail \
             FROM transactions WHERE number <= ?2 ORDER BY number",
            [round, real, span],
        )?;
    }
    let middle = read("SELECT (min(began_ms) + max(began_ms)) / 2 FROM transactions")?;
    transaction.commit()?;
    Ok(middle)
}
