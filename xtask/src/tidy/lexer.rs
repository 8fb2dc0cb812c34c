//! Rust's words and marks, with comments skipped and literals kept whole.
//!
//! Enough to know that `Instant::now` stands in code and not in a comment or a string; no more.

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// An identifier or keyword; `r#type` is `type`.
    Word,
    /// Punctuation: one character, or `::`, `->`, `=>`.
    Mark,
    /// A string, character, number or lifetime.
    Literal,
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// The line of its first character, from 1.
    pub line: usize,
    /// The line of its last character.
    pub last: usize,
}

impl Token<'_> {
    /// Whether this is the word or mark `text`; a literal never is.
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Literal && self.text == text
    }
}

pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(rest) = source.get(at..).filter(|rest| !rest.is_empty()) {
        let (kind, length) = next(rest);
        let text = rest.get(..length).unwrap_or(rest);
        let last = line + text.matches('\n').count();
        if let Some(kind) = kind {
            let text = if kind == Kind::Word { text.trim_start_matches("r#") } else { text };
            tokens.push(Token { kind, text, line, last });
        }
        at += text.len().max(1);
        line = last;
    }
    tokens
}

/// The kind of what `rest` opens with (none for space and comments), and its length in bytes.
fn next(rest: &str) -> (Option<Kind>, usize) {
    let first = rest.chars().next().unwrap_or_default();
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (None, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (None, block_comment(rest));
    }
    if let Some(length) = string(rest).or_else(|| quoted_by_tick(rest)) {
        return (Some(Kind::Literal), length);
    }
    if first.is_alphabetic() || first == '_' {
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        return (Some(Kind::Word), raw + word(rest.get(raw..).unwrap_or_default()));
    }
    if first.is_ascii_digit() {
        return (Some(Kind::Literal), word(rest));
    }
    let double = ["::", "->", "=>"].iter().any(|mark| rest.starts_with(mark));
    (Some(Kind::Mark), if double { 2 } else { first.len_utf8() })
}

fn word(rest: &str) -> usize {
    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = rest.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// `"…"`, `b"…"`, `c"…"`, and the raw ones with any number of `#`.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|after| after.trim_start_matches('#').starts_with('"'))
    })?;
    let body = rest.get(prefix.len()..)?;
    let hashes = body.find('"')?;
    if prefix.ends_with('r') {
        let close = format!("\"{}", "#".repeat(hashes));
        let open = prefix.len() + hashes + 1;
        let length = rest.get(open..)?.find(&close).map(|at| open + at + close.len());
        return Some(length.unwrap_or(rest.len()));
    }
    (hashes == 0).then(|| prefix.len() + closed_by(body, '"'))
}

/// A character, or else a lifetime.
fn quoted_by_tick(rest: &str) -> Option<usize> {
    let prefix = usize::from(rest.starts_with("b'"));
    let body = rest.get(prefix..)?.strip_prefix('\'')?;
    let mut characters = body.chars();
    let first = characters.next()?;
    if first == '\\' || characters.next() == Some('\'') {
        return Some(prefix + closed_by(rest.get(prefix..)?, '\''));
    }
    Some(prefix + 1 + word(body))
}

/// The length of a literal that opens and closes with `quote` and knows backslashes.
fn closed_by(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_are_skipped_and_literals_kept_whole() {
        assert_eq!(texts("a /* b /* c */ d */ e // f\ng"), ["a", "e", "g"]);
        assert_eq!(texts(r##"x("a\"b", r#"c"d"#, b'\'', 'e')"##).len(), 10);
        assert_eq!(texts("&'a str"), ["&", "'a", "str"]);
        assert_eq!(texts("b\"\\\\\" z"), ["b\"\\\\\"", "z"]);
    }

    #[test]
    fn a_name_may_begin_like_a_string() {
        assert_eq!(texts("r#type bridge c b r"), ["type", "bridge", "c", "b", "r"]);
        assert_eq!(texts("b::c '\\u{1F}' 'ß'"), ["b", "::", "c", "'\\u{1F}'", "'ß'"]);
    }

    #[test]
    fn lines_are_counted_through_literals_and_comments() {
        let tokens = tokens("a\n\"b\nc\"\n/*\n*/ d");
        let lines: Vec<_> = tokens.iter().map(|token| (token.line, token.last)).collect();
        assert_eq!(lines, [(1, 1), (2, 3), (5, 5)]);
    }
}
