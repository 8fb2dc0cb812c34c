//! The JSON grammar: check a text once, then step over its tokens.

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 128;

/// Where a text stops being JSON, and why.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) message: &'static str,
}

/// Checks that `text` is one JSON value, with nothing but whitespace around it.
pub(crate) fn check(text: &str) -> Result<(), Fault> {
    let mut checker = Checker { text: text.as_bytes(), at: 0 };
    checker.value(0)?;
    checker.skip_whitespace();
    match checker.peek() {
        None => Ok(()),
        Some(_) => Err(checker.fault("nothing may follow the value")),
    }
}

struct Checker<'a> {
    text: &'a [u8],
    at: usize,
}

impl Checker<'_> {
    fn fault(&self, message: &'static str) -> Fault {
        Fault { offset: self.at, message }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while self.peek().is_some_and(is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, message: &'static str) -> Result<(), Fault> {
        self.skip_whitespace();
        if self.take(byte) { Ok(()) } else { Err(self.fault(message)) }
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        self.skip_whitespace();
        match self.peek() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => Err(self.fault("the value nests too deep")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.fault("a value is expected")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_whitespace();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.skip_whitespace();
            if self.peek() != Some(b'"') {
                return Err(self.fault("a member's name in quotation marks is expected"));
            }
            self.string()?;
            self.expect(b':', "`:` is expected")?;
            self.value(depth + 1)?;
            self.skip_whitespace();
            if !self.take(b',') {
                return self.expect(b'}', "`,` or `}` is expected");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_whitespace();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.skip_whitespace();
            if !self.take(b',') {
                return self.expect(b']', "`,` or `]` is expected");
            }
        }
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..=0x1f) => return Err(self.fault("control characters are escaped in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("the string is never closed")),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let length = match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => 6,
            _ => return Err(self.fault("there is no such escape")),
        };
        let hex = self.text.get(self.at + 2..self.at + length);
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err(self.fault("`\\u` needs four hexadecimal digits"));
        }
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault("a digit is expected"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.fault("a value is expected"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// The tokens directly inside a checked array or object, or all of a checked text. In an object, names and
/// values take turns. Commas and colons have been checked, and count as whitespace here.
pub(crate) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(crate) fn of_text(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    pub(crate) fn inside(container: &'a [u8]) -> Self {
        Self { rest: container.get(1..container.len() - 1).unwrap_or_default() }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start =
            self.rest.iter().position(|&byte| !is_whitespace(byte) && !matches!(byte, b',' | b':'))?;
        let rest = &self.rest[start..];
        let length = match rest[0] {
            b'"' => string_length(rest),
            b'{' | b'[' => container_length(rest),
            _ => rest.iter().position(|&byte| is_whitespace(byte) || byte == b',').unwrap_or(rest.len()),
        };
        let (token, rest) = rest.split_at(length);
        self.rest = rest;
        Some(token)
    }
}

fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn container_length(text: &[u8]) -> usize {
    let (mut at, mut open) = (0, 0);
    while at < text.len() {
        match text[at] {
            b'"' => {
                at += string_length(&text[at..]);
                continue;
            }
            b'{' | b'[' => open += 1,
            b'}' | b']' => open -= 1,
            _ => {}
        }
        at += 1;
        if open == 0 {
            return at;
        }
    }
    text.len()
}
