//! What a client is told, as it is sent and as it is stored.

use bytes::Bytes;
use unanimo_protocol::fields::{self, Malformed};

/// A whole answer. Kept in the journal with the verdict, so that a client that comes back hears the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

const STATUS: u8 = 1;
const HEADER_NAME: u8 = 2;
const HEADER_VALUE: u8 = 3;
const BODY: u8 = 4;

impl ClientAnswer {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<Bytes>) -> ClientAnswer {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        ClientAnswer { status, headers, body: body.into() }
    }

    /// The same answer with one more header.
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> ClientAnswer {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The answer as it is stored.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(64 + self.body.len());
        fields::put_number(&mut out, STATUS, u64::from(self.status));
        for (name, value) in &self.headers {
            fields::put_bytes(&mut out, HEADER_NAME, name.as_bytes());
            fields::put_bytes(&mut out, HEADER_VALUE, value.as_bytes());
        }
        fields::put_bytes(&mut out, BODY, &self.body);
        Bytes::from(out)
    }

    /// Reads a stored answer.
    pub fn decode(stored: Bytes) -> Result<ClientAnswer, Malformed> {
        let mut answer = ClientAnswer { status: 0, headers: Vec::new(), body: Bytes::new() };
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                STATUS => answer.status = field.small()?,
                HEADER_NAME => answer.headers.push((field.text()?.to_owned(), String::new())),
                HEADER_VALUE => {
                    let (_, value) = answer.headers.last_mut().ok_or(Malformed::BadValue(HEADER_VALUE))?;
                    field.text()?.clone_into(value);
                }
                BODY => answer.body = field.value,
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        if answer.status == 0 { Err(Malformed::MissingField(STATUS)) } else { Ok(answer) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back() {
        let answer = ClientAnswer::json(201, "{}").with_header("location", "/orders/7").with_header("x", "");
        assert_eq!(ClientAnswer::decode(answer.encode()), Ok(answer));
    }

    #[test]
    fn an_answer_without_status_is_refused() {
        assert_eq!(ClientAnswer::decode(Bytes::new()), Err(Malformed::MissingField(STATUS)));
    }
}
