//! One form for each path. What is matched and what is sent are made here, once, from the same bytes.
//!
//! A service that decodes the path which it was sent arrives at the path that was matched: no spelling of a path
//! gets past a route that was meant for it. What different programs read differently is refused.

use std::borrow::Cow;
use std::fmt;

/// A request's path in its two spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    sent: Cow<'a, str>,
    matched: Cow<'a, str>,
}

/// Why a path is refused: programs differ in what it means, or it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not begin with a slash.
    Relative,
    /// A `%` without two hexadecimal digits after it.
    BrokenEscape,
    /// A slash, backslash or control character that is percent-encoded: some programs decode it before they split.
    HiddenDelimiter,
    /// A backslash: some programs take it for a slash.
    Backslash,
    /// Percent-encoded bytes that are not UTF-8: some programs see other characters in them.
    NotUtf8,
    /// More `..` than there are segments, or `..` somewhere after an empty segment: programs differ in what is left.
    Dots,
    /// `.` or `..` with parameters, as in `..;a=b`: some programs drop the parameters, and follow the dots.
    DotsWithParameters,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Relative => "the path does not begin with a slash",
            Refused::BrokenEscape => "the path has a `%` without two hexadecimal digits after it",
            Refused::HiddenDelimiter => {
                "the path has a percent-encoded slash, backslash or control character"
            }
            Refused::Backslash => "the path has a backslash",
            Refused::NotUtf8 => "the path, percent-decoded, is not UTF-8",
            Refused::Dots => "the path has a `..` that leads nowhere clear",
            Refused::DotsWithParameters => "the path has `.` or `..` with parameters",
        })
    }
}

impl<'a> Path<'a> {
    /// Resolves `.` and `..`, merges slashes, decodes what needs no encoding, and encodes what does.
    pub fn normalise(raw: &'a str) -> Result<Path<'a>, Refused> {
        if !raw.starts_with('/') {
            return Err(Refused::Relative);
        }
        if is_normal(raw.as_bytes()) {
            return Ok(Path { sent: Cow::Borrowed(raw), matched: Cow::Borrowed(raw) });
        }
        let mut writer =
            Writer { sent: String::with_capacity(raw.len()), matched: Vec::with_capacity(raw.len()) };
        let mut met_empty = false;
        let mut segments = raw.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let start = writer.open();
            writer.decode(segment)?;
            let stays = match writer.matched.get(start.matched + 1..).unwrap_or_default() {
                b"" => {
                    met_empty = true;
                    is_last
                }
                b"." => false,
                b".." if met_empty => return Err(Refused::Dots),
                b".." => {
                    writer.leave(start)?;
                    writer.end_with_slash(is_last);
                    continue;
                }
                decoded if are_dots_with_parameters(decoded) => return Err(Refused::DotsWithParameters),
                _ => true,
            };
            if !stays {
                writer.cut(start);
                writer.end_with_slash(is_last);
            }
        }
        let matched = String::from_utf8(writer.matched).map_err(|_| Refused::NotUtf8)?;
        Ok(Path { sent: Cow::Owned(writer.sent), matched: Cow::Owned(matched) })
    }

    /// The path as it goes to a service: percent-encoded where it must be, and nowhere else.
    pub fn sent(&self) -> &str {
        &self.sent
    }

    /// The path as routes see it: decoded; a slash only ever separates segments.
    pub fn matched(&self) -> &str {
        &self.matched
    }

    /// Whether it came in the form in which it is sent.
    pub fn is_unchanged(&self) -> bool {
        matches!(self.sent, Cow::Borrowed(_))
    }
}

/// Both spellings while they are written; each is a sequence of `/segment`.
struct Writer {
    sent: String,
    matched: Vec<u8>,
}

/// Where a segment's slash stands.
#[derive(Clone, Copy)]
struct Start {
    sent: usize,
    matched: usize,
}

impl Writer {
    fn open(&mut self) -> Start {
        let start = Start { sent: self.sent.len(), matched: self.matched.len() };
        self.sent.push('/');
        self.matched.push(b'/');
        start
    }

    fn cut(&mut self, start: Start) {
        self.sent.truncate(start.sent);
        self.matched.truncate(start.matched);
    }

    /// Drops the segment that begins here, and the one before it.
    fn leave(&mut self, start: Start) -> Result<(), Refused> {
        self.cut(start);
        let sent = self.sent.rfind('/').ok_or(Refused::Dots)?;
        let matched = self.matched.iter().rposition(|byte| *byte == b'/').ok_or(Refused::Dots)?;
        self.cut(Start { sent, matched });
        Ok(())
    }

    /// What ends in dots means the directory itself.
    fn end_with_slash(&mut self, is_last: bool) {
        if is_last {
            self.open();
        }
    }

    fn decode(&mut self, segment: &str) -> Result<(), Refused> {
        let mut bytes = segment.bytes();
        while let Some(byte) = bytes.next() {
            match byte {
                b'%' => {
                    let decoded = unescape(&mut bytes).ok_or(Refused::BrokenEscape)?;
                    if matches!(decoded, b'/' | b'\\' | 0..=0x1f | 0x7f) {
                        return Err(Refused::HiddenDelimiter);
                    }
                    // Reserved characters stay encoded: to the service, `%3B` and `;` may be two things.
                    self.write(decoded, is_unreserved(decoded));
                }
                b'\\' => return Err(Refused::Backslash),
                _ => self.write(byte, may_stand_in_segment(byte)),
            }
        }
        Ok(())
    }

    fn write(&mut self, byte: u8, stands_for_itself: bool) {
        self.matched.push(byte);
        if stands_for_itself {
            self.sent.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(HEX_DIGITS[usize::from(value & 15)]);
            self.sent.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The byte behind a `%` that was just read.
pub(crate) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    let (high, low) = (digit()?, digit()?);
    u8::try_from(high << 4 | low).ok()
}

fn are_dots_with_parameters(decoded: &[u8]) -> bool {
    let mut parts = decoded.splitn(2, |byte| *byte == b';');
    matches!(parts.next(), Some(b"." | b"..")) && parts.next().is_some()
}

/// Whether nothing needs to be done. It may say no of a path that is in order, never yes of one that is not.
fn is_normal(raw: &[u8]) -> bool {
    let mut before = 0;
    raw.iter().all(|&byte| {
        let fits = match byte {
            b'/' | b'.' => before != b'/',
            _ => may_stand_in_segment(byte),
        };
        before = byte;
        fits
    })
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn may_stand_in_segment(byte: u8) -> bool {
    SEGMENT[usize::from(byte)]
}

/// RFC 3986's `pchar`, without the percent sign.
const SEGMENT: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"-._~!$&'()*+,;=:@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut at = 0;
    while at < allowed.len() {
        table[allowed[at] as usize] = true;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(raw: &str) -> (String, String) {
        let path = Path::normalise(raw).unwrap();
        (path.sent().to_owned(), path.matched().to_owned())
    }

    #[test]
    fn a_path_in_order_is_left_alone() {
        for raw in ["/", "/a", "/a/", "/a/b.c/d..e/f.", "/a;b=c/@:!$&'()*+,~_-", "/transfers/17"] {
            let path = Path::normalise(raw).unwrap();
            assert!(path.is_unchanged(), "{raw}");
            assert_eq!((path.sent(), path.matched()), (raw, raw));
        }
    }

    #[test]
    fn each_path_has_one_form() {
        for (raw, sent, matched) in [
            ("/a/./b", "/a/b", "/a/b"),
            ("/a/../b", "/b", "/b"),
            ("/a/%2e%2E/b", "/b", "/b"),
            ("/a/b/..", "/a/", "/a/"),
            ("/a/.", "/a/", "/a/"),
            ("/.", "/", "/"),
            ("/a/..", "/", "/"),
            ("//", "/", "/"),
            ("//a///b//", "/a/b/", "/a/b/"),
            ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
            ("/...", "/...", "/..."),
            ("/%61%2Db", "/a-b", "/a-b"),
            ("/a%3ab", "/a%3Ab", "/a:b"),
            ("/a%2bb%3bc", "/a%2Bb%3Bc", "/a+b;c"),
            ("/a%252Fb", "/a%252Fb", "/a%2Fb"),
            ("/%c3%a4", "/%C3%A4", "/ä"),
            ("/ä", "/%C3%A4", "/ä"),
            ("/{\"a\"|b}", "/%7B%22a%22%7Cb%7D", "/{\"a\"|b}"),
            ("/a%20b", "/a%20b", "/a b"),
        ] {
            assert_eq!(both(raw), (sent.to_owned(), matched.to_owned()), "{raw}");
        }
    }

    #[test]
    fn what_programs_read_differently_is_refused() {
        for (raw, why) in [
            ("", Refused::Relative),
            ("a", Refused::Relative),
            ("*", Refused::Relative),
            ("/%", Refused::BrokenEscape),
            ("/%1", Refused::BrokenEscape),
            ("/%+1", Refused::BrokenEscape),
            ("/%zz", Refused::BrokenEscape),
            ("/a%2Fb", Refused::HiddenDelimiter),
            ("/a%2fb", Refused::HiddenDelimiter),
            ("/a%5cb", Refused::HiddenDelimiter),
            ("/a%00", Refused::HiddenDelimiter),
            ("/a%0d%0a", Refused::HiddenDelimiter),
            ("/a\\b", Refused::Backslash),
            ("/%ff", Refused::NotUtf8),
            ("/%c0%ae%c0%ae/", Refused::NotUtf8),
            ("/..", Refused::Dots),
            ("/a/../..", Refused::Dots),
            ("/a//../b", Refused::Dots),
            ("/a//./../b", Refused::Dots),
            ("/a//b/../../c", Refused::Dots),
            ("/a/..;/b", Refused::DotsWithParameters),
            ("/a/%2e.%3bx=y/b", Refused::DotsWithParameters),
        ] {
            assert_eq!(Path::normalise(raw), Err(why), "{raw}");
        }
    }

    /// What a service sees that splits first and decodes then.
    fn decoded(path: &str) -> Vec<u8> {
        let mut bytes = path.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            out.push(if byte == b'%' { unescape(&mut bytes).unwrap() } else { byte });
        }
        out
    }

    proptest! {
        #[test]
        fn normalising_again_changes_nothing(raw in "/(/|\\.|%2[eEfF5]|%5c|%41|%c3%a4|;|:|[a-zä{%]){0,12}") {
            if let Ok(path) = Path::normalise(&raw) {
                let again = Path::normalise(path.sent()).unwrap();
                prop_assert_eq!(again.sent(), path.sent());
                prop_assert_eq!(again.matched(), path.matched());
            }
        }

        #[test]
        fn the_service_sees_what_was_matched(raw in "/(/|\\.|%2[eEfF5]|%5c|%41|%c3%a4|;|:|[a-zä{%]){0,12}") {
            if let Ok(path) = Path::normalise(&raw) {
                prop_assert_eq!(decoded(path.sent()), path.matched().as_bytes());
                prop_assert!(path.sent().is_ascii());
                prop_assert_eq!(path.sent().matches('/').count(), path.matched().matches('/').count());
            }
        }

        #[test]
        fn no_dots_and_no_empty_segments_are_left(raw in "/(/|\\.|%2[eE]|;|a){0,12}") {
            if let Ok(path) = Path::normalise(&raw) {
                let segments: Vec<_> = path.matched().split('/').skip(1).collect();
                let (_, inner) = segments.split_last().unwrap();
                prop_assert!(inner.iter().all(|segment| !segment.is_empty()));
                prop_assert!(segments.iter().all(|segment| !matches!(*segment, "." | "..")));
            }
        }
    }
}
