//! What lists and watchers may be asked for, read from a query. What is not understood is refused.

use crate::clock;
use axum::http::HeaderMap;
use serde::Deserialize;
use unanimo_contract::operations::{Flag, NotACursor, Page};
use unanimo_contract::{Filter, Mode, State, Verdict};

/// Which transactions are wanted, and which of them on a page.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    state: Option<String>,
    verdict: Option<i8>,
    mode: Option<String>,
    route: Option<String>,
    service: Option<String>,
    min_age_ms: Option<u64>,
    max_age_ms: Option<u64>,
    began_from_unix_ms: Option<u64>,
    began_before_unix_ms: Option<u64>,
    key: Option<String>,
    text: Option<String>,
    flag: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// How many transactions a page has where nothing is said.
const USUAL_LIMIT: usize = 100;

impl Wanted {
    /// The page; the error is a sentence about the query.
    pub(crate) fn page(&self) -> Result<Page, String> {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if limit == 0 || limit > Page::LIMIT {
            return Err(format!("`limit` may be 1 to {}", Page::LIMIT));
        }
        let after = self.after.as_ref().map(|cursor| cursor.parse());
        let after = after.transpose().map_err(|error: NotACursor| format!("`after` is {error}"))?;
        Ok(Page { limit, after })
    }

    /// Refuses what only a list has.
    pub(crate) fn without_page(self) -> Result<Wanted, String> {
        match (&self.after, self.limit) {
            (None, None) => Ok(self),
            _ => Err("a stream has no pages: leave out `after` and `limit`".to_owned()),
        }
    }

    /// The filter; the error is a sentence about the query.
    pub(crate) fn filter(self, headers: &HeaderMap) -> Result<Filter, String> {
        let now = clock::unix_ms();
        let verdict = self.verdict.map(|number| match number {
            -1 => Ok(None),
            0 => Ok(Some(Verdict::Rollback)),
            1 => Ok(Some(Verdict::Commit)),
            other => Err(format!("`verdict` may be -1, 0, 1; not {other}")),
        });
        let mode = self.mode.map(|word| {
            Mode::parse(&word).ok_or_else(|| unknown("mode", &word, &Mode::ALL.map(Mode::as_str)))
        });
        let flags = words(self.flag.as_deref())
            .map(|word| Flag::parse(word).ok_or_else(|| unknown("flag", word, &Flag::ALL.map(Flag::as_str))));
        let key = self.key.map(|key| match &self.route {
            Some(route) => Ok(unanimo_gateway::key_scope(key.as_bytes(), route, headers)),
            None => Err("`key` needs a `route`: each route has its own keys".to_owned()),
        });
        if self.text.as_ref().is_some_and(|text| text.len() > Filter::TEXT_LIMIT) {
            return Err(format!("`text` may have at most {} bytes", Filter::TEXT_LIMIT));
        }
        // Who is at least so old began before a moment; who is at most so old, at it or later.
        let oldest = self.max_age_ms.map(|age| now.saturating_sub(age));
        let newest = self.min_age_ms.map(|age| now.saturating_sub(age).saturating_add(1));
        Ok(Filter {
            states: words(self.state.as_deref()).map(state).collect::<Result<_, _>>()?,
            verdict: verdict.transpose()?,
            mode: mode.transpose()?,
            route: self.route,
            service: self.service,
            began_from_unix_ms: self.began_from_unix_ms.into_iter().chain(oldest).max(),
            began_before_unix_ms: self.began_before_unix_ms.into_iter().chain(newest).min(),
            key: key.transpose()?,
            text: self.text,
            flags: flags.collect::<Result<_, _>>()?,
        })
    }
}

fn state(word: &str) -> Result<State, String> {
    let known = State::ALL.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| unknown("state", word, &State::ALL.map(State::as_str)))
}

/// The words of a list with commas.
fn words(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.into_iter().flat_map(|list| list.split(','))
}

fn unknown(name: &str, word: &str, known: &[&str]) -> String {
    format!("`{name}` may be {}; not `{word}`", known.join(", "))
}
