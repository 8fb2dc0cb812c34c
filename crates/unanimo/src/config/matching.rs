//! Which requests a route takes.

use super::cursor::{Cursor, Fields, Named};
use super::headers::{self, Use};
use http::{HeaderName, Method};
use unanimo_expression::Template;
use unanimo_gateway::{PathMatch, ValueMatch};

/// A route's `match`, and where its parts stand.
pub struct Matching<'a> {
    /// The host, where one is named.
    pub host: Option<(&'a str, Cursor<'a>)>,
    /// The path.
    pub path: PathMatch,
    /// The value of `path` or `prefix`.
    pub path_cursor: Cursor<'a>,
    /// The methods; any where empty.
    pub methods: Vec<Method>,
    /// The value of `method`, where there is one.
    pub method_cursor: Option<Cursor<'a>>,
    /// What headers must say, and where that stands.
    pub headers: Vec<(HeaderName, ValueMatch, Cursor<'a>)>,
    /// What parameters of the query must say.
    pub query: Vec<(String, ValueMatch)>,
    /// Names of the path's parameters.
    pub parameters: Vec<String>,
}

const METHODS: [(&str, Method); 7] = [
    ("GET", Method::GET),
    ("HEAD", Method::HEAD),
    ("POST", Method::POST),
    ("PUT", Method::PUT),
    ("PATCH", Method::PATCH),
    ("DELETE", Method::DELETE),
    ("OPTIONS", Method::OPTIONS),
];

/// Reads `match`. Whether paths and hosts can be matched at all, the gateway's table says.
pub fn read(cursor: Cursor) -> Option<Matching> {
    let fields = cursor.fields("`match`", &["host", "method", "path", "prefix", "headers", "query"])?;
    let host = fields.get("host").and_then(|cursor| Some((cursor.text()?, cursor)));
    let method_cursor = fields.get("method");
    let methods = method_cursor.map(methods).unwrap_or_default();
    let headers = fields.get("headers").map(headers_wanted).unwrap_or_default();
    let query = fields.get("query").map(query_wanted).unwrap_or_default();
    let (path, path_cursor) = path(&fields)?;
    let parameters = path_cursor.text()?.split('/').filter_map(parameter).collect();
    Some(Matching { host, path, path_cursor, methods, method_cursor, headers, query, parameters })
}

fn path<'a>(fields: &Fields<'a>) -> Option<(PathMatch, Cursor<'a>)> {
    match (fields.get("path"), fields.get("prefix")) {
        (Some(cursor), None) => Some((PathMatch::Exact(cursor.text()?.to_owned()), cursor)),
        (None, Some(cursor)) => Some((PathMatch::Prefix(cursor.text()?.to_owned()), cursor)),
        (Some(_), Some(_)) => {
            fields
                .notes()
                .wrong(fields.span_of("prefix"), "a route matches a `path` or a `prefix`, not both");
            None
        }
        (None, None) => {
            if !fields.has("path") && !fields.has("prefix") {
                fields.wrong("`match` needs `path` (it alone) or `prefix` (and all below it)");
            }
            None
        }
    }
}

fn methods(cursor: Cursor) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for cursor in cursor.one_or_more("`method`").unwrap_or_default() {
        let Some(method) = cursor.word("a method", &METHODS) else { continue };
        if methods.contains(&method) {
            cursor.wrong(format!("`{method}` stands there twice"));
        }
        methods.push(method);
    }
    methods
}

fn headers_wanted(cursor: Cursor) -> Vec<(HeaderName, ValueMatch, Cursor)> {
    let mut wanted: Vec<(HeaderName, ValueMatch, Cursor)> = Vec::new();
    for named in cursor.named("`headers`").unwrap_or_default() {
        let name = match headers::name(named.key, Use::Match) {
            Ok(name) => name,
            Err((message, help)) => {
                cursor.notes().wrong_but(named.key_span, message, help);
                continue;
            }
        };
        if wanted.iter().any(|(other, _, _)| *other == name) {
            named.wrong(format!("`{name}` stands there twice: headers are the same in upper and lower case"));
        }
        if let Some(value) = value_wanted(named) {
            wanted.push((name, value, named.value));
        }
    }
    wanted
}

fn query_wanted(cursor: Cursor) -> Vec<(String, ValueMatch)> {
    let named = cursor.named("`query`").unwrap_or_default().into_iter();
    named.filter_map(|named| Some((named.key.to_owned(), value_wanted(named)?))).collect()
}

/// A text, `{ prefix: text }`, or `{ present: true }`.
fn value_wanted(named: Named) -> Option<ValueMatch> {
    if named.value.is_single() {
        return named.value.text().map(|text| ValueMatch::Exact(text.to_owned()));
    }
    let fields = named.value.fields("a match of a value", &["prefix", "present"])?;
    match (fields.get("prefix"), fields.get("present")) {
        (Some(prefix), None) => {
            let text = prefix.text()?;
            if text.is_empty() {
                prefix.wrong_but("every value begins with nothing", "write `{ present: true }`");
                return None;
            }
            Some(ValueMatch::Prefix(text.to_owned()))
        }
        (None, Some(present)) => {
            Some(if present.boolean()? { ValueMatch::Present } else { ValueMatch::Absent })
        }
        (Some(_), Some(_)) | (None, None) => {
            fields.wrong(
                "a value is matched by its text, by `{ prefix: … }`, or by `{ present: true }` or `false`",
            );
            None
        }
    }
}

/// The name in a segment such as `{name}`.
fn parameter(segment: &str) -> Option<String> {
    segment.strip_prefix('{')?.strip_suffix('}').map(str::to_owned)
}

/// Warns of a transaction that a browser, a crawler or a cache may start by itself.
pub fn check_methods_of_transaction(matching: &Matching, fields: &Fields) {
    let Some(cursor) = matching.method_cursor else {
        let message =
            "this transaction takes every method, also `GET`, which clients send and repeat at will";
        fields.notes().unwise(fields.span_of("match"), message, "add `method: POST` to its `match`");
        return;
    };
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS];
    for method in matching.methods.iter().filter(|method| safe.contains(method)) {
        let message =
            format!("a transaction cannot be begun by `{method}`, which clients send and repeat at will");
        cursor.wrong_but(message, "use `POST`, `PUT`, `PATCH` or `DELETE`");
    }
}

/// A path as it stands, without expressions or parameters.
pub fn literal_path(cursor: Cursor) -> Option<String> {
    let text = cursor.text()?;
    match Template::parse(text).and_then(|template| template.check_path().map(|()| template)) {
        Ok(template) if template.references().next().is_none() => Some(text.to_owned()),
        Ok(_) => {
            cursor.wrong("no expression can stand here");
            None
        }
        Err(error) => {
            cursor.wrong_expression(&error);
            None
        }
    }
}
