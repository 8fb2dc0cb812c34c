//! No order by chance: the core must do the same on every run, and a hash map's order differs each time.
//!
//! In `protocol` and `coordinator` hash maps may be named in a file called `lookup.rs` alone, which wraps
//! them in a type that cannot be walked: get, insert, remove, length. All else is a `BTreeMap` or a `Vec`.

use super::Finding;
use super::rust::Rust;

const RULE: &str = "lookup";
const PACKAGES: [&str; 2] = ["protocol", "coordinator"];
const HASHED: [&str; 5] = ["HashMap", "HashSet", "RandomState", "hash_map", "hash_set"];
/// `in` is the word of a `for` loop.
const WALKS: [&str; 13] = [
    "in",
    "iter",
    "iter_mut",
    "into_iter",
    "IntoIterator",
    "keys",
    "into_keys",
    "values",
    "values_mut",
    "into_values",
    "drain",
    "retain",
    "extract_if",
];

pub fn check(rust: &Rust) -> Vec<Finding> {
    if !PACKAGES.contains(&rust.package()) {
        return Vec::new();
    }
    let (words, instead): (&[&str], _) = if rust.file.name() == "lookup.rs" {
        (&WALKS, "lookup.rs never walks a map: its order differs on every run; walk a BTreeMap elsewhere")
    } else {
        (&HASHED, "order by chance: use a BTreeMap or a Vec, or a type of lookup.rs that cannot be walked")
    };
    let tokens = rust.tokens.iter().filter(|token| !rust.is_test(token.line));
    tokens
        .filter(|token| words.iter().any(|word| token.is(word)))
        .map(|token| {
            let message = format!("`{}`: {instead}", token.text);
            Finding::new(&rust.file.path, token.line, RULE, message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::planted;

    #[test]
    fn hash_maps_live_in_one_file() {
        let text = "struct A {\n b: HashMap<u8, u8>,\n}";
        assert_eq!(planted("crates/protocol/src/a.rs", text, check), ["crates/protocol/src/a.rs:2: lookup"]);
        assert!(planted("crates/protocol/src/lookup.rs", text, check).is_empty());
        assert!(planted("crates/gateway/src/a.rs", text, check).is_empty());
    }

    #[test]
    fn and_nobody_walks_them_there() {
        let path = "crates/coordinator/src/lookup.rs";
        for text in ["fn f() { for a in &self.map {} }", "fn f() { self.map.keys(); }"] {
            assert_eq!(planted(path, text, check), [format!("{path}:1: lookup")]);
        }
        assert!(planted(path, "fn f() { self.map.get(1); impl A for B {} }", check).is_empty());
    }
}
