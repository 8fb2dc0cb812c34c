//! Variables of the environment: `$env{NAME}` and `$env{NAME:-default}` in single values, `$$env{` for the text itself.
//!
//! They are put in after the file has been read as YAML, so that a variable is never more than a piece of text: it
//! cannot bring a key, a list or an expression. No message repeats what a variable holds.

use super::mistake::Notes;
use super::source::Span;
use super::yaml::{Node, Scalar, Value};
use std::ffi::OsString;
use std::ops::Range;

const OPEN: &str = "$env{";
const ESCAPED: &str = "$$env{";

/// Gives the value of a variable, where it is set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Puts the variables' values in place, in every single value of the tree. What is wrong is noted.
pub fn resolve(node: &mut Node, notes: &Notes, lookup: Lookup) {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.text.contains(OPEN) => {
            match substitute(&scalar.text, lookup) {
                Ok(Resolved { text, variables }) => {
                    let is_variable = variables.len() == 1 && is_one_variable(&scalar.text);
                    notes.keep_secret(&scalar.text, &text, variables);
                    *scalar = Scalar { text, is_variable, ..*scalar };
                }
                Err(Fault { at, message, help }) => {
                    let span = node.at_offset(at, notes.source().slice(node.span));
                    notes.wrong_but(span, message, help);
                    notes.settle(node.span);
                }
            };
        }
        Value::Scalar(_) => {}
        Value::Sequence(elements) => elements.iter_mut().for_each(|element| resolve(element, notes, lookup)),
        Value::Mapping(entries) => {
            for entry in entries {
                if entry.key.contains(OPEN) {
                    no_key(entry.key_span, notes);
                }
                resolve(&mut entry.value, notes, lookup);
            }
        }
    }
}

fn no_key(span: Span, notes: &Notes) {
    notes.wrong(span, "a variable of the environment may stand in a value, not in a key");
    notes.settle(span);
}

/// Whether the text is one variable, whose value the file itself does not know even by a default.
fn is_one_variable(text: &str) -> bool {
    text.starts_with(OPEN) && text.find('}') == Some(text.len() - 1) && !text.contains(":-")
}

/// A text with its variables' values.
#[derive(Debug, PartialEq)]
struct Resolved {
    text: String,
    /// Each variable's name and value.
    variables: Vec<(String, String)>,
}

/// What is wrong with a text, and where in it.
#[derive(Debug, PartialEq)]
struct Fault {
    at: usize,
    message: String,
    help: String,
}

fn substitute(text: &str, lookup: Lookup) -> Result<Resolved, Fault> {
    let mut resolved = Resolved { text: String::new(), variables: Vec::new() };
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let offset = text.len() - rest.len() + at;
        if at > 0 && rest[at - 1..].starts_with(ESCAPED) {
            resolved.text.push_str(&rest[..at - 1]);
            resolved.text.push_str(OPEN);
            rest = &rest[at + OPEN.len()..];
            continue;
        }
        resolved.text.push_str(&rest[..at]);
        let inside = &rest[at + OPEN.len()..];
        let Some(end) = inside.find('}') else {
            return Err(fault(offset, "`$env{` has no end", "write `$env{NAME}` or `$env{NAME:-default}`"));
        };
        let (name, value) = variable(&inside[..end], offset, lookup)?;
        let start = resolved.text.len();
        resolved.text.push_str(&value);
        pieces.push(start..resolved.text.len());
        resolved.variables.push((name.to_owned(), value));
        rest = &inside[end + 1..];
    }
    resolved.text.push_str(rest);
    let brought = |at: usize| pieces.iter().any(|piece| piece.start < at + 2 && at < piece.end);
    if resolved.text.match_indices("${").any(|(at, _)| brought(at)) {
        let message = "the environment may not bring an expression: there is a `${` in the value";
        return Err(fault(0, message, "write the expression into the file"));
    }
    Ok(resolved)
}

/// The variable's name and value.
fn variable<'a>(inside: &'a str, offset: usize, lookup: Lookup) -> Result<(&'a str, String), Fault> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(is_name) {
        let help = "a name is letters, digits and `_`, and does not begin with a digit";
        return Err(fault(offset, &format!("`{name}` cannot be the name of a variable"), help));
    }
    if default.is_some_and(|default| default.contains(OPEN) || default.contains("${")) {
        return Err(fault(offset, "a default is plain text, without `$env{` or `${`", "write it out"));
    }
    match lookup(name).map(OsString::into_string) {
        Some(Err(_)) => {
            let message = format!("the environment's variable `{name}` is not UTF-8");
            Err(fault(offset, &message, "set it to text"))
        }
        Some(Ok(value)) if !value.is_empty() || default.is_none() => Ok((name, value)),
        _ => match default {
            Some(default) => Ok((name, default.to_owned())),
            None => {
                let message = format!("the environment has no variable `{name}`");
                Err(fault(offset, &message, &format!("set it, or give a default: `$env{{{name}:-…}}`")))
            }
        },
    }
}

fn fault(at: usize, message: &str, help: &str) -> Fault {
    Fault { at, message: message.to_owned(), help: help.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<OsString> {
        let value = match name {
            "PORT" => "8080",
            "EMPTY" => "",
            "DOLLAR" => "$",
            "BRACE" => "{request.body}",
            "EXPRESSION" => "a${request.body}",
            "YAML" => "a: [b, 'c']\n- #",
            _ => return None,
        };
        Some(value.into())
    }

    fn text(written: &str) -> String {
        substitute(written, &lookup).unwrap().text
    }

    #[test]
    fn a_variable_becomes_a_piece_of_text_and_nothing_else() {
        for (written, expected) in [
            ("$env{PORT}", "8080"),
            ("127.0.0.1:$env{PORT}", "127.0.0.1:8080"),
            ("$env{PORT}$env{PORT}-", "80808080-"),
            ("$env{YAML}", "a: [b, 'c']\n- #"),
            ("$env{NONE:-7}", "7"),
            ("$env{NONE:-}", ""),
            ("$env{EMPTY:-7}", "7"),
            ("$env{EMPTY}", ""),
            ("$env{PORT:-7}", "8080"),
            ("$env{NONE:-a:-b}", "a:-b"),
            ("$$env{PORT}", "$env{PORT}"),
            ("$$$env{PORT}", "$$env{PORT}"),
            ("$$env{PORT} $env{PORT}", "$env{PORT} 8080"),
            ("${request.body.a}/$env{PORT}", "${request.body.a}/8080"),
            ("$env{DOLLAR}", "$"),
            ("$ENV{PORT} $env {PORT} {PORT}", "$ENV{PORT} $env {PORT} {PORT}"),
        ] {
            assert_eq!(text(written), expected, "{written}");
        }
    }

    #[test]
    fn the_environment_brings_no_expression_not_even_in_pieces() {
        for written in ["$env{EXPRESSION}", "$env{DOLLAR}{request.body}", "$env{DOLLAR}$env{BRACE}"] {
            assert!(substitute(written, &lookup).unwrap_err().message.contains("expression"), "{written}");
        }
        // What the file itself says stays an expression.
        assert_eq!(text("${request.body.a}$env{DOLLAR}"), "${request.body.a}$");
    }

    #[test]
    fn what_is_wrong_is_said_at_its_place() {
        for (written, at, message) in [
            ("ab$env{NONE}", 2, "the environment has no variable `NONE`"),
            ("$env{PORT}/$env{", 11, "`$env{` has no end"),
            ("$env{}", 0, "`` cannot be the name"),
            ("$env{1A}", 0, "`1A` cannot be the name"),
            ("$env{A-B}", 0, "`A-B` cannot be the name"),
            ("$env{NONE:-$env{PORT}", 0, "a default is plain text"),
        ] {
            let fault = substitute(written, &lookup).unwrap_err();
            assert_eq!(fault.at, at, "{written}");
            assert!(fault.message.starts_with(message), "{}", fault.message);
        }
    }
}
