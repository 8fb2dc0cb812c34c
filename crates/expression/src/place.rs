//! What may stand where: plain text, the value of a header, a path.

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{ParseError, Reason};

/// All but the characters that no reader of a path treats specially.
const VALUE_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What RFC 3986 does not allow in a path; `%` is allowed, as an operator may have encoded by hand.
const LITERAL_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Where rendered text will stand.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    Text,
    Header,
    Path,
}

impl Place {
    /// Appends a template's own text. What the place does not allow, and the checks below refuse, is made
    /// harmless: a space in a header (as RFC 9110 has it), percent-encoded in a path.
    pub(crate) fn push_literal(self, text: &str, out: &mut String) {
        match self {
            Place::Text => out.push_str(text),
            Place::Header => out.extend(text.chars().map(|c| if is_header_text(c) { c } else { ' ' })),
            Place::Path => out.extend(utf8_percent_encode(text, LITERAL_IN_PATH)),
        }
    }

    /// Appends a value, which comes from anybody.
    pub(crate) fn push_value(self, text: &str, out: &mut String) -> Result<(), Reason> {
        match (self, text) {
            (Place::Text, _) => out.push_str(text),
            (Place::Header, _) if text.chars().all(is_header_text) => out.push_str(text),
            (Place::Header, _) => return Err(Reason::ForbiddenCharacter),
            (Place::Path, "") => return Err(Reason::EmptySegment),
            (Place::Path, "." | "..") => return Err(Reason::DotSegment),
            (Place::Path, _) => out.extend(utf8_percent_encode(text, VALUE_IN_PATH)),
        }
        Ok(())
    }
}

/// Checks that `text`, which stands at `offset` of its template, may stand in a header's value.
pub(crate) fn check_header(offset: usize, text: &str) -> Result<(), ParseError> {
    match text.char_indices().find(|(_, character)| !is_header_text(*character)) {
        Some((at, c)) => Err(ParseError::new(offset + at, format!("{c:?} cannot stand in a header's value"))),
        None => Ok(()),
    }
}

fn is_header_text(character: char) -> bool {
    matches!(character, ' '..='~')
}

/// Checks a path piece by piece: its characters, and that no segment is empty, `.` or `..`.
#[derive(Default)]
pub(crate) struct PathChecker {
    /// The segment under way, and where it begins; none before the first `/`.
    segment: Option<(usize, String)>,
}

impl PathChecker {
    pub(crate) fn literal(&mut self, offset: usize, text: &str) -> Result<(), ParseError> {
        for (at, character) in text.char_indices() {
            let offset = offset + at;
            check_character(offset, character, &text[at..])?;
            match &mut self.segment {
                _ if character == '/' => {
                    self.end_segment(false)?;
                    self.segment = Some((offset, String::new()));
                }
                Some((_, segment)) => segment.push(character),
                None => return Err(must_be_absolute()),
            }
        }
        Ok(())
    }

    /// A rendered value is never empty, `.` or `..`, so that any letter stands for all of them.
    pub(crate) fn value(&mut self) -> Result<(), ParseError> {
        let (_, segment) = self.segment.as_mut().ok_or_else(must_be_absolute)?;
        segment.push('x');
        Ok(())
    }

    pub(crate) fn end(mut self) -> Result<(), ParseError> {
        if self.segment.is_none() {
            return Err(must_be_absolute());
        }
        self.end_segment(true)
    }

    fn end_segment(&mut self, last: bool) -> Result<(), ParseError> {
        let Some((offset, segment)) = self.segment.take() else { return Ok(()) };
        if segment.is_empty() && !last {
            return Err(ParseError::new(offset, "a path has no empty segment: `//`"));
        }
        let decoded: Vec<u8> = percent_decode_str(&segment).collect();
        if matches!(decoded.as_slice(), b"." | b"..") {
            return Err(ParseError::new(offset, format!("a path has no segment `{segment}`")));
        }
        Ok(())
    }
}

fn check_character(offset: usize, character: char, text: &str) -> Result<(), ParseError> {
    let hex = |at| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if character == '%' && !(hex(1) && hex(2)) {
        return Err(ParseError::new(offset, "`%` needs two hexadecimal digits behind it"));
    }
    let mut buffer = [0; 4];
    let character = &*character.encode_utf8(&mut buffer);
    if utf8_percent_encode(character, LITERAL_IN_PATH).next() != Some(character) {
        return Err(ParseError::new(offset, format!("{character:?} cannot stand in a path")));
    }
    Ok(())
}

fn must_be_absolute() -> ParseError {
    ParseError::new(0, "a path begins with `/`")
}
