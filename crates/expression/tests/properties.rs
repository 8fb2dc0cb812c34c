//! What holds for any document, any value, and any text.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::Bytes;
use common::{World, member};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::IgnoredAny;
use unanimo_expression::{Document, JsonTemplate, Reason, Reference, Step, Template};

/// A path, and what must be found there.
type Place = (Vec<Step>, Result<String, Reason>);

/// A JSON document that remembers how each of its values is spelled.
#[derive(Clone, Debug)]
enum Tree {
    Scalar(String),
    Array(Vec<Tree>, String),
    /// Each member with its name's text and its name's spelling.
    Object(Vec<(String, String, Tree)>, String),
}

impl Tree {
    /// The spelling of the value; a blank after each token shows where tokens end.
    fn spell(&self) -> String {
        match self {
            Tree::Scalar(token) => token.clone(),
            Tree::Array(elements, blank) => {
                let elements: Vec<_> = elements.iter().map(|element| element.spell() + blank).collect();
                format!("[{blank}{}]", elements.join(&format!(",{blank}")))
            }
            Tree::Object(members, blank) => {
                let spell = |(_, key, value): &(_, String, Tree)| {
                    format!("{key}{blank}:{blank}{}{blank}", value.spell())
                };
                let members: Vec<_> = members.iter().map(spell).collect();
                format!("{{{blank}{}}}", members.join(&format!(",{blank}")))
            }
        }
    }

    /// Every path, with the spelling of what stands there.
    fn paths(&self, prefix: &[Step], found: &mut Vec<Place>) {
        found.push((prefix.to_vec(), Ok(self.spell())));
        let step = |step| [prefix, &[step]].concat();
        match self {
            Tree::Scalar(_) => {}
            Tree::Array(elements, _) => {
                for (index, element) in elements.iter().enumerate() {
                    element.paths(&step(Step::Index(index)), found);
                }
                found.push((step(Step::Index(elements.len())), Err(Reason::Missing)));
            }
            Tree::Object(members, _) => {
                for (name, _, value) in members {
                    if members.iter().filter(|(other, ..)| other == name).count() > 1 {
                        found.push((step(member(name)), Err(Reason::Ambiguous)));
                    } else {
                        value.paths(&step(member(name)), found);
                    }
                }
            }
        }
    }
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?"
}

/// A text, and one of the ways to spell it as a JSON string.
fn string() -> impl Strategy<Value = (String, String)> {
    let character = prop_oneof![
        any::<char>(),
        select(vec!['"', '\\', '/', '{', '}', '[', ']', ',', ':', 'a', '\n', '$'])
    ];
    vec((character, any::<bool>()), 0..6).prop_map(|characters| {
        let text: String = characters.iter().map(|(character, _)| *character).collect();
        let spelled = characters.iter().map(|&(character, escape)| {
            if escape || character < ' ' || matches!(character, '"' | '\\') {
                let mut units = [0; 2];
                character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
            } else {
                character.to_string()
            }
        });
        let spelled = format!("\"{}\"", spelled.collect::<String>());
        (text, spelled)
    })
}

fn blank() -> impl Strategy<Value = String> {
    select(vec!["", "", " ", "\n\t ", "\r\n"]).prop_map(str::to_owned)
}

fn tree() -> impl Strategy<Value = Tree> {
    let word = select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let scalar =
        prop_oneof![number(), word, string().prop_map(|(_, spelled)| spelled)].prop_map(Tree::Scalar);
    scalar.prop_recursive(4, 40, 5, |inner| {
        let members = vec((string(), inner.clone()), 0..5);
        let members =
            members.prop_map(|all| all.into_iter().map(|((text, key), value)| (text, key, value)).collect());
        prop_oneof![
            (vec(inner, 0..5), blank()).prop_map(|(elements, blank)| Tree::Array(elements, blank)),
            (members, blank()).prop_map(|(members, blank)| Tree::Object(members, blank)),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z_][A-Za-z0-9_]{0,8}",
        select(vec!["in", "null", "true"]).prop_map(str::to_owned),
        any::<String>()
    ]
}

fn literal_path() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b/", ".", "..", "%2e", "%2F", "/", "%E9"]), 0..5).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = Vec<Step>> {
    vec(prop_oneof![name().prop_map(Step::Member), any::<usize>().prop_map(Step::Index)], 0..5)
}

fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![
        path().prop_map(Reference::RequestBody),
        "[a-z0-9!#$%&'*+.^_`|~-]{1,12}".prop_map(Reference::RequestHeader),
        name().prop_map(Reference::RequestQuery),
        name().prop_map(Reference::RequestParameter),
        Just(Reference::RequestMethod),
        Just(Reference::RequestPath),
        Just(Reference::TransactionId),
        (name(), path()).prop_map(|(branch, path)| Reference::BranchResponse { branch, path }),
    ]
}

/// The text of one header, query parameter and body member, all of them the same.
fn world(text: &str) -> World {
    let body = serde_json::json!({ "text": text }).to_string();
    World::with_body(body).and("request.query.q", text).and("transaction.id", text)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens_are_copied_byte_for_byte(tree in tree(), before in blank(), behind in blank()) {
        let document = Document::parse(Bytes::from(before + &tree.spell() + &behind)).unwrap();
        let mut paths = Vec::new();
        tree.paths(&[], &mut paths);
        for (path, expected) in paths {
            let found = document.get(&path).map(|token| String::from_utf8(token.to_vec()).unwrap());
            prop_assert_eq!(found, expected, "{:?}", path);
        }
    }

    #[test]
    fn json_is_what_others_call_json(text in "[\\[\\]{}:, \n\"\\\\atrue0-9.eE+\\-nlfs]{0,12}|\\PC{0,12}") {
        // The other reader must go on past half surrogates and deep nesting, neither of which can arise here.
        let theirs = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(Document::parse(Bytes::from(text)).is_ok(), theirs);
    }

    #[test]
    fn damaged_documents_are_judged_alike(tree in tree(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = tree.spell().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let utf8 = std::str::from_utf8(&bytes).is_ok();
        let theirs = utf8 && serde_json::from_slice::<IgnoredAny>(&bytes).is_ok();
        prop_assert_eq!(Document::parse(Bytes::from(bytes)).is_ok(), theirs);
    }

    #[test]
    fn a_rendered_body_is_json(tree in tree(), text in any::<String>(), literal in any::<String>()) {
        let literal = literal.replace('{', "(");
        let template = serde_json::json!({
            literal.clone(): ["${request.body}", "${transaction.id}", literal.clone()],
            "mixed": format!("{literal} ${{transaction.id}}{literal}"),
            "perhaps": "a ${request.body}",
        });
        let world = World::with_body(tree.spell()).and("transaction.id", &text);
        let template = JsonTemplate::compile(&template).unwrap();
        let mut out = Vec::new();
        if template.render(&world, &mut out).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok() || has_wide_number(&out));
        } else {
            prop_assert!(out.is_empty());
        }
        out.clear();
        let failures = template.render_or_null(&world, &mut out);
        prop_assert!(failures.len() <= 1);
        prop_assert!(serde_json::from_slice::<IgnoredAny>(&out).is_ok());
        let text_comes_back = serde_json::from_slice::<Mixed>(&out).unwrap().mixed;
        prop_assert_eq!(text_comes_back, format!("{literal} {text}{literal}"));
    }

    #[test]
    fn a_header_is_visible_text_or_nothing(text in any::<String>(), literal in any::<String>()) {
        let template = Template::parse(&format!("{}${{request.query.q}}", literal.replace('$', "s"))).unwrap();
        if let Ok(header) = template.render_header(&world(&text)) {
            prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", header);
            prop_assert!(header.ends_with(&text));
        }
    }

    #[test]
    fn a_path_keeps_its_segments(text in "[./%a\\\\?#é\\PC]{0,4}", literal in literal_path()) {
        let source = format!("/{literal}${{request.body.text}}/b${{request.query.q}}");
        let template = Template::parse(&source).unwrap();
        if template.check_path().is_err() {
            return Ok(());
        }
        let segments = source.split('/').count();
        match template.render_path(&world(&text)) {
            Ok(path) => {
                prop_assert_eq!(path.split('/').count(), segments);
                prop_assert!(path.parse::<http::Uri>().is_ok_and(|uri| uri.path() == path), "{}", path);
                for segment in path.split('/').skip(1) {
                    let decoded: Vec<u8> = percent_encoding::percent_decode_str(segment).collect();
                    prop_assert!(!matches!(&*decoded, b"" | b"." | b".."), "{}", path);
                }
            }
            Err(failure) => prop_assert!(matches!(text.as_str(), "" | "." | ".."), "{}", failure),
        }
    }

    #[test]
    fn a_reference_reads_back(reference in reference()) {
        let template = Template::parse(&format!("a${{{reference}}}b")).unwrap();
        prop_assert_eq!(template.references().collect::<Vec<_>>(), [&reference]);
    }

    #[test]
    fn no_text_makes_the_parser_stumble(text in "[${}.\\[\\]\"'\\\\ua0 \\PC]{0,30}", tail in "\\PC{0,8}") {
        let _ = Template::parse(&text);
        let _ = Template::parse(&format!("${{request.body{text}{tail}}}"));
    }
}

#[derive(serde::Deserialize)]
struct Mixed {
    mixed: String,
}

/// Whether only a float's range keeps the other reader from reading this.
fn has_wide_number(json: &[u8]) -> bool {
    let error = serde_json::from_slice::<serde_json::Value>(json).unwrap_err();
    error.to_string().starts_with("number out of range")
}
