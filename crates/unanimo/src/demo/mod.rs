//! The demonstration: real processes, real databases, real crashes, and an audit that does not take our word for it.
//!
//! **Owns** the story, from an empty directory to the last line of the audit, and every process that it starts.
//! **Never** asks the gateway whether it was right: the audit reads the databases, the mail and the clients' memory.
//! **Read next** [`play`] for the story, `clients.rs` for what a client does with an answer that it lost, `audit.rs`
//! for what is held against what.

mod audit;
mod book;
mod clients;
mod clock;
mod count;
mod failure;
mod gauge;
mod meaning;
mod order;
pub mod paint;
mod picture;
mod place;
mod process;
mod screen;
mod stage;
mod wire;

use audit::{Evidence, judge};
use book::{Counts, Entry};
use clients::{Clients, Watch};
use count::number;
use failure::Failure;
use place::Place;
use screen::Screen;
use stage::{Stage, Victim};
use std::cell::Cell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use unanimo_shop::Service;

/// When the payment service is killed, and when the gateway, as shares of the time in which orders are placed.
const PAYMENT_DIES: f64 = 0.25;
const GATEWAY_DIES: f64 = 0.6;
/// Longer than the route's deadline, so that some orders time out, while others wait and are carried on.
const PAYMENT_AWAY: Duration = Duration::from_millis(1500);
/// How long recovery, and the last mail, may take.
const SETTLE_MAX: Duration = Duration::from_secs(30);
const SETTLE_INTERVAL: Duration = Duration::from_millis(100);
const RECOVERY_INTERVAL: Duration = Duration::from_millis(5);
/// How often the live picture is drawn.
const LIVE_INTERVAL: Duration = Duration::from_millis(100);
/// The gateway's count of transactions that have not ended.
const OPEN: &str = "unanimo_transactions_open";

const WRONG: u8 = 1;
const FAILED: u8 = 3;
/// As a shell says of a program that was ended by Ctrl-C.
const ENDED: u8 = 130;

/// What somebody may choose.
pub struct Options {
    /// `tcc`, `two-phase` or `saga`.
    pub mode: String,
    /// How long orders are placed.
    pub seconds: u64,
    /// How many clients place orders at the same time.
    pub clients: usize,
    /// Whether everything runs on in the end.
    pub keep: bool,
    /// Where the files go, and stay.
    pub directory: Option<PathBuf>,
}

/// Plays it all, and says by the exit code how it ended.
pub fn run(options: &Options) -> ExitCode {
    let screen = Screen::new();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.fail(&error.to_string());
            return ExitCode::from(FAILED);
        }
    };
    let kept = Cell::new(None);
    LocalSet::new().block_on(&runtime, async {
        // Whatever ends first drops the other, and with the story all its processes.
        tokio::select! {
            played = play(options, &screen, &kept) => played.unwrap_or_else(|failure| {
                screen.fail(&failure.to_string());
                ExitCode::from(FAILED)
            }),
            () = somebody_ends_it() => {
                screen.still();
                screen.text("\nEnded. None of the processes is left.");
                kept.get().unwrap_or(ExitCode::from(ENDED))
            }
        }
    })
}

/// The story. Where everything is to run on, it only ends by being dropped, and `kept` holds what it would have said.
async fn play(
    options: &Options,
    screen: &Screen,
    kept: &Cell<Option<ExitCode>>,
) -> Result<ExitCode, Failure> {
    let place = Place::make(options.directory.as_deref(), &options.mode)?;
    introduce(options, screen, &place);
    screen.tell("Four services and the gateway start, each a process of its own.");
    let mut stage = Stage::open(place).await?;
    let load = Duration::from_secs(options.seconds);
    let mut clients = Clients::start(stage.place.public, options.clients, load);
    let watch = clients.watch();
    let played = tokio::select! {
        played = orders_and_crashes(options, screen, &mut stage, &mut clients) => played,
        never = draw(screen, &watch) => match never {},
    };
    let judged = match played {
        Ok(crash) => audit(screen, &stage, &clients, &crash).await,
        Err(failure) => Err(failure),
    };
    let is_right = matches!(judged, Ok(true));
    if !is_right || options.keep || options.directory.is_some() {
        stage.place.stay();
        screen.text(&format!("The files stay in {}", stage.place.root().display()));
    } else {
        screen.text("All processes end now, and the files go. With --keep they stay, to try by hand.");
    }
    let code = if judged? { ExitCode::SUCCESS } else { ExitCode::from(WRONG) };
    if options.keep {
        kept.set(Some(code));
        invite(screen, &stage.place, &clients);
        std::future::pending::<()>().await;
    }
    Ok(code)
}

fn introduce(options: &Options, screen: &Screen, place: &Place) {
    screen.title("One order, four services: all of it happens, or nothing does.");
    screen.text("");
    screen.text("  Four services (order, payment, shipping, notification) have a database each.");
    screen.text("  The gateway runs a transaction over all four for every order that comes in.");
    screen.text("  Meanwhile a service is killed, and then the gateway itself. At the end, the");
    screen.text("  databases are held against everything that any client was told.");
    screen.text("");
    screen.text(&format!("  configuration  {}", place.configuration().display()));
    screen.text(&format!("  protocol       {}", options.mode));
    screen.text("");
}

/// Orders come in; a service dies, and then the gateway; and every client learns how its orders ended.
async fn orders_and_crashes(
    options: &Options,
    screen: &Screen,
    stage: &mut Stage,
    clients: &mut Clients,
) -> Result<Crash, Failure> {
    let (began, load) = (clock::now(), Duration::from_secs(options.seconds));
    screen.tell(&format!(
        "All are ready. {} clients place orders, for {} s.",
        options.clients, options.seconds
    ));
    stage.during(clock::until(began + load.mul_f64(PAYMENT_DIES))).await?;
    kill_payment(screen, stage, clients).await?;
    stage.during(clock::until(began + load.mul_f64(GATEWAY_DIES))).await?;
    let crash = kill_gateway(screen, stage, clients).await?;
    stage.during(clock::until(began + load)).await?;
    screen.tell("No new orders. Whoever has lost an answer asks again with the same key.");
    stage.during(clients.finish()).await?;
    screen.tell("Now every key is asked again. The answers must be the same as before the crash.");
    stage.during(clients.ask_all_again(options.clients)).await?;
    screen.tell("The last mail goes out.");
    settle(stage).await?;
    clients.watch().look(|gauge, counts| screen.keep_picture(gauge, counts));
    Ok(crash)
}

/// How the crash of the gateway went.
struct Crash {
    under_way: u64,
    unfinished: u64,
    ready_after: Duration,
    ended_after: Duration,
}

async fn kill_payment(screen: &Screen, stage: &mut Stage, clients: &Clients) -> Result<(), Failure> {
    let payment = Victim::Service(Service::Payment);
    let pid = stage.pid(payment);
    stage.kill(payment);
    clients.mark("payment");
    let away = seconds(PAYMENT_AWAY);
    screen
        .tell(&format!("The payment service (pid {pid}) is killed with SIGKILL, and stays dead for {away}."));
    stage.during(tokio::time::sleep(PAYMENT_AWAY)).await?;
    let ready_after = stage.start_again(payment).await?;
    screen.tell(&format!("It is back on the same database, ready {} after its start.", seconds(ready_after)));
    Ok(())
}

async fn kill_gateway(screen: &Screen, stage: &mut Stage, clients: &Clients) -> Result<Crash, Failure> {
    let pid = stage.pid(Victim::Gateway);
    stage.kill(Victim::Gateway);
    clients.mark("gateway");
    let under_way = clients.book(|book| {
        book.note_crash();
        book.counts.under_way()
    });
    screen.tell(&format!(
        "The gateway (pid {pid}) is killed with SIGKILL, in the middle of {under_way} orders."
    ));
    let started = clock::now();
    let ready_after = stage.start_again(Victim::Gateway).await?;
    let latest = started + SETTLE_MAX;
    let mut unfinished = None;
    while unfinished.is_none() || stage.metric("unanimo_transactions_recovering").await != Some(0) {
        unfinished = stage.metric("unanimo_transactions_recovered").await;
        stage.check()?;
        if clock::now() > latest {
            return Err(Failure::new(format!("recovery has not ended after {}", seconds(SETTLE_MAX))));
        }
        tokio::time::sleep(RECOVERY_INTERVAL).await;
    }
    let crash = Crash {
        under_way,
        unfinished: unfinished.unwrap_or_default(),
        ready_after,
        ended_after: clock::now() - started,
    };
    screen.tell(&format!(
        "It is back on the same journal, ready {} after its start. It found {} unfinished transactions there, and \
         has ended all of them after {}.",
        seconds(crash.ready_after),
        number(crash.unfinished),
        seconds(crash.ended_after),
    ));
    Ok(crash)
}

/// Waits until nothing is open and no mail waits, or for as long as that may take: the audit sees what is left.
async fn settle(stage: &mut Stage) -> Result<(), Failure> {
    let latest = clock::now() + SETTLE_MAX;
    while clock::now() < latest {
        let open = stage.metric(OPEN).await;
        let mail = stage.facts(Service::Notification)?;
        if open == Some(0) && mail.unsent == 0 && mail.pending.is_empty() {
            break;
        }
        stage.check()?;
        tokio::time::sleep(SETTLE_INTERVAL).await;
    }
    Ok(())
}

async fn audit(screen: &Screen, stage: &Stage, clients: &Clients, crash: &Crash) -> Result<bool, Failure> {
    let facts: Vec<_> =
        Service::ALL.into_iter().map(|service| stage.facts(service)).collect::<Result<_, _>>()?;
    let (open, message_ids) = (stage.metric(OPEN).await, stage.message_ids());
    let lines = clients.book(|book| {
        let entries = book.entries();
        let lines = judge(&Evidence { facts: &facts, message_ids: &message_ids, entries, open });
        screen.audit(&lines, &numbers(&book.counts, entries, crash));
        lines
    });
    let wrong = lines.iter().filter(|line| !line.is_right).count();
    let took = seconds(clock::now() - screen.began());
    let (is_right, all) = (wrong == 0, lines.len());
    screen.conclude(
        is_right,
        &match is_right {
            true => format!("All {all} lines are right. It took {took}."),
            false => format!("{wrong} of {all} lines are wrong. It took {took}."),
        },
    );
    Ok(is_right)
}

fn numbers(counts: &Counts, entries: &[Entry], crash: &Crash) -> [(&'static str, String); 3] {
    let Counts { driven, committed, refused, timed_out, interrupted } = *counts;
    let orders = format!(
        "{}: {} committed, {} refused, {} timed out, {} interrupted",
        number(driven),
        number(committed),
        number(refused),
        number(timed_out),
        number(interrupted)
    );
    let lost = entries.iter().filter(|entry| entry.lost > 0);
    let learned = lost.clone().filter(|entry| !entry.told.is_empty()).count() as u64;
    let answers =
        format!("{}, of which {} were learned by asking again", number(lost.count() as u64), number(learned));
    let crash = format!(
        "{} orders under way, {} unfinished in the journal; ready after {}, all ended after {}",
        number(crash.under_way),
        number(crash.unfinished),
        seconds(crash.ready_after),
        seconds(crash.ended_after)
    );
    [("Orders", orders), ("Lost answers", answers), ("The crash", crash)]
}

/// What somebody can try who has left everything running.
fn invite(screen: &Screen, place: &Place, clients: &Clients) {
    let (public, admin) = (place.public, place.admin);
    let order = format!(
        "    curl -i http://{public}/orders \\\n      \
         -H 'Content-Type: application/json' -H 'Idempotency-Key: mine-1' \\\n      \
         -d '{{\"customer\":\"customer-7\",\"email\":\"you@example.org\",\n           \
         \"sku\":\"tea\",\"quantity\":2,\"amount\":90}}'"
    );
    let transaction = clients.book(|book| {
        book.entries().iter().rev().find_map(|entry| entry.told.first().map(|told| told.transaction.clone()))
    });
    screen.title("\nEverything still runs. Try it from another terminal:");
    screen.text("\n  Place an order. The answer names its transaction:");
    screen.text(&order);
    screen.text("\n  Ask again with the same key: the same answer, and no second order.");
    screen.text(&order);
    screen.text("\n  Look at a transaction. This is the last of those above; put in yours:");
    screen.text(&format!("    curl http://{admin}/v1/transactions/{}", transaction.unwrap_or_default()));
    screen.text("\nCtrl-C ends it all.");
}

/// Draws the live picture for ever.
async fn draw(screen: &Screen, watch: &Watch) -> Infallible {
    loop {
        watch.look(|gauge, counts| screen.live(gauge, counts));
        tokio::time::sleep(LIVE_INTERVAL).await;
    }
}

/// Waits for Ctrl-C, or for whoever ends processes.
async fn somebody_ends_it() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
        // Without handlers these signals end the process, and the kernel its children.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

fn seconds(time: Duration) -> String {
    // The space does not break.
    format!("{:.2}\u{a0}s", time.as_secs_f64())
}
