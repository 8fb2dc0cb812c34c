//! As much of HTTP/1.1 as the load needs: where a message ends, and what stands in its first line.

use memchr::memmem;

/// How many bytes the first message has; `None` while it is not whole.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
    let whole = head + content_length(bytes.get(..head)?);
    (bytes.len() >= whole).then_some(whole)
}

/// What the head says of its body's length; nothing said is nothing sent.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    for at in memchr::memchr_iter(b'\n', head) {
        let line = head.get(at + 1..).unwrap_or_default();
        if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            let digits = line.iter().skip(NAME.len()).skip_while(|byte| **byte == b' ');
            let digits = digits.take_while(|byte| byte.is_ascii_digit());
            return digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        }
    }
    0
}

/// The status of an answer: the three digits behind its version.
pub fn status(answer: &[u8]) -> u16 {
    let digits = answer.get(9..12).unwrap_or_default();
    digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit.wrapping_sub(b'0')))
}

/// The target of a request: what stands between the first two spaces.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a>(&'a [u8]);

impl<'a> Target<'a> {
    pub fn of(request: &'a [u8]) -> Target<'a> {
        let mut words = request.split(|byte| *byte == b' ' || *byte == b'\r');
        Target(words.nth(1).unwrap_or_default())
    }

    /// What stands before a query.
    pub fn path(self) -> &'a [u8] {
        self.0.split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// Whether the path's last segment is this word.
    pub fn asks(self, operation: &str) -> bool {
        let before = self.0.strip_suffix(operation.as_bytes());
        before.is_some_and(|before| before.last() == Some(&b'/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_where_its_length_says() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 12\r\n\r\n{\"a\":\"\r\n\r\n\"}HTTP";
        assert_eq!(length(text), Some(text.len() - 4));
        assert_eq!(length(&text[..text.len() - 5]), None);
        assert_eq!(length(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Some(27));
        assert_eq!([status(text), status(b"HTTP/1.1 503 x")], [200, 503]);
    }

    #[test]
    fn an_operation_is_the_last_segment() {
        let target = Target::of(b"POST /debits/commit HTTP/1.1\r\n");
        assert!(target.asks("commit") && !target.asks("mit") && !target.asks("prepare"));
    }
}
