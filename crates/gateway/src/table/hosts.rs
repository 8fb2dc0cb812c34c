//! Trees by host: the host itself before a wildcard, a longer wildcard before a shorter one, any host last.

use super::tree::Node;
use std::collections::HashMap;

/// A tree for each host that routes name, and one for all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hosts {
    exact: HashMap<Box<str>, Node>,
    /// By what follows the `*.`.
    wildcard: HashMap<Box<str>, Node>,
    any: Node,
}

/// A host as a route names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostPattern {
    Any,
    Exact(Box<str>),
    Below(Box<str>),
}

impl HostPattern {
    /// Reads a route's host. The error is a sentence about it.
    pub(crate) fn parse(host: Option<&str>) -> Result<HostPattern, String> {
        let Some(host) = host else { return Ok(HostPattern::Any) };
        let below = host.strip_prefix("*.");
        let name = below.unwrap_or(host);
        let in_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let is_name =
            !name.is_empty() && name.split('.').all(|label| !label.is_empty() && label.bytes().all(in_name));
        let is_ipv6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_ipv6 = is_ipv6.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok());
        if is_name && below.is_some() {
            Ok(HostPattern::Below(name.into()))
        } else if is_name || is_ipv6 && below.is_none() {
            Ok(HostPattern::Exact(name.into()))
        } else {
            Err(format!(
                "the host `{host}` must be a name in lower case without a port, as in `api.example.org`"
            ))
        }
    }
}

impl Hosts {
    pub(crate) fn tree_mut(&mut self, host: HostPattern) -> &mut Node {
        match host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name).or_default(),
            HostPattern::Below(name) => self.wildcard.entry(name).or_default(),
        }
    }

    /// The trees that a host's requests are looked up in, in their order.
    pub(crate) fn trees(&self, host: Option<&str>) -> impl Iterator<Item = &Node> {
        let exact = host.filter(|_| !self.exact.is_empty()).and_then(|host| self.exact.get(host));
        let named = host.filter(|_| !self.wildcard.is_empty());
        let parents = std::iter::successors(named, |name| Some(name.split_once('.')?.1)).skip(1);
        exact.into_iter().chain(parents.filter_map(|name| self.wildcard.get(name))).chain([&self.any])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_a_wildcard() {
        let parse = |host| HostPattern::parse(Some(host));
        assert_eq!(HostPattern::parse(None), Ok(HostPattern::Any));
        assert_eq!(parse("a.example.org"), Ok(HostPattern::Exact("a.example.org".into())));
        assert_eq!(parse("127.0.0.1"), Ok(HostPattern::Exact("127.0.0.1".into())));
        assert_eq!(parse("[::1]"), Ok(HostPattern::Exact("[::1]".into())));
        assert_eq!(parse("*.example.org"), Ok(HostPattern::Below("example.org".into())));
        for host in
            ["", "*", "*.", "a..b", "A.org", "a:80", "a.*.org", "a b", "[::g]", "*.[::1]", ".org", "org."]
        {
            assert!(parse(host).is_err(), "{host}");
        }
    }
}
