//! The configuration: one YAML file, or a folder of them, becomes typed values, or a list of everything that is wrong.
//!
//! It is read in steps. [`yaml`] makes a tree of each file in which every value knows its place; [`merge`] makes one
//! tree of all; [`environment`] puts in the values of variables; [`cursor`] walks the tree, so that no key is left
//! unread; and each part of the configuration has a file that says what it means. What a crate knows about its own
//! settings, it is asked.

mod answers;
mod bearer;
mod branches;
mod cursor;
mod environment;
mod files;
mod headers;
mod history;
mod journal;
mod json;
mod likely;
mod limits;
mod matching;
mod merge;
mod mistake;
mod names;
mod number;
mod order;
mod report;
mod retries;
mod routes;
mod saga;
mod scalars;
mod schema;
mod sealing;
mod secret;
mod server;
mod services;
mod source;
mod standing;
mod template;
mod transaction;
mod yaml;

pub use bearer::token;
pub use files::{files, read};
pub use mistake::Mistake;
pub use schema::schema;
pub use server::{Format, Level, Log, ParticipantsConfig};
pub use services::Origin;
pub use source::Source;

use cursor::Cursor;
use mistake::Notes;
use server::Addresses;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use unanimo_contract::budget::Allowance;
use unanimo_contract::sealing::Keyring;
use yaml::Node;

/// Everything that a process needs to know.
#[derive(Debug)]
pub struct Config {
    /// The data plane.
    pub gateway: unanimo_gateway::Config,
    /// The services.
    pub upstream: unanimo_upstream::Config,
    /// The journal.
    pub journal: unanimo_journal::Config,
    /// What is kept of finished transactions.
    pub history: unanimo_runtime::history::Config,
    /// How long idempotency keys stand for their transactions.
    pub keys: unanimo_coordinator::KeyPromise,
    /// The keys that seal what is secret in it, where there are any.
    pub keyring: Option<Arc<Keyring>>,
    /// Where operators ask, on loopback; nowhere where `None`.
    pub admin: Option<SocketAddr>,
    /// Where participants ask for verdicts; nowhere where `None`.
    pub participants: Option<ParticipantsConfig>,
    /// How many threads carry requests and transactions: 1 to 64.
    pub workers: usize,
    /// How many transactions may be open at a time, over all workers.
    pub open_transactions: usize,
    /// How calls are repeated.
    pub retry: unanimo_coordinator::Retry,
    /// How long requests under way may take when the process ends.
    pub drain: Duration,
    /// What is logged.
    pub log: Log,
    /// Where each service's credential comes from.
    pub credentials: BTreeMap<String, Origin>,
}

/// A configuration that can be served.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What somebody should know all the same.
    pub warnings: Vec<Mistake>,
    /// The hash of its text.
    pub digest: String,
    /// The folder from which its paths are reckoned.
    pub folder: PathBuf,
}

/// Reads and understands a file, or the files of a folder. The error names everything that is wrong, in their order.
pub fn load(path: &Path) -> Result<Loaded, Vec<Mistake>> {
    parse(&read(path).map_err(|mistake| vec![mistake])?)
}

/// Understands the files' text. The error names everything that is wrong, in the order of the text.
pub fn parse(source: &Source) -> Result<Loaded, Vec<Mistake>> {
    let notes = Notes::new(source);
    let tree = tree(source, &notes, Some(&|name| std::env::var_os(name)));
    let config = tree.as_ref().and_then(|node| config(Cursor::new(node, &notes)));
    match config {
        Some(config) if !notes.has_errors() => {
            let (digest, folder) = (source.digest(), source.folder().to_owned());
            Ok(Loaded { config, warnings: notes.into_found(), digest, folder })
        }
        _ => Err(notes.into_found()),
    }
}

/// The one tree of all files, with the values of the environment in it where that is given.
fn tree(source: &Source, notes: &Notes, environment: Option<environment::Lookup>) -> Option<Node> {
    // Every file is read before the first failure counts.
    let trees: Vec<_> = source.files().iter().map(|file| yaml::read(file, notes)).collect();
    let trees = trees.into_iter().collect::<Option<Vec<_>>>()?;
    let mut tree = merge::merge(trees, notes)?;
    if let Some(lookup) = environment {
        environment::resolve(&mut tree, notes, lookup);
    }
    Some(tree)
}

const KEYS: [&str; 12] = [
    "listeners",
    "admin",
    "participants",
    "journal",
    "history",
    "workers",
    "drain",
    "log",
    "limits",
    "retry",
    "services",
    "routes",
];

/// How long requests under way may take when the process ends, where nothing is said.
const DRAIN: Duration = Duration::from_secs(30);

/// How long after that who is told where an answer will be may take to hear it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The longest that a process may take for its end.
const LONGEST_DRAIN: Duration = Duration::from_secs(60 * 60);

fn config(cursor: Cursor) -> Option<Config> {
    let fields = cursor.fields("the configuration", &KEYS)?;
    let Addresses { listeners, admin, participants } = server::addresses(&fields);
    let workers = server::workers(&fields);
    let log = server::log(&fields);
    let (mut limits, open_transactions) = limits::limits(&fields);
    let mut drain = DRAIN;
    fields.set("drain", &mut drain, |cursor| cursor.duration(Duration::ZERO..=LONGEST_DRAIN));
    limits.grace = drain + LAST_WORDS;
    let journal = journal::journal(&fields, limits.transaction_body_bytes);
    let directory = journal.as_ref().map(|journal| journal.directory.as_path());
    let (history, keys) = history::history(&fields, directory);
    let keyring = sealing::sealing(&fields);
    let retry = limits::retry(&fields);
    // Each worker has its own budget.
    let per_second = retry.budget_per_second / workers as f64;
    limits.retries = Allowance { ratio: retry.budget_ratio, per_second };
    let services = services::services(&fields);
    let routes = routes::routes(&fields, &services);
    routes::check_together(&routes, &services);
    services.check_use(participants.as_ref(), fields.notes());
    let routes = routes.into_iter().map(|route| route.config).collect();
    let credentials = services.known.into_iter().map(|(name, service)| (name, service.origin)).collect();
    Some(Config {
        gateway: unanimo_gateway::Config { listeners, routes, limits },
        upstream: services.config,
        history,
        keys,
        journal: journal?,
        keyring,
        admin,
        participants,
        workers,
        open_transactions,
        retry,
        drain,
        log,
        credentials,
    })
}

#[cfg(test)]
mod tests;
