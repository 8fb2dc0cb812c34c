//! How much memory the process takes when it does nothing, and for each transaction that is open.
//!
//! What is measured is resident memory, so that what the allocator wastes counts. Before transactions are left open, as
//! many have come to their end: buffers and connections are there already, and are not counted twice.

use super::Context;
use super::recovery::within;
use crate::cpu::resident_bytes;
use crate::gateway::{Gateway, Setup};
use crate::load::{Behaviour, Crowd, Target, World};
use crate::place::Place;
use crate::report::Report;
use crate::table::Table;
use std::io;

pub const NAME: &str = "memory";

const CLIENTS: usize = 64;

const YES: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// Under way: asked again in an hour.
const LATER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";

const REQUEST_BODY: &str =
    r#"{"from":"DE02120300000000202051","to":"DE02500105170137075030","amount":10.50}"#;

/// What each branch's call carries of it.
const CALL_BODY: &str = r#"{"account":"DE02120300000000202051","amount":10.50}"#;

const HOLDS_PREPARES: u8 = 1;
const HOLDS_COMMITS: u8 = 2;

fn service(mood: u8, target: Target<'_>) -> Option<&'static [u8]> {
    let held = match mood {
        HOLDS_PREPARES => "prepare",
        HOLDS_COMMITS => "commit",
        _ => return Some(YES),
    };
    Some(if target.asks(held) { LATER } else { YES })
}

const SERVICES: [Behaviour; 2] = [service, service];

/// In which state transactions are left open.
struct State {
    name: &'static str,
    mood: u8,
    /// How many answers each of them has got until then.
    answers: u64,
    /// Bytes of bodies that it keeps.
    bodies: usize,
}

const STATES: [State; 2] = [
    State {
        name: "preparing",
        mood: HOLDS_PREPARES,
        answers: 2,
        bodies: REQUEST_BODY.len() + 2 * CALL_BODY.len(),
    },
    State { name: "committing", mood: HOLDS_COMMITS, answers: 4, bodies: 2 * CALL_BODY.len() },
];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let count: u64 = if context.quick { 200 } else { 10_000 };
    let mut report = Report::new(NAME);
    let mut table = Table::new(
        format!("memory: resident bytes, over {count} transactions with two branches"),
        &["", "bytes", "of which bodies", "without bodies"],
    );
    for state in STATES.iter().filter(|state| context.wants(state.name)) {
        let measured = Measured::take(context, &place, count, state)?;
        if table.is_empty() {
            table.row(vec![
                "idle process".into(),
                measured.idle.to_string(),
                "0".into(),
                measured.idle.to_string(),
            ]);
            report.add("idle process", 0, ("resident", measured.idle as f64, "bytes"));
            let finished = format!("{:.0}", measured.finished);
            table.row(vec!["a finished one, remembered".into(), finished.clone(), "0".into(), finished]);
            report.add("finished transaction", 0, ("resident", measured.finished, "bytes"));
        }
        let without = measured.open - state.bodies as f64;
        table.row(vec![
            format!("an open one, {}", state.name),
            format!("{:.0}", measured.open),
            state.bodies.to_string(),
            format!("{without:.0}"),
        ]);
        let subject = format!("open transaction, {}", state.name);
        report.add(&subject, 0, ("resident without bodies", without, "bytes"));
        report.add(&subject, 0, ("resident", measured.open, "bytes"));
    }
    println!("{}", table.text(context.markdown));
    report.write(&context.directory)
}

/// Bytes of an idle process, and for each transaction.
struct Measured {
    idle: u64,
    finished: f64,
    open: f64,
}

impl Measured {
    fn take(context: &Context, place: &Place, count: u64, state: &State) -> io::Result<Measured> {
        let crowd = Crowd::start(&SERVICES)?;
        let setup = Setup { configuration: configuration(&crowd), ..Setup::default() };
        let directory = place.path().join(state.name);
        let gateway = Gateway::start(&context.program, &setup, &directory, context.cores.measured)?;
        let resident = || resident_bytes(gateway.pid());
        let idle = resident()?;
        let mut world = World::new()?;
        let mut answered = 0;
        let mut send = |answers: u64| -> io::Result<u64> {
            let failed = world.ask_times(gateway.address, &request(), CLIENTS, count)?;
            answered += count * answers;
            within("everything was asked", || {
                Ok(gateway.metric("unanimo_calls_answered_total")? >= answered as f64)
            })?;
            if failed == 0 { resident() } else { Err(io::Error::other("transactions were turned away")) }
        };
        let warm = send(4)?;
        let finished = send(4)?;
        crowd.turn(state.mood);
        let open = send(state.answers)?;
        let each = |more: u64, less: u64| more.saturating_sub(less) as f64 / count as f64;
        Ok(Measured { idle, finished: each(finished, warm), open: each(open, finished) })
    }
}

fn configuration(crowd: &Crowd) -> String {
    let [a, b] = [0, 1].map(|at| crowd.addresses.get(at).map(ToString::to_string).unwrap_or_default());
    let branch = |service: &str, party: &str| {
        format!(
            "        - {{ name: {service}, service: {service}, path: /shares, \
             body: {{ account: \"${{request.body.{party}}}\", amount: \"${{request.body.amount}}\" }} }}\n"
        )
    };
    format!(
        "services:\n  a: {{ endpoints: [\"{a}\"], anonymous: true }}\n  b: {{ endpoints: [\"{b}\"], anonymous: true }}\n\
         routes:\n  - name: transfer\n    match: {{ method: POST, path: /transfers }}\n    transaction:\n      \
         mode: two-phase\n      deadline: 1h\n      branches:\n{}{}",
        branch("a", "from"),
        branch("b", "to")
    )
}

fn request() -> Vec<u8> {
    format!(
        "POST /transfers HTTP/1.1\r\nhost: gateway\r\nprefer: respond-async\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{REQUEST_BODY}",
        REQUEST_BODY.len()
    )
    .into_bytes()
}
