//! Names: those that are given, and those that are used.

use super::cursor::Cursor;
use super::services::{Service, Services};
use super::source::Span;
use std::collections::BTreeMap;

/// A name that nobody else of its kind has.
pub fn unique_name<'a>(
    cursor: Cursor<'a>,
    what: &str,
    names: &mut BTreeMap<&'a str, Span>,
) -> Option<&'a str> {
    let name = cursor.name(what)?;
    if let Some(first) = names.insert(name, cursor.span()) {
        let at = cursor.notes().source().mention(first.start, cursor.span().start);
        cursor.wrong(format!("`{name}` is already the name of {what}, on {at}"));
        return None;
    }
    Some(name)
}

/// The service that is named.
pub fn service<'a, 's>(cursor: Cursor<'a>, services: &'s Services) -> Option<(&'a str, &'s Service)> {
    let name = cursor.text()?;
    let Some(service) = services.known.get(name) else {
        cursor.unknown("a service that is defined", name, services.known.keys().map(String::as_str));
        return None;
    };
    service.is_used.set(true);
    Some((name, service))
}
