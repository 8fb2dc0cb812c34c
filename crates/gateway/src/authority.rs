//! Which host a request is for. It decides which route it takes, so there must be no two opinions about it.

use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Uri, Version};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The longest host with its port, in bytes: the longest name in DNS, and some.
const LONGEST: usize = 261;

/// The host as the client wrote it: that of the whole target where there is one, else that of the `Host` header.
/// The error is a sentence about the request.
pub(crate) fn of_request(
    uri: &Uri,
    headers: &mut HeaderMap,
    version: Version,
) -> Result<Option<HeaderValue>, &'static str> {
    let mut lines = headers.get_all(HOST).iter();
    let first = lines.next();
    if lines.next().is_some() {
        return Err("the request has more than one Host");
    }
    let is_in_target = version == Version::HTTP_2 && uri.authority().is_some();
    if first.is_none() && version >= Version::HTTP_11 && !is_in_target {
        return Err("the request has no Host");
    }
    let host = headers.remove(HOST).filter(|host| !host.is_empty());
    let Some(authority) = uri.authority() else { return Ok(host) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("the target's scheme is neither http nor https");
    }
    // HTTP/1.1 says which of the two holds, and HTTP/2 that they are the same.
    let is_same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes());
    if is_in_target && !host.as_ref().is_none_or(is_same) {
        return Err("the request names two hosts");
    }
    HeaderValue::from_str(authority.as_str()).map(Some).map_err(|_| "the target's host is malformed")
}

/// The host's name, in lower case and without its port, as routes know it. The error is a sentence about the request.
pub(crate) fn name(host: &HeaderValue) -> Result<Cow<'_, str>, &'static str> {
    const MALFORMED: &str = "the Host is malformed";
    let host = host.to_str().ok().filter(|host| host.len() <= LONGEST).ok_or(MALFORMED)?;
    let (name, port) = match host.find(']') {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    if !is_port(port) || !(is_name(name) || is_ipv6(name)) {
        return Err(MALFORMED);
    }
    // A dot at the end names the same host.
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    Ok(if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) })
}

/// Whether this is nothing, or a colon with a port or nothing after it.
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else { return text.is_empty() };
    digits.is_empty() || digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_ipv6(name: &str) -> bool {
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &'static str) -> Option<String> {
        name(&HeaderValue::from_static(host)).ok().map(Cow::into_owned)
    }

    fn of(
        target: &str,
        hosts: &[&'static str],
        version: Version,
    ) -> Result<Option<HeaderValue>, &'static str> {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_static(host));
        }
        of_request(&target.parse().unwrap(), &mut headers, version)
    }

    #[test]
    fn a_host_has_one_name() {
        for (host, name) in [
            ("api.example.org", "api.example.org"),
            ("API.Example.org.:8080", "api.example.org"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a:", "a"),
        ] {
            assert_eq!(named(host).as_deref(), Some(name), "{host}");
        }
        for host in
            ["a b", "a@b", "a:b", "a:80:80", "a/b", "a,b", "[::g]", "[::1]x", "::1", "a:65536", ":80", "a:+1"]
        {
            assert_eq!(named(host), None, "{host}");
        }
    }

    #[test]
    fn there_is_one_host_or_none() {
        let value = |host| Ok(Some(HeaderValue::from_static(host)));
        assert_eq!(of("/", &["a"], Version::HTTP_11), value("a"));
        assert_eq!(of("/", &[""], Version::HTTP_11), Ok(None));
        assert_eq!(of("/", &[], Version::HTTP_10), Ok(None));
        assert!(of("/", &[], Version::HTTP_11).is_err());
        assert!(of("/", &["a", "a"], Version::HTTP_11).is_err());
        assert_eq!(of("http://b:1/x", &["a"], Version::HTTP_11), value("b:1"));
        assert!(of("ftp://b/x", &["a"], Version::HTTP_11).is_err());
        assert_eq!(of("http://b:1/x", &[], Version::HTTP_2), value("b:1"));
        assert_eq!(of("http://b:1/x", &["B:1"], Version::HTTP_2), value("b:1"));
        assert_eq!(of("/x", &["a"], Version::HTTP_2), value("a"));
        assert!(of("/x", &[], Version::HTTP_2).is_err());
        assert!(of("http://b:1/x", &["a"], Version::HTTP_2).is_err());
        assert!(of("http://b:1/x", &["b:1", "b:1"], Version::HTTP_2).is_err());
        assert!(of("ftp://b/x", &[], Version::HTTP_2).is_err());
        assert!(of("http://b:1/x", &[], Version::HTTP_11).is_err());
    }
}
