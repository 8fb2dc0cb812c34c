//! Four small services that take part in transactions: order, payment, shipping, notification.
//!
//! **Owns** the business of a shop, each service with its own database file, and the duties of a participant.
//! **Never** knows the gateway: a service sees HTTP calls with `Unanimo-*` headers, and could be written in any
//! language, without a library.
//! **Read next** `barrier.rs` for the duties, the part to copy; `services/payment.rs` for a business on top of them;
//! `web.rs` for what the calls look like.

use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::net::TcpListener;

use database::Database;

pub mod audit;
pub mod barrier;
mod database;
mod outbox;
mod services;
pub mod smtp_sink;
mod web;

/// How long the mark of a finished branch is kept. Longer than any outage of the gateway: a mark that is gone can no
/// longer tell a late call from a new one.
const MARKS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const CLEANING_INTERVAL: Duration = Duration::from_secs(3600);

/// One of the four services. Each runs as a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Keeps orders, under `/orders`.
    Order,
    /// Keeps accounts, under `/payments`.
    Payment,
    /// Keeps stock, under `/reservations`, and shows it under `/stock/{sku}`.
    Shipping,
    /// Sends mail, under `/notifications`.
    Notification,
}

impl Service {
    /// All four, in the order in which an order passes through them.
    pub const ALL: [Self; 4] = [Self::Order, Self::Payment, Self::Shipping, Self::Notification];

    /// The name on the command line: `order`, `payment`, `shipping` or `notification`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Shipping => "shipping",
            Self::Notification => "notification",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| format!("no service '{name}': expected order, payment, shipping or notification"))
    }
}

/// What a service needs to run. It holds a secret, so it cannot be printed.
pub struct Options {
    /// The SQLite file; made when it does not exist.
    pub database: PathBuf,
    /// Where to listen.
    pub address: SocketAddr,
    /// The bearer token that every call of the gateway must carry.
    pub credential: String,
    /// The mail server; the notification service needs one, the others ignore it.
    pub smtp: Option<SocketAddr>,
    /// What there is at the first start.
    pub seed: Seed,
}

impl Options {
    /// Options with the default seed and no mail server.
    pub fn new(database: impl Into<PathBuf>, address: SocketAddr, credential: impl Into<String>) -> Self {
        let (database, credential) = (database.into(), credential.into());
        Self { database, address, credential, smtp: None, seed: Seed::default() }
    }
}

/// The world at the first start. What exists already is left as it is.
#[derive(Clone, Debug)]
pub struct Seed {
    /// How many accounts payment opens: `customer-0`, `customer-1`, …
    pub customers: u32,
    /// What is on each of them, in cents.
    pub balance_cents: i64,
    /// What shipping has in stock: the sku, and how many.
    pub stock: Vec<(String, i64)>,
}

impl Default for Seed {
    /// A hundred customers with 500.00 each; tea and coffee in plenty, and too little saffron.
    fn default() -> Self {
        let stock = [("tea", 1_000_000), ("coffee", 1_000_000), ("saffron", 100)];
        let stock = stock.map(|(sku, quantity)| (sku.to_owned(), quantity)).into();
        Self { customers: 100, balance_cents: 50_000, stock }
    }
}

/// Why a service could not start, or had to stop.
#[derive(Debug)]
pub enum Error {
    /// An option is missing or empty.
    Option(&'static str),
    /// The database could not be opened, or its tables not be made.
    Database(PathBuf, rusqlite::Error),
    /// The address could not be bound.
    Listen(SocketAddr, std::io::Error),
    /// The server or its runtime failed.
    Serve(std::io::Error),
    /// The database thread ended. Start again: what was promised is on disk.
    DatabaseStopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option(what) => write!(f, "{what}"),
            Self::Database(path, error) => write!(f, "cannot open the database {}: {error}", path.display()),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Serve(error) => write!(f, "the server failed: {error}"),
            Self::DatabaseStopped => write!(f, "the database thread ended; start the service again"),
        }
    }
}

impl std::error::Error for Error {}

/// Runs a service until the process ends. `GET /healthz` answers once it listens. It may be killed at any moment:
/// what it answered is on disk.
pub fn run(service: Service, options: Options) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Serve)?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.address).await;
        let listener = listener.map_err(|error| Error::Listen(options.address, error))?;
        serve(service, options, listener).await
    })
}

/// Runs a service on a listener that is already bound, for a caller with a runtime of its own. Dropping the future
/// stops the service.
pub async fn serve(service: Service, options: Options, listener: TcpListener) -> Result<(), Error> {
    if options.credential.is_empty() {
        return Err(Error::Option("a service needs a credential: without one anybody could move its money"));
    }
    let smtp = match (service, options.smtp) {
        (Service::Notification, None) => return Err(Error::Option("notification needs a mail server")),
        (Service::Notification, smtp) => smtp,
        _ => None,
    };
    let business = services::business(service);
    let database = Database::open(&options.database, business, &options.seed)
        .map_err(|error| Error::Database(options.database.clone(), error))?;
    let send_mail = async {
        match smtp {
            Some(server) => outbox::send_for_ever(&database, server).await,
            None => pending().await,
        }
    };
    tokio::select! {
        served = web::serve(listener, service, database.clone(), options.credential) => served.map_err(Error::Serve),
        () = database.stopped() => Err(Error::DatabaseStopped),
        () = clean_for_ever(&database) => Ok(()),
        () = send_mail => Ok(()),
    }
}

/// Forgets old marks, a few at a time so that no call waits for long.
async fn clean_for_ever(database: &Database) {
    loop {
        while let Ok(1..) = database.run(|connection| barrier::clean(connection, MARKS_KEPT)).await {}
        tokio::time::sleep(CLEANING_INTERVAL).await;
    }
}
