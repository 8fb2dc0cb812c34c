//! A route's path, read: literals and parameters, segment by segment.

use crate::PathMatch;
use crate::path::Path;

/// A path that routes are found by.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
    /// Whether everything below is meant too.
    pub(crate) is_prefix: bool,
}

/// One segment of a pattern.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    /// This text, percent-decoded. Empty after a slash at the end of an exact path.
    Literal(String),
    /// Any one segment that is not empty.
    Parameter(String),
}

impl Pattern {
    /// Reads a route's path. The error is a sentence about it.
    pub(crate) fn parse(path: &PathMatch) -> Result<Pattern, String> {
        let (text, is_prefix) = match path {
            PathMatch::Exact(text) => (text, false),
            PathMatch::Prefix(text) => (text, true),
        };
        let rest =
            text.strip_prefix('/').ok_or_else(|| format!("the path `{text}` must begin with a slash"))?;
        // The path itself and all below it: a slash at the end of a prefix says nothing.
        let rest = if is_prefix { rest.strip_suffix('/').unwrap_or(rest) } else { rest };
        let mut segments = Vec::new();
        if !(is_prefix && rest.is_empty()) {
            let mut parts = rest.split('/').peekable();
            while let Some(part) = parts.next() {
                let may_be_empty = !is_prefix && parts.peek().is_none();
                let segment = Segment::parse(part, may_be_empty);
                segments.push(segment.map_err(|why| format!("the path `{text}` {why}"))?);
            }
        }
        let pattern = Pattern { segments, is_prefix };
        match pattern.name_given_twice() {
            Some(name) => Err(format!("the path `{text}` has two parameters `{name}`")),
            None => Ok(pattern),
        }
    }

    /// Names of the parameters, and the places of their segments.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, usize)> {
        self.segments.iter().enumerate().filter_map(|(at, segment)| match segment {
            Segment::Parameter(name) => Some((name.as_str(), at)),
            Segment::Literal(_) => None,
        })
    }

    /// Whether it means paths below this segment, and says so by name.
    pub(crate) fn is_below(&self, first: &str) -> bool {
        let opens_so = matches!(self.segments.first(), Some(Segment::Literal(literal)) if literal == first);
        opens_so && (self.is_prefix || self.segments.len() > 1)
    }

    fn name_given_twice(&self) -> Option<&str> {
        let names: Vec<_> = self.parameters().map(|(name, _)| name).collect();
        names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)).map(|(_, name)| *name)
    }
}

impl Segment {
    fn parse(text: &str, may_be_empty: bool) -> Result<Segment, &'static str> {
        if text.is_empty() {
            let empty = Ok(Segment::Literal(String::new()));
            return if may_be_empty {
                empty
            } else {
                Err("has an empty segment, which no request's path has")
            };
        }
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let is_name =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let named = Ok(Segment::Parameter(name.to_owned()));
            return if is_name {
                named
            } else {
                Err("has a parameter whose name is not of letters, digits and `_`")
            };
        }
        if text.contains(['{', '}']) {
            return Err(
                "has a brace in a segment: a parameter takes a whole segment, as in `/accounts/{account}`",
            );
        }
        if text.contains(['?', '#', '*']) {
            return Err(
                "has a `?`, `#` or `*`: only a path can be matched; percent-encode what is meant literally",
            );
        }
        // The request's path is matched decoded, so the literal is too.
        let whole = format!("/{text}");
        match Path::normalise(&whole) {
            Ok(path) if path.matched().len() > 1 => Ok(Segment::Literal(path.matched()[1..].to_owned())),
            Ok(_) | Err(_) => Err("has a segment that no request's path has"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(text: &str) -> Result<String, String> {
        Pattern::parse(&PathMatch::Exact(text.to_owned())).map(|pattern| shown(&pattern))
    }

    fn prefix(text: &str) -> Result<String, String> {
        Pattern::parse(&PathMatch::Prefix(text.to_owned())).map(|pattern| shown(&pattern))
    }

    fn shown(pattern: &Pattern) -> String {
        let segments = pattern.segments.iter().map(|segment| match segment {
            Segment::Literal(text) => format!("[{text}]"),
            Segment::Parameter(name) => format!("<{name}>"),
        });
        segments.collect()
    }

    #[test]
    fn paths_are_read_segment_by_segment() {
        assert_eq!(exact("/"), Ok("[]".into()));
        assert_eq!(exact("/a/{id}/b"), Ok("[a]<id>[b]".into()));
        assert_eq!(exact("/a/"), Ok("[a][]".into()));
        assert_eq!(exact("/%61%3A%7b/ä"), Ok("[a:{][ä]".into()));
        assert_eq!(prefix("/"), Ok(String::new()));
        assert_eq!(prefix("/a/"), Ok("[a]".into()));
        assert_eq!(prefix("/{tenant}/b"), Ok("<tenant>[b]".into()));
    }

    #[test]
    fn what_no_request_could_match_is_refused() {
        for text in [
            "", "a", "/a//b", "//", "/..", "/a/./b", "/a%2Fb", "/{}", "/{a-b}", "/x{a}", "/{a}x", "/a?b",
            "/*",
        ] {
            assert!(exact(text).is_err(), "{text}");
        }
        assert_eq!(exact("/{a}/{a}"), Err("the path `/{a}/{a}` has two parameters `a`".into()));
    }

    #[test]
    fn what_lies_below_is_known_by_its_first_segment() {
        let below = |path: PathMatch| Pattern::parse(&path).unwrap().is_below("problems");
        assert!(below(PathMatch::Prefix("/problems".into())));
        assert!(below(PathMatch::Exact("/problems/{x}".into())));
        assert!(!below(PathMatch::Exact("/problems".into())));
        assert!(!below(PathMatch::Prefix("/".into())));
        assert!(!below(PathMatch::Exact("/{x}/a".into())));
    }
}
