//! Texts with expressions: whether they parse, stand where they may, and name what is there.

use super::cursor::Cursor;
use super::likely::suggestion;
use super::source::Span;
use super::yaml::{Node, Scalar, Value};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use std::cell::RefCell;
use unanimo_expression::{Dependency, ParseError, Reference, Template};

/// The places of the branches whose answers have been named, and where.
pub type NamedAnswers = RefCell<Vec<(u8, Span)>>;

/// What may be named.
pub struct Scope<'a> {
    /// The parameters of the route's path; `None` where nobody can know them.
    pub parameters: Option<&'a [String]>,
    /// The route's branches, whose answers may be named.
    pub answers: &'a [String],
    /// The client's credentials that the route passes on.
    pub credentials: &'a [HeaderName],
    /// Takes down whose answers are named, while a branch is read.
    pub named: Option<&'a NamedAnswers>,
    /// The branches that act after the verdict, whose answers nobody can name who speaks at the verdict.
    pub late: &'a [String],
    /// Whether it is a compensation: the answers that it names may never have come.
    pub is_compensation: bool,
}

/// Where the text will stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a string of a body.
    Body,
    /// In a header's value.
    Header,
    /// In a path.
    Path,
}

impl<'a> Cursor<'a> {
    /// A text with expressions, checked for the place where it will stand.
    pub fn template(self, place: Place, scope: &Scope) -> Option<&'a str> {
        let text = self.text()?;
        let checked = Template::parse(text).and_then(|template| match place {
            Place::Body => Ok(template),
            Place::Header => template.check_header().map(|()| template),
            Place::Path => template.check_path().map(|()| template),
        });
        match checked {
            Ok(template) => {
                let mut named: Vec<&Reference> = Vec::new();
                let mut wrong = 0;
                for Dependency { reference, is_optional } in template.dependencies() {
                    if !named.contains(&reference) {
                        named.push(reference);
                        let may =
                            self.may_name(reference, scope) && self.may_lack(reference, is_optional, scope);
                        wrong += usize::from(!may);
                    }
                }
                (wrong == 0).then_some(text)
            }
            Err(error) => {
                self.wrong_expression(&error);
                None
            }
        }
    }

    /// Notes what is wrong with this text, at the very character where the source shows it.
    pub fn wrong_expression(self, error: &ParseError) {
        let span = self.node.at_offset(error.offset, self.notes.source().slice(self.node.span));
        match &error.likely {
            Some(likely) => self.notes.wrong_but(span, &error.message, format!("did you mean `{likely}`?")),
            None => self.notes.wrong(span, &error.message),
        }
    }

    /// Whether a compensation asks whether an answer is there before it takes it.
    fn may_lack(self, reference: &Reference, is_optional: bool, scope: &Scope) -> bool {
        let blind =
            scope.is_compensation && !is_optional && matches!(reference, Reference::BranchResponse { .. });
        if blind {
            let message = format!("`{reference}` may never have come when this is compensated");
            let help = format!("ask whether it is there: `has({reference}) ? {reference} : …`");
            self.wrong_but(message, help);
        }
        !blind
    }

    fn may_name(self, reference: &Reference, scope: &Scope) -> bool {
        match reference {
            Reference::RequestParameter(name) => {
                let Some(known) = scope.parameters.filter(|known| !known.contains(name)) else { return true };
                let help = match known {
                    [] => format!("a segment of the route's `path` may be `{{{name}}}`"),
                    _ => suggestion(name, known.iter().map(String::as_str)),
                };
                self.wrong_but(format!("`{reference}`: the route's `match` has no parameter `{name}`"), help);
                false
            }
            Reference::RequestHeader(name) if is_secret(name, scope.credentials) => {
                let message = format!("`{reference}` would write a client's credential to the journal");
                let travels = scope.credentials.iter().any(|passed| passed == name.as_str());
                let help = match travels {
                    _ if scope.is_compensation => {
                        "a compensation is called with its service's own credential".to_owned()
                    }
                    true => "it travels by itself, since `pass_credentials` names it".to_owned(),
                    false => format!("let it travel with `pass_credentials: [{name}]` instead"),
                };
                self.wrong_but(message, help);
                false
            }
            Reference::BranchResponse { branch, .. } => {
                let Some(place) = scope.answers.iter().position(|known| known == branch) else {
                    let names = scope.answers.iter().map(String::as_str);
                    let message = format!("`{reference}`: the route has no branch `{branch}`");
                    self.wrong_but(message, suggestion(branch, names));
                    return false;
                };
                if scope.late.contains(branch) {
                    let message =
                        format!("`{reference}`: `{branch}` is retriable, and acts after this is said");
                    self.wrong_but(message, "name the answer of a branch that acts before the verdict");
                    return false;
                }
                if let (Some(named), Ok(place)) = (scope.named, u8::try_from(place)) {
                    named.borrow_mut().push((place, self.span()));
                }
                true
            }
            _ => true,
        }
    }
}

/// Whether this header of a client is a credential.
fn is_secret(name: &str, passed: &[HeaderName]) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].iter().chain(passed).any(|secret| secret == name)
}

impl Node {
    /// Where a byte of this text stands in the source: only where the source shows the text as it is, on one line and
    /// without escapes; else where the text begins.
    pub fn at_offset(&self, offset: usize, written: &str) -> Span {
        let Value::Scalar(Scalar { text, plain, .. }) = &self.value else { return self.span };
        let quotation_mark = usize::from(!plain);
        match written.get(quotation_mark..written.len() - quotation_mark.min(written.len())) {
            Some(shown) if shown == text && offset <= text.len() => {
                let start = self.span.start + quotation_mark + offset;
                Span { start, end: start }
            }
            _ => self.span,
        }
    }
}
