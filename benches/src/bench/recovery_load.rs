//! What clients feel of a recovery: transactions in doubt at participants with real SQLite stores, and new requests that
//! come at a fixed rate meanwhile, whether or not those before them were answered.
//!
//! The participants are two services of the demonstration's shop, as processes of their own, which sync every call. A third
//! one holds the votes back until the gateway is killed, so that everything is rolled back by the next process. Its first
//! seconds, while it recovers, are compared with those after, at the same rate.

use super::Context;
use super::recovery::within;
use crate::gateway::{Gateway, Setup, free_address};
use crate::load::{Behaviour, Crowd, Offer, Run, Second, Target, World, sum};
use crate::place::Place;
use crate::process::Process;
use crate::report::Report;
use crate::table::Table;
use std::fmt::Write;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub const NAME: &str = "recovery-load";

const CLIENTS: usize = 16;

/// The share of what it can do that the gateway and the services are asked for.
const LOAD: f64 = 0.3;

const YES: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// Under way: asked again in an hour.
const LATER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";

/// Says yes to everything but a first operation.
fn holds(_mood: u8, target: Target<'_>) -> Option<&'static [u8]> {
    Some(if target.asks("prepare") { LATER } else { YES })
}

const HOLDER: [Behaviour; 1] = [holds];

pub fn run(context: &Context) -> io::Result<()> {
    let place = Place::new(&context.directory, NAME)?;
    let (in_doubt, seconds) = if context.quick { (50, 3) } else { (4000, 30) };
    let crowd = Crowd::start(&HOLDER)?;
    let shop = Shop::start(&context.program, &place.path().join("shop"))?;
    let setup = Setup { configuration: configuration(&shop, crowd.addresses[0]), ..Setup::default() };
    let directory = place.path().join("gateway");
    let mut world = World::new()?;
    let gateway = Gateway::start(&context.program, &setup, &directory, context.cores.measured)?;
    let (fresh, held) = (request("/fresh", ""), request("/held", "prefer: respond-async\r\n"));
    let window = Duration::from_millis(if context.quick { 300 } else { 3000 });
    let run = Run { target: gateway.address, request: &fresh, clients: CLIENTS, warm: window / 4, window };
    let outcome = world.run(&run, |_| {})?;
    let rate = (LOAD * outcome.answered as f64 / outcome.seconds).max(10.0);
    bring_in_doubt(&mut world, &gateway, &held, in_doubt)?;
    // With SIGKILL.
    drop(gateway);
    let gateway = Gateway::start(&context.program, &setup, &directory, context.cores.measured)?;
    let rates = vec![rate; seconds];
    let offer = Offer {
        target: gateway.address,
        requests: &[&fresh],
        rates: &rates,
        patience: Duration::from_secs(5),
    };
    // What was still to be recovered when each second began.
    let mut left = Vec::new();
    let seen = world.offer(&offer, |_| {
        left.push(gateway.metric("unanimo_transactions_recovering").unwrap_or(f64::NAN));
    })?;
    let recovered = left.iter().position(|left| *left <= 0.0).unwrap_or(seconds).max(1);
    let [during, after] = [&seen[0][..recovered], &seen[0][recovered..]].map(sum);
    let share =
        gateway.metric("unanimo_calls_unwaited_total")? / gateway.metric("unanimo_calls_sent_total")?;
    let title = format!(
        "recovery-load: {in_doubt} transactions in doubt at SQLite participants, {rate:.0} new ones a second"
    );
    let p99 = table(context, &title, [(&during, recovered), (&after, seconds - recovered)]);
    let left = gateway.metric("unanimo_transactions_recovering")?;
    close(context, p99, share, left, recovered)
}

/// Begins so many transactions that no verdict can be reached of, and waits until the SQLite participants have voted.
fn bring_in_doubt(world: &mut World, gateway: &Gateway, request: &[u8], in_doubt: u64) -> io::Result<()> {
    let answered = gateway.metric("unanimo_calls_answered_total")?;
    let failed = world.ask_times(gateway.address, request, CLIENTS, in_doubt)?;
    if failed > 0 {
        return Err(io::Error::other(format!("{failed} of {in_doubt} transactions were turned away")));
    }
    within("every transaction is in doubt", || {
        Ok(gateway.metric("unanimo_calls_answered_total")? >= answered + 3.0 * in_doubt as f64)
    })?;
    Ok(())
}

/// Prints what became of the new requests in both parts, and gives back the p99 of each.
fn table(context: &Context, title: &str, parts: [(&Second, usize); 2]) -> [f64; 2] {
    let mut table = Table::new(title, &["", "seconds", "offered", "committed", "p50 ms", "p99 ms"]);
    for (name, (part, lasted)) in ["while it recovers", "after that"].into_iter().zip(parts) {
        table.row(vec![
            name.to_owned(),
            lasted.to_string(),
            part.offered.to_string(),
            part.good.to_string(),
            format!("{:.2}", part.latencies.quantile_us(0.5) / 1000.0),
            format!("{:.2}", part.latencies.quantile_us(0.99) / 1000.0),
        ]);
    }
    println!("{}", table.text(context.markdown));
    parts.map(|(part, _)| part.latencies.quantile_us(0.99))
}

/// Prints how it came out, and writes it down.
fn close(context: &Context, p99: [f64; 2], share: f64, left: f64, recovered: usize) -> io::Result<()> {
    let ratio = p99[0] / p99[1];
    let mut closing = Table::new("recovery-load, in short", &["what", "aim", "reached"]);
    closing.row(vec![
        "p99 of new requests, against no recovery".into(),
        "2 or less".into(),
        format!("{ratio:.2}"),
    ]);
    closing.row(vec!["recovery's share of all calls".into(), String::new(), format!("{share:.2}")]);
    closing.row(vec!["never ended".into(), "0".into(), format!("{left:.0}")]);
    println!("{}", closing.text(context.markdown));
    let mut report = Report::new(NAME);
    report.add("new requests", 0, ("p99 ratio", ratio, "ratio"));
    report.add("new requests", 0, ("p99 while it recovers", p99[0], "us"));
    report.add("new requests", 0, ("p99 after that", p99[1], "us"));
    report.add("recovery", 0, ("lasted at most", recovered as f64, "s"));
    report.write(&context.directory)
}

/// Two services with a database each.
struct Shop {
    token: PathBuf,
    addresses: [SocketAddr; 2],
    _processes: Vec<Process>,
}

impl Shop {
    fn start(program: &Path, directory: &Path) -> io::Result<Shop> {
        fs::create_dir_all(directory)?;
        let token = directory.join("token");
        fs::write(&token, "a-token-of-this-measurement\n")?;
        let addresses = [free_address()?, free_address()?];
        let mut processes = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let mut command = Command::new(program);
            command.args([
                "tied",
                "--parent",
                &std::process::id().to_string(),
                "--",
                "shop",
                "order",
                "--database",
            ]);
            command.arg(directory.join(format!("{number}.db"))).args(["--address", &address.to_string()]);
            command.arg("--credential-file").arg(&token);
            let output = fs::File::create(directory.join(format!("{number}.log")))?;
            command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
            processes.push(Process::start_here(&mut command)?);
        }
        for address in addresses {
            within("the shop listens", || Ok(TcpStream::connect(address).is_ok()))?;
        }
        Ok(Shop { token, addresses, _processes: processes })
    }
}

fn configuration(shop: &Shop, holder: SocketAddr) -> String {
    let mut text = "services:\n".to_owned();
    // Writing to a string cannot fail.
    for (name, address) in ["x", "y"].iter().zip(shop.addresses) {
        let token = shop.token.display();
        let _ = writeln!(
            text,
            "  {name}: {{ endpoints: [\"{address}\"], credential: {{ bearer_file: \"{token}\" }} }}"
        );
    }
    let _ = write!(text, "  holder: {{ endpoints: [\"{holder}\"], anonymous: true }}\nroutes:\n");
    for (name, services) in [("fresh", &["x", "y"][..]), ("held", &["x", "y", "holder"])] {
        let _ = write!(
            text,
            "  - name: {name}\n    match: {{ method: POST, path: /{name} }}\n    transaction:\n      \
             mode: two-phase\n      deadline: 1h\n      branches:\n"
        );
        for service in services {
            let _ = writeln!(
                text,
                "        - {{ name: {service}, service: {service}, path: /orders, body: {{ \
                 customer: \"${{request.body.customer}}\", sku: \"${{request.body.sku}}\", quantity: \
                 \"${{request.body.quantity}}\", amount: \"${{request.body.amount}}\" }} }}"
            );
        }
    }
    text
}

fn request(path: &str, headers: &str) -> Vec<u8> {
    let body = r#"{"customer":"customer-1","sku":"tea","quantity":1,"amount":45}"#;
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\n{headers}content-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
