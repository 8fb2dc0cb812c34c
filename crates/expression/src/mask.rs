//! Texts without the values that nobody may see: what stands in the place of a secret says that there is one.

use crate::scan::Tokens;
use crate::{Document, Reason, Step};
use bytes::Bytes;

/// What is shown in the place of a secret.
pub const MASK: &str = "•••";

/// The same as a JSON value.
pub(crate) const MASK_JSON: &[u8] = "\"•••\"".as_bytes();

impl Document {
    /// The document with [`MASK`] in place of what stands at the end of these paths. A path that leads nowhere hides
    /// nothing; where a name on the way stands twice, everything is hidden.
    pub fn mask<'a>(&self, secrets: impl Iterator<Item = &'a [Step]>) -> Bytes {
        let whole = self.get(&[]).unwrap_or_default();
        let mut hidden = Vec::new();
        for path in secrets {
            match self.get(path) {
                Ok(token) => {
                    let start = token.as_ptr().addr() - whole.as_ptr().addr();
                    hidden.push((start, start + token.len()));
                }
                Err(Reason::Ambiguous) => return Bytes::from_static(MASK_JSON),
                Err(_) => {}
            }
        }
        hidden.sort_unstable();
        let (mut out, mut at) = (Vec::with_capacity(whole.len()), 0);
        for (start, end) in hidden {
            // What lies within another hidden value is hidden already.
            if let Some(between) = whole.get(at..start) {
                out.extend_from_slice(between);
                out.extend_from_slice(MASK_JSON);
                at = end;
            }
        }
        out.extend_from_slice(whole.get(at..).unwrap_or_default());
        Bytes::from(out)
    }
}

/// How long the JSON value is with which a part of a checked document begins.
pub(crate) fn value_length(rest: &[u8]) -> Option<usize> {
    match rest.first()? {
        b'"' | b'{' | b'[' => Tokens::of_text(rest).next().map(<[u8]>::len),
        _ => Some(rest.iter().position(|byte| b",]} \n\r\t".contains(byte)).unwrap_or(rest.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JsonTemplate, Reference};

    fn path(text: &str) -> Vec<Step> {
        match Reference::parse(text).unwrap() {
            Reference::RequestBody(path) => path,
            _ => unreachable!(),
        }
    }

    fn masked(document: &str, secrets: &[&str]) -> String {
        let document = Document::parse(Bytes::copy_from_slice(document.as_bytes())).unwrap();
        let secrets: Vec<_> = secrets.iter().map(|text| path(text)).collect();
        String::from_utf8(document.mask(secrets.iter().map(Vec::as_slice)).to_vec()).unwrap()
    }

    #[test]
    fn what_stands_at_a_path_is_hidden_and_the_rest_kept() {
        let card = r#" {"card": {"number": "4111", "name": "a"}, "n": 1.10, "pin": [7] } "#;
        let shown = masked(card, &["request.body.card.number", "request.body.pin[0]", "request.body.none"]);
        assert_eq!(shown, r#"{"card": {"number": "•••", "name": "a"}, "n": 1.10, "pin": ["•••"] }"#);
        let shown = masked(card, &["request.body.card.number", "request.body.card"]);
        assert_eq!(shown, r#"{"card": "•••", "n": 1.10, "pin": [7] }"#);
        assert_eq!(masked(card, &["request.body"]), r#""•••""#);
        assert_eq!(masked(r#"{"a":1,"a":2}"#, &["request.body.a"]), r#""•••""#);
    }

    #[test]
    fn a_body_hides_what_its_template_has_put_there() {
        let template = serde_json::json!({
            "pin": "${request.body.pin}",
            "text": "for ${request.body.card.number} at ${request.headers.at}",
            "list": ["${request.body.n}", "${request.body}"],
            "sum": "${request.body.n + 1}",
            "open": "${request.headers.at}",
            "plain": "pin",
        });
        let template = JsonTemplate::compile(&template).unwrap();
        let rendered = br#"{"list":[1.0,{"pin":"1","n":1}],"open":"x","pin":"12\"34","plain":"pin","sum":2,"text":"for 4 at \"x"}"#;
        let mask = |secrets: &[&str]| {
            let secrets: Vec<_> = secrets.iter().map(|text| Reference::parse(text).unwrap()).collect();
            let hides = |named: &Reference| secrets.iter().any(|secret| secret.touches(named));
            String::from_utf8(template.mask(&Bytes::from_static(rendered), hides).to_vec()).unwrap()
        };
        assert_eq!(mask(&["request.body.none.there"]).matches(MASK).count(), 1, "the whole body may hold it");
        assert_eq!(
            mask(&["request.body.pin", "request.body.card"]),
            r#"{"list":[1.0,"•••"],"open":"x","pin":"•••","plain":"pin","sum":2,"text":"•••"}"#
        );
        assert_eq!(
            mask(&["request.body.n"]),
            r#"{"list":["•••","•••"],"open":"x","pin":"12\"34","plain":"pin","sum":"•••","text":"for 4 at \"x"}"#
        );
        let other = template.mask(&Bytes::from_static(br#"{"pin":1}"#), |_| false);
        assert_eq!(&other[..], MASK_JSON, "what is not its work is hidden as a whole");
    }
}
