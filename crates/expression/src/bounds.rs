//! Where an expression ends, and that it is small enough to be read at all.

use crate::ParseError;

/// The longest expression, in bytes.
const MAX_BYTES: usize = 4096;

/// How deep brackets and conditions may nest. The reader of CEL recurses for each of them.
const MAX_DEPTH: usize = 32;

/// Where the `}` stands that closes the expression which begins at `start`, just behind its `${`.
pub(crate) fn end(text: &str, start: usize) -> Result<usize, ParseError> {
    let bytes = text.as_bytes();
    let mut scan = Scan { bytes, start, at: start, open: Vec::new(), depth: 0 };
    while let Some(byte) = bytes.get(scan.at) {
        match byte {
            b'}' if scan.open.is_empty() => {
                let length = scan.at - start;
                return match length {
                    0..=MAX_BYTES => Ok(scan.at),
                    _ => Err(ParseError::new(start, format!("an expression has at most {MAX_BYTES} bytes"))),
                };
            }
            b'(' | b'[' | b'{' => scan.deeper(true)?,
            b'?' => scan.deeper(false)?,
            b')' | b']' | b'}' => scan.close(*byte)?,
            b'"' | b'\'' => scan.skip_quoted(*byte)?,
            b'/' if bytes.get(scan.at + 1) == Some(&b'/') => {
                return Err(ParseError::new(scan.at, "a comment cannot stand in an expression"));
            }
            _ => {}
        }
        scan.at += 1;
    }
    Err(match scan.open.first() {
        Some((at, bracket, _)) => ParseError::new(*at, format!("`{}` is never closed", char::from(*bracket))),
        None => ParseError::new(start - "${".len(), "`${` is never closed by `}`"),
    })
}

struct Scan<'a> {
    bytes: &'a [u8],
    start: usize,
    at: usize,
    /// The open brackets: where each stands, what it is, and the depth around it.
    open: Vec<(usize, u8, usize)>,
    depth: usize,
}

impl Scan<'_> {
    fn deeper(&mut self, is_bracket: bool) -> Result<(), ParseError> {
        if self.depth == MAX_DEPTH {
            let message = format!("brackets and conditions nest at most {MAX_DEPTH} deep");
            return Err(ParseError::new(self.at, message));
        }
        if is_bracket {
            self.open.push((self.at, self.bytes[self.at], self.depth));
        }
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, bracket: u8) -> Result<(), ParseError> {
        let opening = match bracket {
            b')' => b'(',
            b']' => b'[',
            _ => b'{',
        };
        match self.open.pop() {
            Some((_, open, depth)) if open == opening => {
                self.depth = depth;
                Ok(())
            }
            Some((at, open, _)) => {
                Err(ParseError::new(at, format!("`{}` is never closed", char::from(open))))
            }
            None => Err(ParseError::new(self.at, format!("`{}` closes nothing", char::from(bracket)))),
        }
    }

    /// Goes to the end of a text in quotation marks: one or three of them, raw or with escapes.
    fn skip_quoted(&mut self, quote: u8) -> Result<(), ParseError> {
        let opened = self.at;
        let before = self.bytes[self.start..opened].iter().rev();
        let prefix: Vec<_> =
            before.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').collect();
        let is_raw = prefix.len() <= 2 && prefix.iter().any(|byte| matches!(byte, b'r' | b'R'));
        let triple = [quote; 3];
        let mark: &[u8] = if self.bytes[opened..].starts_with(&triple) { &triple } else { &triple[..1] };
        self.at += mark.len();
        while let Some(byte) = self.bytes.get(self.at) {
            if self.bytes[self.at..].starts_with(mark) {
                self.at += mark.len() - 1;
                return Ok(());
            }
            self.at += if *byte == b'\\' && !is_raw { 2 } else { 1 };
        }
        Err(ParseError::new(opened, "this quotation mark is never closed"))
    }
}
