//! A bare path: an expression that names one value, which is then copied byte for byte.
//!
//! The syntax is the part of CEL that names a value: identifiers, `.name`, `["any name"]` and `[0]`.

use std::error::Error;
use std::fmt::{self, Display, Formatter};

use crate::likely::likely;
use crate::reference::{begins_identifier, continues_identifier, is_keyword};
use crate::{Reference, Step};

const MAX_STEPS: usize = 32;

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

/// Reads the path between `start` and `end`; `None` where something else stands there.
pub(crate) fn parse(text: &str, start: usize, end: usize) -> Result<Option<Reference>, ParseError> {
    let mut reader = Reader { text: &text[..end], at: start };
    match reader.path() {
        Ok((root, root_at, steps)) => resolve(root, root_at, steps, end).map(Some),
        Err(Stop::NoPath) => Ok(None),
        Err(Stop::Wrong(error)) => Err(error),
    }
}

/// A path's root and where it stands; and its steps, with where each begins.
type Path<'a> = (&'a str, usize, Vec<(usize, Step)>);

/// Why there is no path to be read.
enum Stop {
    /// It is none: something else, or nothing that can be understood.
    NoPath,
    /// It is one, with something wrong in it.
    Wrong(ParseError),
}

impl From<ParseError> for Stop {
    fn from(error: ParseError) -> Self {
        Stop::Wrong(error)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn path(&mut self) -> Result<Path<'a>, Stop> {
        self.skip_whitespace();
        let root_at = self.at;
        if self.peek().is_none() {
            return Err(ParseError::new(root_at, "an expression is missing between `${` and `}`").into());
        }
        let root = self.identifier()?;
        if is_keyword(root) {
            return Err(Stop::NoPath);
        }
        let mut steps = Vec::new();
        loop {
            self.skip_whitespace();
            let offset = self.at;
            let step = match self.peek() {
                None => return Ok((root, root_at, steps)),
                Some(b'.') => Step::Member(self.dotted()?),
                Some(b'[') => self.bracketed()?,
                Some(_) => return Err(Stop::NoPath),
            };
            steps.push((offset, step));
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn identifier(&mut self) -> Result<&'a str, Stop> {
        if !self.peek().is_some_and(begins_identifier) {
            return Err(Stop::NoPath);
        }
        let from = self.at;
        while self.peek().is_some_and(continues_identifier) {
            self.at += 1;
        }
        Ok(&self.text[from..self.at])
    }

    fn dotted(&mut self) -> Result<String, Stop> {
        self.at += 1;
        self.skip_whitespace();
        let offset = self.at;
        let name = self.identifier()?;
        if is_keyword(name) {
            let message = format!("`{name}` is a keyword; as a name it is written `[\"{name}\"]`");
            return Err(ParseError::new(offset, message).into());
        }
        Ok(name.to_owned())
    }

    fn bracketed(&mut self) -> Result<Step, Stop> {
        self.at += 1;
        self.skip_whitespace();
        let step = match self.peek() {
            Some(quote @ (b'"' | b'\'')) => Step::Member(self.quoted(quote)?),
            Some(b'0'..=b'9') => Step::Index(self.index()?),
            _ => return Err(Stop::NoPath),
        };
        self.skip_whitespace();
        if self.peek() != Some(b']') {
            return Err(Stop::NoPath);
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

/// What a root and its steps name; each step with where it stands, and `end` where the path ends.
pub(crate) fn resolve(
    root: &str,
    root_at: usize,
    steps: Vec<(usize, Step)>,
    end: usize,
) -> Result<Reference, ParseError> {
    if let Some((offset, _)) = steps.get(MAX_STEPS) {
        return Err(ParseError::new(*offset, format!("a path has at most {MAX_STEPS} steps")));
    }
    let mut steps = Steps { left: steps.into_iter(), end };
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

/// Nothing is called so here.
pub(crate) fn unknown(offset: usize, name: &str, known: &[&str]) -> ParseError {
    ParseError {
        offset,
        message: format!("unknown name `{name}`: known here are {}", known.join(", ")),
        likely: likely(name, known).map(str::to_owned),
    }
}
