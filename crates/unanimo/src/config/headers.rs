//! Names and values of headers that a route sets or lets travel.

use super::cursor::Cursor;
use super::template::{Place, Scope};
use http::HeaderName;
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use unanimo_contract::headers::{IDEMPOTENCY_KEY, PREFIX, TRACEPARENT, TRACESTATE};

/// What a header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It goes with a branch's calls.
    Call,
    /// It goes with the answer to the client.
    Answer,
    /// It is the client's, and travels on.
    Credential,
    /// It is the client's, and chooses the route.
    Match,
}

/// Headers of the connection, which each side makes for itself.
const HOP_BY_HOP: [HeaderName; 8] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
const HOP_BY_HOP_TOO: [&str; 2] = ["keep-alive", "proxy-connection"];

/// Reads a mapping of names to texts with expressions. Names come back in lower case.
pub fn read(cursor: Cursor, usage: Use, scope: &Scope) -> Option<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut complete = true;
    for named in cursor.named("`headers`")? {
        let name = match name(named.key, usage) {
            Ok(name) => Some(name),
            Err((message, help)) => {
                cursor.notes().wrong_but(named.key_span, message, help);
                None
            }
        };
        let value = named.value.template(Place::Header, scope);
        let (Some(name), Some(value)) = (name, value) else {
            complete = false;
            continue;
        };
        if headers.iter().any(|(other, _)| name == other.as_str()) {
            named.wrong(format!("`{name}` stands there twice: headers are the same in upper and lower case"));
        }
        headers.push((name.as_str().to_owned(), value.to_owned()));
    }
    complete.then_some(headers)
}

/// The header of this name, if it may be used so; else why not, and what to do.
pub fn name(text: &str, usage: Use) -> Result<HeaderName, (String, &'static str)> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err((
            format!("`{text}` cannot be the name of a header"),
            "names are letters, digits and `-`",
        ));
    };
    let ours = name.as_str().starts_with(PREFIX);
    let why = match name.as_str() {
        _ if ours => "headers that begin with `unanimo-` are Unanimo's own",
        text if HOP_BY_HOP.contains(&name) || HOP_BY_HOP_TOO.contains(&text) => {
            "it belongs to one connection, and each side makes its own"
        }
        _ if usage == Use::Match => return Ok(name),
        IDEMPOTENCY_KEY if usage != Use::Answer => {
            "each call has its own: `<transaction>/<branch>/<operation>`"
        }
        TRACEPARENT | TRACESTATE if usage != Use::Answer => "every call carries the client's trace by itself",
        _ if name == CONTENT_TYPE && usage != Use::Answer => "a call's body is always JSON, and says so",
        _ if name == AUTHORIZATION && usage == Use::Call => {
            "use the service's `credential`, or the transaction's `pass_credentials`"
        }
        _ => return Ok(name),
    };
    Err((format!("the header `{name}` cannot be used here"), why))
}
