//! A client's idempotency key: read, and turned into what tells one request from another.

use http::header::{AUTHORIZATION, HeaderMap};
use sha2::{Digest as _, Sha256};
use unanimo_contract::{Digest, Key, headers, plan};

/// The longest key, in characters.
const LONGEST: usize = 255;

/// The key that the client gave. The error is a sentence about the request.
pub(crate) fn read(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    let mut lines = headers.get_all(headers::IDEMPOTENCY_KEY).iter();
    let Some(key) = lines.next().map(|line| line.as_bytes()) else { return Ok(None) };
    if lines.next().is_some() {
        return Err("the request has more than one Idempotency-Key");
    }
    let is_key = (1..=LONGEST).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    if is_key {
        Ok(Some(key))
    } else {
        Err("an Idempotency-Key has 1 to 255 visible ASCII characters and no spaces")
    }
}

/// Who asks, as far as that is known: a hash of what the client shows, since what it shows is a secret.
pub(crate) fn consumer(headers: &HeaderMap) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for (at, line) in headers.get_all(AUTHORIZATION).iter().enumerate() {
        if at > 0 {
            // No line can hold one.
            hasher.update(b"\n");
        }
        hasher.update(line.as_bytes());
    }
    hasher.finalize().into()
}

/// What tells a client's key of this route from all others: the key, the route, and whom these headers show.
pub fn scope(key: &[u8], route: &str, headers: &HeaderMap) -> Digest {
    plan::digest(&[route.as_bytes(), key, &consumer(headers)])
}

/// The key within its scope, and the fingerprint of what was asked: method, target and body.
pub(crate) fn of_request(key: &[u8], route: &str, consumer: &[u8; 32], asked: [&[u8]; 3]) -> Key {
    let scope = plan::digest(&[route.as_bytes(), key, consumer]);
    Key { scope, fingerprint: plan::digest(&asked) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with_key(keys: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for key in keys {
            map.append(headers::IDEMPOTENCY_KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
        }
        map
    }

    #[test]
    fn a_key_is_one_word_of_bounded_length() {
        assert_eq!(read(&with_key(&[])), Ok(None));
        assert_eq!(read(&with_key(&["a"])), Ok(Some(&b"a"[..])));
        assert_eq!(read(&with_key(&[&"k".repeat(255)])).unwrap().map(<[u8]>::len), Some(255));
        for bad in [vec![""], vec!["a b"], vec!["ä"], vec!["a", "a"]] {
            assert!(read(&with_key(&bad)).is_err(), "{bad:?}");
        }
        assert!(read(&with_key(&[&"k".repeat(256)])).is_err());
    }

    #[test]
    fn every_part_tells_requests_apart() {
        let consumer = |token: &str| {
            let mut map = HeaderMap::new();
            map.insert(AUTHORIZATION, HeaderValue::from_str(token).unwrap());
            super::consumer(&map)
        };
        let asked: [&[u8]; 3] = [b"POST", b"/a", b"{}"];
        let key = of_request(b"k", "r", &consumer("x"), asked);
        assert_eq!(key, of_request(b"k", "r", &consumer("x"), asked));
        for other in [
            of_request(b"K", "r", &consumer("x"), asked),
            of_request(b"k", "R", &consumer("x"), asked),
            of_request(b"k", "r", &consumer("X"), asked),
            of_request(b"k", "r", &super::consumer(&HeaderMap::new()), asked),
            of_request(b"rk", "", &consumer("x"), asked),
        ] {
            assert_ne!(key.scope, other.scope);
            assert_eq!(key.fingerprint, other.fingerprint);
        }
        for other in
            [[b"PUT", asked[1], asked[2]], [asked[0], b"/a?b", asked[2]], [asked[0], asked[1], b"{ }"]]
        {
            let other = of_request(b"k", "r", &consumer("x"), other);
            assert_eq!(key.scope, other.scope);
            assert_ne!(key.fingerprint, other.fingerprint);
        }
    }
}
