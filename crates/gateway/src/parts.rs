//! The parts of a request that expressions may name, as text.

use crate::path::{Path, unescape};
use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName};
use std::borrow::Cow;
use std::string::FromUtf8Error;

/// A request's headers as expressions see them, once they are clean.
pub(crate) struct Visible<'a> {
    pub(crate) headers: &'a HeaderMap,
    /// Credentials, besides the usual ones: what an expression names is journaled, and credentials never are.
    pub(crate) hidden: &'a [HeaderName],
}

impl Visible<'_> {
    /// Those of these names whose values are text; several lines of one name are one, with commas.
    pub(crate) fn to_vec(&self, named: &[HeaderName]) -> Vec<(String, String)> {
        let names = named.iter().filter(|name| self.shows(name) && self.headers.contains_key(*name));
        names.filter_map(|name| Some((name.as_str().to_owned(), self.value(name)?))).collect()
    }

    fn shows(&self, name: &HeaderName) -> bool {
        *name != AUTHORIZATION && *name != COOKIE && !self.hidden.contains(name)
    }

    fn value(&self, name: &HeaderName) -> Option<String> {
        let mut whole = String::new();
        for (at, line) in self.headers.get_all(name).iter().enumerate() {
            if at > 0 {
                whole.push_str(", ");
            }
            whole.push_str(std::str::from_utf8(line.as_bytes()).ok()?);
        }
        Some(whole)
    }
}

/// The path in its normal form, with the query as it came.
pub(crate) fn target(path: &Path<'_>, query: Option<&str>) -> String {
    match query {
        Some(query) => [path.sent(), "?", query].concat(),
        None => path.sent().to_owned(),
    }
}

/// Names and values of the path's parameters, percent-decoded.
pub(crate) fn parameters(path: &Path<'_>, places: &[(Box<str>, usize)]) -> Vec<(String, String)> {
    let value = |at: usize| path.matched().split('/').nth(at + 1).unwrap_or_default();
    places.iter().map(|(name, at)| (name.to_string(), value(*at).to_owned())).collect()
}

/// These parameters of a query, percent-decoded; a plus stands for a space, as forms write it.
pub(crate) fn query(query: Option<&str>, named: &[String]) -> Result<Vec<(String, String)>, FromUtf8Error> {
    let pairs = named.iter().flat_map(|name| values(query, name).map(move |value| (name, value)));
    pairs.map(|(name, value)| Ok((name.clone(), String::from_utf8(value.into_owned())?))).collect()
}

/// The values of one parameter of a query, decoded.
pub(crate) fn values<'q, 'n>(
    query: Option<&'q str>,
    name: &'n str,
) -> impl Iterator<Item = Cow<'q, [u8]>> + use<'q, 'n> {
    let named = pairs(query).filter(move |(known, _)| *decoded(known) == *name.as_bytes());
    named.map(|(_, value)| decoded(value))
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'%' { unescape(&mut bytes.clone()) } else { None };
        match (byte, escaped) {
            (_, Some(escaped)) => {
                bytes.nth(1);
                out.push(escaped);
            }
            (b'+', None) => out.push(b' '),
            // A percent sign alone stands for itself, as browsers read it.
            (other, None) => out.push(other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let named = ["a", "b", "c", "", "%", "f", "g"].map(str::to_owned);
        assert_eq!(query(None, &named).unwrap(), pairs(&[]));
        assert_eq!(query(Some(""), &named).unwrap(), pairs(&[]));
        let read = query(Some("a=1&b=x+y%26&&c&a=%C3%A4&=e&%=100%&f=%4&z=%ff"), &named).unwrap();
        let expected =
            [("a", "1"), ("a", "ä"), ("b", "x y&"), ("c", ""), ("", "e"), ("%", "100%"), ("f", "%4")];
        assert_eq!(read, pairs(&expected));
        assert!(query(Some("a=%ff"), &named).is_err());
        let values = |name| values(Some("a=1&%61=x+y&b&c=%ff"), name).collect::<Vec<_>>();
        assert_eq!(values("a"), [&b"1"[..], b"x y"]);
        assert_eq!((values("b"), values("c"), values("d")), (vec![b"".into()], vec![b"\xff".into()], vec![]));
    }

    #[test]
    fn parameters_are_decoded() {
        let path = Path::normalise("/accounts/a%20b%3F/x/%C3%A4").unwrap();
        let places = [("account".into(), 1), ("last".into(), 3)];
        assert_eq!(parameters(&path, &places), pairs(&[("account", "a b?"), ("last", "ä")]));
        assert_eq!(target(&path, Some("q=1")), "/accounts/a%20b%3F/x/%C3%A4?q=1");
    }

    #[test]
    fn credentials_are_not_to_be_named() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("cookie", "session=x"),
            ("x-api-key", "x"),
            ("accept", "a"),
            ("accept", "b"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-binary", HeaderValue::from_bytes(&[0xff]).unwrap());
        let hidden = [HeaderName::from_static("x-api-key")];
        let named: Vec<_> = headers.keys().cloned().chain([HeaderName::from_static("x-other")]).collect();
        let visible = Visible { headers: &headers, hidden: &hidden };
        assert_eq!(visible.to_vec(&named), pairs(&[("accept", "a, b")]));
        assert_eq!(visible.to_vec(&named[1..2]), pairs(&[]));
    }
}
