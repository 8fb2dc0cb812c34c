//! A change of protocol: what a client may ask for, and what a service may answer.

use crate::hygiene::{self, tokens};
use http::Version;
use http::header::{CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use unanimo_contract::{ClientAnswer, Problem};

/// What stays of a request that wants another protocol.
pub(crate) struct Wish<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) version: Version,
    pub(crate) has_body: bool,
}

/// The protocol that a client wants and the route lets it have; `None` where it wants none.
///
/// What two programs could read differently is refused: a wish that is not of this connection, and one with a body, of
/// which nobody knows to which protocol it belongs.
pub(crate) fn wanted<'a>(
    wish: &Wish<'_>,
    allowed: &'a [HeaderValue],
) -> Result<Option<&'a HeaderValue>, ClientAnswer> {
    if !hygiene::wants_upgrade(wish.headers) {
        return Ok(None);
    }
    let wanted = tokens(wish.headers, &UPGRADE).find_map(|token| allowed.iter().find(|it| is(it, token)));
    let Some(wanted) = wanted else { return Err(refusal()) };
    if wish.version != Version::HTTP_11 {
        return Err(Problem::NotImplemented.answer("only a connection of HTTP/1.1 changes its protocol"));
    }
    if !tokens(wish.headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return Err(Problem::BadRequest.answer("`Upgrade` stands there without `Connection: upgrade`"));
    }
    if wish.has_body {
        let detail = "a request that changes the protocol has no body here";
        return Err(Problem::NotImplemented.answer(detail).with_header("connection", "close"));
    }
    Ok(Some(wanted))
}

/// What a client is told that wants another protocol where there is none.
pub(crate) fn refusal() -> ClientAnswer {
    Problem::NotImplemented.answer("this path does not change the protocol of a connection to that one")
}

/// Whether the service answers that it goes on with this protocol, and no other.
pub(crate) fn is_taken_up(headers: &HeaderMap, wanted: &HeaderValue) -> bool {
    let mut taken = tokens(headers, &UPGRADE);
    taken.next().is_some_and(|token| is(wanted, token)) && taken.next().is_none()
}

/// Says it on the next connection: the header stays on each.
pub(crate) fn say(headers: &mut HeaderMap, protocol: &HeaderValue) {
    headers.insert(UPGRADE, protocol.clone());
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

fn is(protocol: &HeaderValue, token: &str) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(token.as_bytes())
}

/// Takes a protocol that a route is to allow, such as `websocket`; the error is a sentence about it.
pub fn check(protocol: &str) -> Result<HeaderValue, String> {
    // A name, and perhaps a version: each a token of HTTP.
    let is_token = |text: &str| http::Method::from_bytes(text.as_bytes()).is_ok();
    if !protocol.split('/').all(is_token) || protocol.split('/').count() > 2 {
        return Err(format!("`{protocol}` is not the name of a protocol, such as `websocket`"));
    }
    // Who speaks HTTP through the tunnel goes round the routes; and TLS is no business of a service behind one.
    let name = protocol.split('/').next().unwrap_or_default();
    if ["h2c", "h2", "http", "tls"].iter().any(|it| name.eq_ignore_ascii_case(it)) {
        return Err(format!("`{protocol}` cannot be tunnelled: its requests would go round every route"));
    }
    HeaderValue::from_str(protocol).map_err(|_| format!("`{protocol}` is not the name of a protocol"))
}
