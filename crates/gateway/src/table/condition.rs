//! What a route asks of headers and query, besides host, path and method.

use crate::{Match, ValueMatch, hygiene, parts};
use http::header::{HOST, HeaderMap, HeaderName};

/// How many conditions a route may have of each kind.
const MOST: usize = 16;

/// All that must hold for a request to be taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    headers: Box<[(HeaderName, ValueMatch)]>,
    query: Box<[(String, ValueMatch)]>,
}

impl Conditions {
    /// Reads a route's conditions. The error is a sentence about them.
    pub(crate) fn parse(matching: &Match) -> Result<Conditions, String> {
        if matching.headers.len() > MOST || matching.query.len() > MOST {
            return Err(format!(
                "a route may name at most {MOST} headers and {MOST} parameters of the query"
            ));
        }
        for (name, _) in &matching.headers {
            if *name == HOST {
                return Err("the header `host` is matched by `host`".to_owned());
            }
            if hygiene::is_hop_by_hop(name) || hygiene::is_ours(name) {
                return Err(format!(
                    "the header `{name}` is made by each side for itself, and is not believed"
                ));
            }
        }
        Ok(Conditions { headers: matching.headers.clone().into(), query: matching.query.clone().into() })
    }

    /// Whether the request meets all of them.
    pub(crate) fn hold(&self, headers: &HeaderMap, query: Option<&str>) -> bool {
        self.headers
            .iter()
            .all(|(name, wanted)| wanted.holds(headers.get_all(name).iter().map(|line| line.as_bytes())))
            && self.query.iter().all(|(name, wanted)| {
                let values: Vec<_> = parts::values(query, name).collect();
                wanted.holds(values.iter().map(|value| value.as_ref()))
            })
    }

    /// How specific they are: the number of headers, then of parameters.
    pub(crate) fn weight(&self) -> (usize, usize) {
        (self.headers.len(), self.query.len())
    }

    /// Whether every request that meets these meets those too.
    pub(crate) fn imply(&self, those: &Conditions) -> bool {
        implied(&self.headers, &those.headers) && implied(&self.query, &those.query)
    }
}

fn implied<N: PartialEq>(these: &[(N, ValueMatch)], those: &[(N, ValueMatch)]) -> bool {
    those
        .iter()
        .all(|(name, wanted)| these.iter().any(|(known, given)| known == name && given.implies(wanted)))
}

impl ValueMatch {
    /// Whether one of the values fits; for absence, whether there is none.
    fn holds<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
        match self {
            ValueMatch::Exact(text) => values.any(|value| value == text.as_bytes()),
            ValueMatch::Prefix(text) => values.any(|value| value.starts_with(text.as_bytes())),
            ValueMatch::Present => values.next().is_some(),
            ValueMatch::Absent => values.next().is_none(),
        }
    }

    fn implies(&self, that: &ValueMatch) -> bool {
        match (self, that) {
            (ValueMatch::Absent, _) | (_, ValueMatch::Absent) => self == that,
            (_, ValueMatch::Present) => true,
            (ValueMatch::Exact(this) | ValueMatch::Prefix(this), ValueMatch::Prefix(that)) => {
                this.starts_with(that.as_str())
            }
            (_, _) => self == that,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ValueMatch::{Absent, Exact, Prefix, Present};

    #[test]
    fn one_value_that_fits_is_enough() {
        let holds =
            |wanted: &ValueMatch, values: &[&str]| wanted.holds(values.iter().map(|value| value.as_bytes()));
        assert!(holds(&Exact("b".into()), &["a", "b"]) && !holds(&Exact("b".into()), &["a", "bb", "B"]));
        assert!(holds(&Prefix("b".into()), &["a", "bb"]) && !holds(&Prefix("b".into()), &["ab", ""]));
        assert!(holds(&Present, &[""]) && !holds(&Present, &[]));
        assert!(holds(&Absent, &[]) && !holds(&Absent, &[""]));
    }

    #[test]
    fn what_is_narrower_implies_what_is_wider() {
        let all =
            [Exact("ab".into()), Exact("a".into()), Prefix("ab".into()), Prefix("a".into()), Present, Absent];
        let values: [&[&str]; 6] = [&[], &[""], &["a"], &["ab"], &["abc"], &["x", "ab"]];
        let holds =
            |wanted: &ValueMatch, values: &[&str]| wanted.holds(values.iter().map(|value| value.as_bytes()));
        for (this, that) in all.iter().flat_map(|this| all.iter().map(move |that| (this, that))) {
            let never_alone = values.iter().all(|values| !holds(this, values) || holds(that, values));
            assert_eq!(this.implies(that), never_alone, "{this:?} {that:?}");
        }
    }
}
