//! How long it takes until everything has ended that a crash has left in doubt.
//!
//! Both services of each transaction vote yes, and answer its commit with 503 until the gateway has been killed; then
//! they take everything. In the second row a third service does not answer at all to the transactions that it has part
//! in, and all others must end as fast as without it.

use super::Context;
use crate::clock;
use crate::gateway::{Gateway, Setup};
use crate::load::{Behaviour, Crowd, Target, World};
use crate::place::Place;
use crate::report::Report;
use crate::table::Table;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

pub const NAME: &str = "recovery";

const CLIENTS: usize = 64;

/// How long any wait here may last.
const PATIENCE: Duration = Duration::from_secs(120);

const YES: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const NOT_NOW: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

const HOLDS: u8 = 0;
const TAKES: u8 = 1;

/// Takes commits only after the crash.
fn fickle(mood: u8, target: Target<'_>) -> Option<&'static [u8]> {
    Some(if mood == HOLDS && target.asks("commit") { NOT_NOW } else { YES })
}

/// Is the same before the crash, and then says nothing.
fn silent(mood: u8, target: Target<'_>) -> Option<&'static [u8]> {
    if mood == HOLDS { fickle(mood, target) } else { None }
}

const SERVICES: [Behaviour; 3] = [fickle, fickle, silent];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let in_doubt = if context.quick { 200 } else { 10_000 };
    let mut report = Report::new(NAME);
    let mut table = Table::new(
        format!("recovery: {in_doubt} transactions in doubt, each with two branches, after SIGKILL"),
        &["", "in doubt", "serving after ms", "all ended after ms", "ended/s"],
    );
    for (subject, silenced) in [("all services answer", 0), ("one service hangs", in_doubt / 20)] {
        if context.wants(subject) {
            let measured = Measured::take(context, &place, in_doubt, silenced)?;
            let ended = measured.ended.as_secs_f64();
            table.row(vec![
                subject.to_owned(),
                format!("{in_doubt} + {silenced}"),
                format!("{:.0}", measured.serving.as_secs_f64() * 1000.0),
                format!("{:.0}", ended * 1000.0),
                format!("{:.0}", in_doubt as f64 / ended),
            ]);
            let millis = measured.serving.as_secs_f64() * 1000.0;
            report.add(subject, 0, ("in doubt", in_doubt as f64, "transactions"));
            report.add(subject, 0, ("serving after", millis, "ms"));
            report.add(subject, 0, ("all others ended after", ended * 1000.0, "ms"));
        }
    }
    println!("{}", table.text(context.markdown));
    report.write(&context.directory)
}

/// What was seen, counted from the start of the new process.
struct Measured {
    serving: Duration,
    ended: Duration,
}

impl Measured {
    /// Brings so many transactions in doubt, and `silenced` more with the service that will hang; kills, and starts anew.
    fn take(context: &Context, place: &Place, in_doubt: u64, silenced: u64) -> io::Result<Measured> {
        let crowd = Crowd::start(&SERVICES)?;
        let setup = Setup { configuration: configuration(&crowd), ..Setup::default() };
        let directory = place.path().join(format!("silenced-{silenced}"));
        let core = context.cores.measured;
        let gateway = Gateway::start(&context.program, &setup, &directory, core)?;
        let mut world = World::new()?;
        for (path, times) in [("/answered", in_doubt), ("/silenced", silenced)] {
            let failed = world.ask_times(gateway.address, &request(path), CLIENTS, times)?;
            if failed > 0 {
                return Err(io::Error::other(format!("{failed} of {times} transactions were turned away")));
            }
        }
        let begun = (in_doubt + silenced) as f64;
        within("every transaction is in doubt", || {
            Ok(gateway.metric("unanimo_transactions_concluded_total")? >= begun)
        })?;
        // With SIGKILL.
        drop(gateway);
        crowd.turn(TAKES);
        let start = clock::now();
        let mut gateway = Gateway::launch(&context.program, &setup, &directory, core)?;
        gateway.wait_ready(Duration::from_millis(1))?;
        let serving = clock::now() - start;
        if gateway.metric("unanimo_transactions_recovered")? < begun {
            return Err(io::Error::other("the new process has not found everything that was in doubt"));
        }
        let ended = within("all others have ended", || {
            Ok(gateway.metric("unanimo_transactions_recovering")? <= silenced as f64)
        })?;
        Ok(Measured { serving, ended: ended - start })
    }
}

/// Waits until it is so, and says when that was.
pub fn within(what: &str, mut is_so: impl FnMut() -> io::Result<bool>) -> io::Result<Instant> {
    let late = clock::now() + PATIENCE;
    while !is_so()? {
        if clock::now() > late {
            return Err(io::Error::other(format!("waited for {PATIENCE:?}, and it is not so: {what}")));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(clock::now())
}

fn configuration(crowd: &Crowd) -> String {
    let mut text = "services:\n".to_owned();
    for (name, address) in ["a", "b", "c"].iter().zip(&crowd.addresses) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name}: {{ endpoints: [\"{address}\"], anonymous: true }}");
    }
    text.push_str("routes:\n");
    for (name, second) in [("answered", "b"), ("silenced", "c")] {
        let _ = write!(
            text,
            "  - name: {name}\n    match: {{ method: POST, path: /{name} }}\n    transaction:\n      \
             mode: two-phase\n      answer_at: verdict\n      branches:\n"
        );
        for service in ["a", second] {
            let _ = writeln!(
                text,
                "        - {{ name: {service}, service: {service}, path: /shares, \
                 body: {{ amount: \"${{request.body.amount}}\" }} }}"
            );
        }
    }
    text
}

/// A request whose route answers at the verdict, since there is no end before the crash.
fn request(path: &str) -> Vec<u8> {
    let body = r#"{"amount":10.50}"#;
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
