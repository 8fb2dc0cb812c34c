//! Where the process listens, with how many workers, and what it logs.

use super::cursor::{Cursor, Fields};
use super::scalars::check_name;
use super::source::Span;
use std::net::SocketAddr;
use unanimo_gateway::ListenerConfig;
use unanimo_protocol::Shard;

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important lines that are written.
    pub level: Level,
    /// How they look.
    pub format: Format,
    /// Whether there is a line for each request.
    pub access: bool,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something failed, and somebody must act.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Log {
        Log { level: Level::Info, format: Format::Text, access: false }
    }
}

/// An address that somebody listens on, and where the configuration says so.
type Taken = (SocketAddr, Span);

/// Where participants ask for verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantsConfig {
    /// Where the gateway listens for them.
    pub address: SocketAddr,
    /// How they reach it, without a path; by the address where nothing is said.
    pub url: Option<String>,
}

/// Where the process listens.
pub struct Addresses {
    /// For clients.
    pub listeners: Vec<ListenerConfig>,
    /// For operators.
    pub admin: Option<SocketAddr>,
    /// For participants that ask.
    pub participants: Option<ParticipantsConfig>,
}

/// Reads `listeners`, `admin` and `participants`.
pub fn addresses(fields: &Fields) -> Addresses {
    let mut taken = Vec::new();
    let listeners = fields.need("listeners").map(|cursor| listeners(cursor, &mut taken)).unwrap_or_default();
    let admin = fields.get("admin").and_then(|cursor| admin(cursor, &mut taken));
    let participants = fields.get("participants").and_then(|cursor| participants(cursor, &mut taken));
    Addresses { listeners, admin, participants }
}

fn participants(cursor: Cursor, taken: &mut Vec<Taken>) -> Option<ParticipantsConfig> {
    let fields = cursor.fields("`participants`", &["address", "url"])?;
    let address = free_address(fields.need("address")?, taken)?;
    let url = fields.get("url").map(origin);
    if url.is_none() && address.ip().is_unspecified() {
        let message =
            format!("participants cannot reach `{address}`: it stands for every address of this machine");
        cursor.wrong_but(message, "say how they reach it: `url: http://gateway.internal:8082`");
    }
    if url.is_none() && address.port() == 0 {
        let message =
            "the port 0 is another one at each start, and participants keep the address that they were given";
        let help = "name a port, or say with `url` how they reach it";
        cursor.notes().unwise(fields.span_of("address"), message, help);
    }
    Some(ParticipantsConfig { address, url: url.map_or(Some(None), |url| url.map(Some))? })
}

/// Scheme and authority of a URL, and nothing after it.
fn origin(cursor: Cursor) -> Option<String> {
    let text = cursor.text()?;
    let uri: Option<http::Uri> = text.parse().ok();
    let plain = uri.filter(|uri| {
        uri.scheme_str() == Some("http")
            && uri.authority().is_some()
            && uri.path() == "/"
            && uri.query().is_none()
    });
    if plain.is_none() {
        cursor.wrong_but(format!("`{text}` is not `http://host:port`"), "the gateway adds the path itself");
    }
    plain.map(|_| text.trim_end_matches('/').to_owned())
}

fn listeners(cursor: Cursor, taken: &mut Vec<Taken>) -> Vec<ListenerConfig> {
    let mut listeners = Vec::new();
    let Some(named) = cursor.named("`listeners`") else { return listeners };
    if named.is_empty() {
        cursor.wrong("at least one listener is needed");
    }
    for listener in named {
        if let Err(message) = check_name("a listener", listener.key) {
            listener.wrong(message);
        }
        if let Some(address) = address(listener.value, "a listener", taken) {
            listeners.push(ListenerConfig { name: listener.key.to_owned(), address });
        }
    }
    listeners
}

fn admin(cursor: Cursor, taken: &mut Vec<Taken>) -> Option<SocketAddr> {
    let address = address(cursor, "`admin`", taken)?;
    if !address.ip().to_canonical().is_loopback() {
        let message = format!("`admin` may listen on loopback alone, and `{}` is not loopback", address.ip());
        let help = "this version has neither TLS nor a credential for it: \
                    write `127.0.0.1`, and reach it from elsewhere by a tunnel";
        let span = taken.last().map_or(cursor.span(), |(_, span)| *span);
        cursor.notes().wrong_but(span, message, help);
    }
    Some(address)
}

fn address(cursor: Cursor, what: &'static str, taken: &mut Vec<Taken>) -> Option<SocketAddr> {
    free_address(cursor.fields(what, &["address"])?.need("address")?, taken)
}

fn free_address(value: Cursor, taken: &mut Vec<Taken>) -> Option<SocketAddr> {
    let address = value.address()?;
    let clashes = |(other, _): &&Taken| {
        let same_ip =
            other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified();
        address.port() != 0 && other.port() == address.port() && same_ip
    };
    if let Some((other, span)) = taken.iter().find(clashes) {
        let at = value.notes().source().mention(span.start, value.span().start);
        value.wrong(format!("`{address}` is taken: {at} listens on `{other}`"));
    }
    taken.push((address, value.span()));
    Some(address)
}

/// Reads `workers`; one for each core where nothing is said.
pub fn workers(fields: &Fields) -> usize {
    let most = usize::from(Shard::COUNT);
    match fields.get("workers") {
        Some(cursor) => cursor.count(1..=most).unwrap_or(1),
        None => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(most)),
    }
}

/// Reads `log`.
pub fn log(fields: &Fields) -> Log {
    const LEVELS: [(&str, Level); 5] = [
        ("error", Level::Error),
        ("warn", Level::Warn),
        ("info", Level::Info),
        ("debug", Level::Debug),
        ("trace", Level::Trace),
    ];
    const FORMATS: [(&str, Format); 2] = [("text", Format::Text), ("json", Format::Json)];
    let mut log = Log::default();
    let Some(fields) =
        fields.get("log").and_then(|cursor| cursor.fields("`log`", &["level", "format", "access"]))
    else {
        return log;
    };
    fields.set("level", &mut log.level, |cursor| cursor.word("a level", &LEVELS));
    fields.set("format", &mut log.format, |cursor| cursor.word("a format", &FORMATS));
    fields.set("access", &mut log.access, Cursor::boolean);
    if let Some(cursor) = fields.get("access").filter(|_| log.access)
        && matches!(log.level, Level::Error | Level::Warn)
    {
        cursor.wrong("the lines of `access` are of the level `info`, and `level` leaves that out");
    }
    log
}
