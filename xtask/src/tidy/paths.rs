//! The paths that a source file names, with `use` groups spread out.

use super::lexer::{Kind, Token};

/// `std::fs::read` as its segments. `<T as Trait>::name` opens with the segment `_`.
#[derive(Debug)]
pub struct Path<'a> {
    pub segments: Vec<&'a str>,
    pub line: usize,
    /// The index of the token after it.
    pub end: usize,
}

impl Path<'_> {
    pub fn starts_with(&self, segments: &[&str]) -> bool {
        self.segments.starts_with(segments)
    }

    pub fn ends_with(&self, segments: &[&str]) -> bool {
        self.segments.ends_with(segments)
    }
}

pub fn paths<'a>(tokens: &[Token<'a>]) -> Vec<Path<'a>> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let follows = |text: &str| tokens.get(at + 1).is_some_and(|next| next.is(text));
        // `use<'a>` in a type is no import.
        if token.is("use") && !follows("<") {
            at = group(tokens, at + 1, &[], &mut paths);
        } else if token.kind == Kind::Word || token.is("::") {
            let path = path(tokens, at);
            at = path.end.max(at + 1);
            paths.push(path);
        } else {
            at += 1;
        }
    }
    paths
}

/// A path in code: `a::<B>::c` is `a::c`.
fn path<'a>(tokens: &[Token<'a>], start: usize) -> Path<'a> {
    let line = tokens.get(start).map_or(0, |token| token.line);
    let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.is(text));
    let mut segments = Vec::new();
    let mut at = start;
    if is(at, "::") {
        if start > 0 && is(start - 1, ">") {
            segments.push("_");
        }
        at += 1;
    }
    while let Some(token) = tokens.get(at).filter(|token| token.kind == Kind::Word) {
        segments.push(token.text);
        at += 1;
        while is(at, "::") && is(at + 1, "<") {
            at = past_generics(tokens, at + 1);
        }
        if !is(at, "::") {
            break;
        }
        at += 1;
    }
    Path { segments, line, end: at }
}

fn past_generics(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("<") {
            depth += 1;
        } else if token.is(">") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}

/// One branch of a `use` tree; every leaf becomes a path. Returns the index of the token after it.
fn group<'a>(tokens: &[Token<'a>], start: usize, prefix: &[&'a str], paths: &mut Vec<Path<'a>>) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| !token.is("}")) {
                    at = group(tokens, at, &segments, paths);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.is(",")));
                }
                return at + 1;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            "::" | "self" => at += 1,
            segment => {
                segments.push(segment);
                at += 1;
            }
        }
    }
    let line = tokens.get(start).map_or(0, |token| token.line);
    paths.push(Path { segments, line, end: at });
    // A `use` that is broken must not stop the walk.
    at.max(start + 1)
}

#[cfg(test)]
mod tests {
    use super::super::lexer;
    use super::*;

    fn named(source: &str) -> Vec<String> {
        paths(&lexer::tokens(source)).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn use_groups_are_spread_out() {
        let source = "use std::{fs, io::{self, Read as _}, net::*}; mod x;";
        let expected = ["std::fs", "std::io", "std::io::Read", "std::net::*", "mod", "x"];
        assert_eq!(named(source), expected);
    }

    #[test]
    fn generics_are_passed_over() {
        assert_eq!(named("Settled::<Vec<u8>>::journaled"), ["Settled::journaled"]);
        assert_eq!(named("<T as A>::journaled"), ["T", "as", "A", "_::journaled"]);
        assert_eq!(named("fn f() -> impl Fn() + use<'a> {}").last().map(String::as_str), Some("use"));
    }
}
