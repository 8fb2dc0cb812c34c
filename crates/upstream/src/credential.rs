//! How a service knows us.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use http::HeaderValue;

/// What we show a service when nobody else's credential may be shown.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// `Authorization: Bearer …`.
    Bearer(Token),
}

impl Credential {
    /// The value for the `Authorization` header.
    pub fn header(&self) -> Option<&HeaderValue> {
        match self {
            Credential::Anonymous => None,
            Credential::Bearer(token) => Some(&token.0),
        }
    }
}

/// A bearer token. Its `Debug` never shows it, nor does that of the header made of it.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// Takes the token itself, without the word `Bearer`.
    pub fn new(token: &str) -> Result<Self, InvalidToken> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken);
        }
        let mut header = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| InvalidToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A token that cannot stand in a header. It does not repeat the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

impl Display for InvalidToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a bearer token is one word of visible ASCII characters")
    }
}

impl Error for InvalidToken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let credential = Credential::Bearer(Token::new("s3cret").unwrap());
        assert_eq!(credential.header().unwrap(), "Bearer s3cret");
        assert!(!format!("{credential:?} {:?}", credential.header()).contains("s3cret"));
        assert!(Credential::Anonymous.header().is_none());
    }

    #[test]
    fn a_token_is_one_word() {
        for bad in ["", "a b", "a\n", "\u{e4}"] {
            assert_eq!(Token::new(bad).unwrap_err(), InvalidToken, "{bad:?}");
        }
    }
}
