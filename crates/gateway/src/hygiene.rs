//! Which headers may pass. What concerns one connection stays on it, and what is ours to say nobody else says.

use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use unanimo_contract::headers;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Takes from a request what may not go on, and says who asks and for which host, as services may believe it.
pub(crate) fn clean_request(
    headers: &mut HeaderMap,
    version: Version,
    client: &HeaderValue,
    host: Option<&HeaderValue>,
) {
    // Trailers of requests are dropped, and so is their announcement: services that merge them into the head would let
    // a client add there what is removed here. A body's length stays: whoever sends it checks it.
    let removed =
        |name: &HeaderName| is_hop_by_hop(name) || *name == EXPECT || *name == TRAILER || is_ours(name);
    remove(headers, removed);
    headers.insert(X_FORWARDED_FOR, client.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    let via = if version == Version::HTTP_2 { "2.0 unanimo" } else { "1.1 unanimo" };
    headers.append(VIA, HeaderValue::from_static(via));
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host.clone());
        headers.insert(HOST, host.clone());
    }
}

/// Takes from an answer what may not go to a client.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    // What came in chunks has no other length.
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    remove(headers, |name| is_hop_by_hop(name) || is_chunked && *name == CONTENT_LENGTH);
}

/// Whether the client can take trailers with the answer.
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token.eq_ignore_ascii_case("trailers"))
}

/// Whether the client wants another protocol, and would be lost without it. Not so `h2c`: clients offer it with each
/// first request, and go on with HTTP/1.1 when nobody answers to it.
pub(crate) fn wants_upgrade(headers: &HeaderMap) -> bool {
    tokens(headers, &UPGRADE).any(|protocol| !protocol.eq_ignore_ascii_case("h2c"))
}

/// The comma-separated members of a header, over all its lines.
pub(crate) fn tokens<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    // Most messages have nothing to remove, and a vector without elements costs nothing.
    let mut names: Vec<_> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    names.extend(tokens(headers, &CONNECTION).filter_map(|token| token.parse().ok()));
    for name in names {
        headers.remove(name);
    }
}

/// What concerns one connection only.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION].contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// What only we say to services. Many programs cannot tell `-` from `_` in a name, so neither do we.
pub(crate) fn is_ours(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 2] = [headers::PREFIX, "x-forwarded-"];
    const NAMES: [&str; 2] = ["x-real-ip", "proxy"];
    let name_is = |ours: &str| name.as_str().len() == ours.len() && starts_like(name.as_str(), ours);
    *name == FORWARDED
        || PREFIXES.iter().any(|prefix| starts_like(name.as_str(), prefix))
        || NAMES.iter().any(|ours| name_is(ours))
}

fn starts_like(name: &str, prefix: &str) -> bool {
    let same = |(theirs, ours): (u8, u8)| theirs == ours || theirs == b'_' && ours == b'-';
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn left(headers: &HeaderMap) -> Vec<String> {
        let lines = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut lines: Vec<_> = lines.collect();
        lines.sort();
        lines
    }

    #[test]
    fn what_concerns_the_connection_stays_on_it() {
        let mut headers = map(&[
            ("connection", "close, X-One"),
            ("connection", "x-two,,"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("trailer", "x-late"),
            ("accept", "*/*"),
            ("authorization", "Bearer mine"),
        ]);
        clean_request(&mut headers, Version::HTTP_11, &HeaderValue::from_static("::1"), None);
        let ours = ["via: 1.1 unanimo", "x-forwarded-for: ::1", "x-forwarded-proto: http"];
        assert_eq!(left(&headers), [&["accept: */*", "authorization: Bearer mine"][..], &ours[..]].concat());
    }

    #[test]
    fn nobody_speaks_in_our_name() {
        let mut headers = map(&[
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-user", "root"),
            ("x_forwarded_for", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x_real_ip", "10.0.0.1"),
            ("proxy", "http://evil"),
            ("unanimo-transaction", "x"),
            ("unanimo_branch", "x"),
            ("proxying", "stays"),
            ("x-real-ip-2", "stays"),
            ("via", "1.1 other"),
        ]);
        let (client, host) = (HeaderValue::from_static("192.0.2.1"), HeaderValue::from_static("h:1"));
        clean_request(&mut headers, Version::HTTP_2, &client, Some(&host));
        assert_eq!(
            left(&headers),
            [
                "host: h:1",
                "proxying: stays",
                "via: 1.1 other",
                "via: 2.0 unanimo",
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-host: h:1",
                "x-forwarded-proto: http",
                "x-real-ip-2: stays",
            ]
        );
    }

    #[test]
    fn an_answer_in_chunks_has_no_other_length() {
        let mut headers = map(&[("content-length", "5"), ("transfer-encoding", "chunked"), ("trailer", "x")]);
        clean_answer(&mut headers);
        assert_eq!(left(&headers), ["trailer: x"]);
        let mut headers = map(&[("content-length", "5"), ("connection", "close")]);
        clean_answer(&mut headers);
        assert_eq!(left(&headers), ["content-length: 5"]);
    }

    #[test]
    fn an_offer_of_http2_is_no_demand() {
        assert!(!wants_upgrade(&map(&[("upgrade", "h2c")])));
        assert!(wants_upgrade(&map(&[("upgrade", "websocket")])));
        assert!(wants_upgrade(&map(&[("upgrade", "h2c, websocket")])));
        assert!(takes_trailers(&map(&[("te", "gzip, Trailers")])));
        assert!(!takes_trailers(&map(&[("te", "gzip")])));
    }
}
