//! How a request says where it ends.
//!
//! The headers that say so are ours alone. If they did not agree with the body, the service would take the
//! next request on the connection for a part of this one, or the other way round.

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Version};
use http_body::Body as _;

use crate::Body;

/// Makes the headers agree with the body.
pub(crate) fn frame(request: &mut Request<Body>) {
    *request.version_mut() = Version::HTTP_11;
    let length = if request.body().is_end_stream() { Some(0) } else { request.body().size_hint().exact() };
    let wants_length = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    if length.is_none() || stated_length(headers) != length {
        headers.remove(CONTENT_LENGTH);
    }
    match length {
        Some(0) if wants_length => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        // hyper says the length where we do not.
        Some(_) => {}
        // hyper would not send such a body with a GET, unless told so.
        None => {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

/// The length that the headers state, if they do so once and clearly.
fn stated_length(headers: &HeaderMap) -> Option<u64> {
    let mut stated = headers.get_all(CONTENT_LENGTH).iter();
    let (Some(length), None) = (stated.next(), stated.next()) else { return None };
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn framed(method: Method, body: Body, headers: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        frame(&mut request);
        request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    fn three() -> Body {
        Body::Full(Bytes::from_static(b"abc"))
    }

    #[test]
    fn a_length_that_is_right_stays() {
        assert_eq!(framed(Method::POST, three(), &[("content-length", "3")]), ["content-length: 3"]);
        assert_eq!(framed(Method::GET, Body::Empty, &[("content-length", "0")]), ["content-length: 0"]);
    }

    #[test]
    fn a_length_that_is_wrong_goes() {
        for wrong in ["4", "+3", "3, 3", "", "18446744073709551619"] {
            assert_eq!(framed(Method::POST, three(), &[("content-length", wrong)]), [""; 0], "{wrong}");
        }
        assert_eq!(
            framed(Method::POST, three(), &[("content-length", "3"), ("content-length", "3")]),
            [""; 0]
        );
        assert_eq!(framed(Method::GET, Body::Empty, &[("content-length", "5")]), [""; 0]);
        assert_eq!(framed(Method::POST, three(), &[("transfer-encoding", "chunked")]), [""; 0]);
    }

    #[test]
    fn an_empty_post_says_so() {
        assert_eq!(framed(Method::POST, Body::Empty, &[]), ["content-length: 0"]);
        assert_eq!(framed(Method::PUT, Body::Full(Bytes::new()), &[]), ["content-length: 0"]);
        assert_eq!(framed(Method::GET, Body::Empty, &[]), [""; 0]);
    }
}
