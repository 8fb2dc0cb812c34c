//! One expression: the text between `${` and `}`.
//!
//! The syntax is the part of CEL that names a value: identifiers, `.name`, `["any name"]` and `[0]`.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::likely::likely;
use crate::reference::{begins_identifier, continues_identifier, is_keyword};
use crate::{Reference, Step};

const MAX_STEPS: usize = 32;
const MAX_BYTES: usize = 4096;

const ONLY_PATHS: &str = "only paths can be used in this version, such as `request.body.items[0].sku`";

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where in the template's text, in bytes from 0.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
    /// The name that was probably meant.
    pub likely: Option<String>,
}

impl ParseError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), likely: None }
    }
}

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.offset)?;
        match &self.likely {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

impl Error for ParseError {}

/// Reads the expression that begins at `start`, just behind its `${`; also returns where the text goes on,
/// just behind its `}`.
pub(crate) fn parse(text: &str, start: usize) -> Result<(Reference, usize), ParseError> {
    let mut reader = Reader { text, at: start, opened: start - "${".len() };
    reader.skip_whitespace();
    if reader.peek() == Some(b'}') {
        return Err(ParseError::new(reader.at, "an expression is missing between `${` and `}`"));
    }
    let root_at = reader.at;
    let root = reader.identifier()?;
    let mut steps = Vec::new();
    loop {
        reader.skip_whitespace();
        let offset = reader.at;
        let step = match reader.peek() {
            Some(b'}') => break,
            Some(b'.') => Step::Member(reader.dotted()?),
            Some(b'[') => reader.bracketed()?,
            _ => return Err(reader.unexpected()),
        };
        if steps.len() == MAX_STEPS {
            return Err(ParseError::new(offset, format!("a path has at most {MAX_STEPS} steps")));
        }
        steps.push((offset, step));
    }
    if reader.at - start > MAX_BYTES {
        return Err(ParseError::new(start, format!("an expression has at most {MAX_BYTES} bytes")));
    }
    let steps = Steps { end: reader.at, left: steps.into_iter() };
    Ok((resolve(root, root_at, steps)?, reader.at + 1))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    opened: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Why the text cannot go on as it does here.
    fn unexpected(&self) -> ParseError {
        match self.peek() {
            None => ParseError::new(self.opened, "`${` is never closed by `}`"),
            Some(b'-') => ParseError::new(
                self.at,
                format!("{ONLY_PATHS}; a name with a hyphen is written in brackets: `[\"x-tenant\"]`"),
            ),
            Some(_) => ParseError::new(self.at, ONLY_PATHS),
        }
    }

    fn identifier(&mut self) -> Result<&'a str, ParseError> {
        if !self.peek().is_some_and(begins_identifier) {
            return Err(self.unexpected());
        }
        let from = self.at;
        while self.peek().is_some_and(continues_identifier) {
            self.at += 1;
        }
        Ok(&self.text[from..self.at])
    }

    fn dotted(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        self.skip_whitespace();
        let offset = self.at;
        let name = self.identifier()?;
        if is_keyword(name) {
            let message = format!("`{name}` is a keyword; as a name it is written `[\"{name}\"]`");
            return Err(ParseError::new(offset, message));
        }
        Ok(name.to_owned())
    }

    fn bracketed(&mut self) -> Result<Step, ParseError> {
        self.at += 1;
        self.skip_whitespace();
        let step = match self.peek() {
            Some(quote @ (b'"' | b'\'')) => Step::Member(self.quoted(quote)?),
            Some(b'0'..=b'9') => Step::Index(self.index()?),
            Some(b'-') => return Err(ParseError::new(self.at, "an index is counted from 0")),
            _ => return Err(self.unexpected()),
        };
        self.skip_whitespace();
        if self.peek() != Some(b']') {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(step)
    }

    fn index(&mut self) -> Result<usize, ParseError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = &self.text[from..self.at];
        digits.parse().map_err(|_| ParseError::new(from, format!("the index {digits} is too large")))
    }

    fn quoted(&mut self, quote: u8) -> Result<String, ParseError> {
        let opened = self.at;
        self.at += 1;
        let mut name = String::new();
        loop {
            let from = self.at;
            while self.peek().is_some_and(|byte| byte != quote && byte != b'\\') {
                self.at += 1;
            }
            name.push_str(&self.text[from..self.at]);
            match self.peek() {
                None => return Err(ParseError::new(opened, "this quotation mark is never closed")),
                Some(b'\\') => name.push(self.escape()?),
                Some(_) => break,
            }
        }
        self.at += 1;
        Ok(name)
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let offset = self.at;
        let escaped = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        let character = match escaped {
            Some(same @ (b'\\' | b'"' | b'\'')) => Some(char::from(same)),
            Some(b'n') => Some('\n'),
            Some(b'r') => Some('\r'),
            Some(b't') => Some('\t'),
            Some(b'u') => self.code_point(4),
            Some(b'U') => self.code_point(8),
            _ => None,
        };
        let help = r#"an escape in a name is one of \\ \" \' \n \r \t \uXXXX \UXXXXXXXX"#;
        character.ok_or_else(|| ParseError::new(offset, help))
    }

    fn code_point(&mut self, digits: usize) -> Option<char> {
        let hex = self.text.get(self.at..self.at + digits)?;
        self.at += digits;
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        char::from_u32(u32::from_str_radix(hex, 16).ok()?)
    }
}

/// The steps behind the root, with where each begins.
struct Steps {
    left: std::vec::IntoIter<(usize, Step)>,
    end: usize,
}

impl Steps {
    /// The next step, which must be one of the `known` names; `of` is the path so far.
    fn known(&mut self, of: &str, known: &[&'static str]) -> Result<&'static str, ParseError> {
        let offset = self.left.as_slice().first().map_or(self.end, |(offset, _)| *offset);
        let name = self.name(of, &format!("one of {}", known.join(", ")))?;
        let found = known.iter().find(|known| **known == name);
        found.copied().ok_or_else(|| unknown(offset, &name, known))
    }

    /// The next step, which must be a name.
    fn name(&mut self, of: &str, wanted: &str) -> Result<String, ParseError> {
        match self.left.next() {
            Some((_, Step::Member(name))) => Ok(name),
            Some((offset, Step::Index(_))) => {
                Err(ParseError::new(offset, format!("`{of}` has names, not numbers; it needs {wanted}")))
            }
            None => Err(ParseError::new(self.end, format!("`{of}` stands for no value; it needs {wanted}"))),
        }
    }

    /// Where the path must have ended, since `of` is plain text.
    fn end(mut self, of: &str) -> Result<(), ParseError> {
        match self.left.next() {
            Some((offset, _)) => Err(ParseError::new(offset, format!("`{of}` is text, and has no members"))),
            None => Ok(()),
        }
    }

    fn last_name(mut self, of: &str) -> Result<String, ParseError> {
        let name = self.name(of, "a name")?;
        self.end(&format!("{of}.{name}"))?;
        Ok(name)
    }

    fn rest(self) -> Vec<Step> {
        self.left.map(|(_, step)| step).collect()
    }
}

fn resolve(root: &str, root_at: usize, mut steps: Steps) -> Result<Reference, ParseError> {
    match root {
        "request" => request(steps),
        "transaction" => {
            steps.known("transaction", &["id"])?;
            steps.end("transaction.id")?;
            Ok(Reference::TransactionId)
        }
        "branches" => {
            let branch = steps.name("branches", "a branch's name")?;
            steps.known(&format!("branches.{branch}"), &["response"])?;
            Ok(Reference::BranchResponse { branch, path: steps.rest() })
        }
        _ => Err(unknown(root_at, root, &["branches", "request", "transaction"])),
    }
}

fn request(mut steps: Steps) -> Result<Reference, ParseError> {
    match steps.known("request", &["body", "headers", "method", "parameters", "path", "query"])? {
        "body" => Ok(Reference::RequestBody(steps.rest())),
        "headers" => header(steps),
        "parameters" => Ok(Reference::RequestParameter(steps.last_name("request.parameters")?)),
        "query" => Ok(Reference::RequestQuery(steps.last_name("request.query")?)),
        "method" => steps.end("request.method").map(|()| Reference::RequestMethod),
        _ => steps.end("request.path").map(|()| Reference::RequestPath),
    }
}

fn header(steps: Steps) -> Result<Reference, ParseError> {
    let offset = steps.left.as_slice().first().map_or(steps.end, |(offset, _)| *offset);
    let name = steps.last_name("request.headers")?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(valid) {
        return Err(ParseError::new(offset, format!("{name:?} cannot be the name of a header")));
    }
    Ok(Reference::RequestHeader(name.to_ascii_lowercase()))
}

fn unknown(offset: usize, name: &str, known: &[&str]) -> ParseError {
    ParseError {
        offset,
        message: format!("unknown name `{name}`: known here are {}", known.join(", ")),
        likely: likely(name, known).map(str::to_owned),
    }
}
