//! The table against a matcher that tries every route.

use super::*;
use proptest::prelude::*;
use std::cmp::Reverse;

/// How specific a match is; larger is more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    host: (u8, usize),
    /// Each segment, and the path's end.
    path: Vec<u8>,
    method: bool,
    conditions: (usize, usize),
    /// Those that are listed first.
    place: Reverse<usize>,
}

const LITERAL: u8 = 3;
const PARAMETER: u8 = 2;
const EXACT_END: u8 = 1;
const PREFIX_END: u8 = 0;

/// A request of the property: its header `x` and its parameter `p`, where it has them.
#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    path: String,
    x: Option<&'static str>,
    p: Option<&'static str>,
}

impl Asked {
    fn text(&self) -> String {
        let Asked { method, host, path, x, p } = self;
        let query = p.map_or(String::new(), |p| format!("?p={p}"));
        format!("{method} {host}{path}{query}{}", x.map_or(String::new(), |x| format!(" x={x}")))
    }

    fn meets(&self, route: &RouteConfig) -> bool {
        let fits = |value: Option<&str>, wanted: &ValueMatch| match wanted {
            ValueMatch::Exact(text) => value == Some(text),
            ValueMatch::Prefix(text) => value.is_some_and(|value| value.starts_with(text)),
            ValueMatch::Present => value.is_some(),
            ValueMatch::Absent => value.is_none(),
        };
        route.matching.headers.iter().all(|(_, wanted)| fits(self.x, wanted))
            && route.matching.query.iter().all(|(_, wanted)| fits(self.p, wanted))
    }
}

/// Says by the text of the rule alone how well a route fits a request; `None` if it does not, whatever the method.
fn rank(place: usize, route: &RouteConfig, asked: &Asked) -> Option<Rank> {
    let (host, path, method) = (asked.host, asked.path.as_str(), asked.method);
    let by_host = match route.matching.host.as_deref() {
        None => (0, 0),
        Some(wildcard) if wildcard.starts_with('*') => {
            host.ends_with(&wildcard[1..]).then_some((1, wildcard.len()))?
        }
        Some(name) => (name == host).then_some((2, 0))?,
    };
    let (pattern, is_prefix) = match &route.matching.path {
        PathMatch::Exact(path) => (path.as_str(), false),
        PathMatch::Prefix(path) => (path.trim_end_matches('/'), true),
    };
    let wanted: Vec<_> = pattern.split('/').skip(1).collect();
    let given: Vec<_> = path.split('/').skip(1).collect();
    if given.len() < wanted.len() || !is_prefix && given.len() > wanted.len() {
        return None;
    }
    let mut by_path = Vec::new();
    for (wanted, given) in wanted.iter().zip(&given) {
        by_path.push(match wanted.starts_with('{') {
            true if !given.is_empty() => PARAMETER,
            false if wanted == given => LITERAL,
            true | false => return None,
        });
    }
    by_path.push(if is_prefix { PREFIX_END } else { EXACT_END });
    let method = route.matching.methods.iter().any(|known| known == method);
    let conditions = (route.matching.headers.len(), route.matching.query.len());
    let rank = Rank { host: by_host, path: by_path, method, conditions, place: Reverse(place) };
    asked.meets(route).then_some(rank)
}

fn naive<'r>(routes: &'r [RouteConfig], asked: &Asked) -> Result<&'r str, String> {
    let fitting =
        || routes.iter().enumerate().filter_map(|(place, route)| Some((rank(place, route, asked)?, route)));
    let taking = fitting().filter(|(rank, route)| rank.method || route.matching.methods.is_empty());
    let best = taking.max_by(|(one, _), (other, _)| one.cmp(other));
    best.map(|(_, route)| route.name.as_str()).ok_or_else(|| {
        let methods: BTreeSet<_> =
            fitting().flat_map(|(_, route)| &route.matching.methods).map(Method::as_str).collect();
        Vec::from_iter(methods).join(", ")
    })
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..5)
        .prop_map(|segments| segments.iter().fold(String::new(), |path, segment| path + "/" + segment))
}

prop_compose! {
    fn rule()(
        methods in prop::sample::select(vec!["", "GET ", "PUT ", "GET,PUT "]),
        host in prop::sample::select(vec!["", "", "h.org", "*.org", "*.h.org"]),
        segments in prop::collection::vec(prop::sample::select(vec!["a", "b", "{p}"]), 0..4),
        end in prop::sample::select(vec!["", "…", "/"]),
        x in prop::sample::select(vec!["", "", "", " h:x=1", " h:x=12", " h:x^1", " h:x+", " h:x-"]),
        p in prop::sample::select(vec!["", "", "", " q:p=1", " q:p^1", " q:p+", " q:p-"]),
    ) -> String {
        let named = segments.iter().enumerate().map(|(at, segment)| match *segment {
            "{p}" => format!("/{{p{at}}}"),
            literal => format!("/{literal}"),
        });
        let path: String = named.collect();
        let end = if path.is_empty() { format!("/{}", end.trim_matches('/')) } else { end.to_owned() };
        format!("{methods}{host}{path}{end}{x}{p}")
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_trying_every_route(
        rules in prop::collection::vec(rule(), 0..12),
        requests in prop::collection::vec(
            (
                prop::sample::select(vec!["GET", "PUT", "POST"]),
                prop::sample::select(vec!["h.org", "x.org", "x.h.org", "org"]),
                path(),
                any::<bool>(),
                prop::sample::select(vec![None, Some("1"), Some("12"), Some("2")]),
                prop::sample::select(vec![None, Some("1"), Some("11"), Some("")]),
            ),
            1..20,
        ),
    ) {
        // Rules that clash are left out one by one; the error names them.
        let mut routes = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            routes.push(route(&format!("{at} {rule}"), rule));
            if Table::build(&config(routes.clone()), &services()).is_err() {
                routes.pop();
            }
        }
        let table = Table::build(&config(routes.clone()), &services()).unwrap();
        for (method, host, path, slash, x, p) in requests {
            let path = if slash { path + "/" } else { path };
            let asked = Asked { method, host, path, x, p };
            let found = find(&table, &asked.text());
            prop_assert_eq!(found, naive(&routes, &asked), "{:?}", asked);
        }
    }
}
