//! Pages of a list: newest first, and stable while new transactions begin.

use super::View;
use crate::Id;
use std::fmt;
use std::str::FromStr;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many; from 1 to [`Page::LIMIT`].
    pub limit: usize,
    /// Only what comes after this place.
    pub after: Option<Cursor>,
}

impl Page {
    /// The longest page.
    pub const LIMIT: usize = 1000;

    /// The first page, as long as it may be.
    pub const FIRST: Page = Page { limit: Page::LIMIT, after: None };

    /// Whether a transaction comes after the page's cursor.
    pub fn reaches(&self, place: Cursor) -> bool {
        self.after.is_none_or(|after| place < after)
    }
}

/// A transaction's place in a list: by its beginning, and by its id where two began in the same millisecond.
///
/// A list is in falling order of places. What begins later is above every cursor that was given out, so it moves no
/// page; its text is opaque, and says the same in every version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// The transaction.
    pub id: Id,
}

/// This text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACursor;

impl fmt::Display for NotACursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no cursor: give back the `next` of an earlier page as it is")
    }
}

impl std::error::Error for NotACursor {}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.began_unix_ms, self.id)
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Cursor, NotACursor> {
        let (began, id) = text.split_once('-').ok_or(NotACursor)?;
        let began_unix_ms = u64::from_str_radix(began, 16).map_err(|_| NotACursor)?;
        Ok(Cursor { began_unix_ms, id: id.parse().map_err(|_| NotACursor)? })
    }
}

/// One page of a list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The transactions.
    pub items: Vec<View>,
    /// Where the next page begins, if there may be one.
    pub next: Option<Cursor>,
}

impl Listed {
    /// One page out of what several have, each of whom gave its own newest `limit + 1` or fewer. Who comes first is
    /// believed where two know the same transaction.
    pub fn merged(parts: impl IntoIterator<Item = Vec<View>>, limit: usize) -> Listed {
        let mut items: Vec<View> = parts.into_iter().flatten().collect();
        // Stable: of two with the same place the earlier one stays.
        items.sort_by_key(|view| std::cmp::Reverse(view.place()));
        items.dedup_by_key(|view| view.id);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(View::place);
        Listed { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_and_nonsense_is_refused() {
        let cursor = Cursor { began_unix_ms: 1_700_000_000_000, id: Id::from_bits(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "-", "7", "x-y", "18bcfe56800-", "18bcfe56800-zz", "-00000000000000000000000007"] {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}
