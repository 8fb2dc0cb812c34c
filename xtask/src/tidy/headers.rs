//! Every file says what it is for; every crate says what it owns, what it never touches, and where to
//! read on.

use super::Finding;
use super::rust::Rust;

const RULE: &str = "header";
const PARTS: [&str; 3] = ["Owns", "Never", "Read next"];

pub fn check(rust: &Rust) -> Vec<Finding> {
    let path = &rust.file.path;
    let header: Vec<_> = rust.file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    if header.is_empty() {
        let message = "open with a `//!` comment that says what this file is for";
        return vec![Finding::new(path, 1, RULE, message)];
    }
    if rust.file.name() != "lib.rs" {
        return Vec::new();
    }
    let said = |part: &str| header.iter().any(|line| line.contains(part));
    let missing: Vec<_> =
        PARTS.into_iter().filter(|part| !said(part)).map(|part| format!("**{part}**")).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let message = format!("the crate's opening comment lacks {}", missing.join(", "));
    vec![Finding::new(path, 1, RULE, message)]
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::planted;

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(planted("a/b.rs", "#![allow(x)]\n//! Late.", check), ["a/b.rs:1: header"]);
        assert!(planted("a/b.rs", "//! What it is for.\n", check).is_empty());
    }

    #[test]
    fn a_crate_says_three_things() {
        let text = "//! Facts.\n//! **Owns** a.\n//! **Never** b.\n";
        assert_eq!(planted("a/lib.rs", text, check), ["a/lib.rs:1: header"]);
        assert!(planted("a/lib.rs", &format!("{text}//! **Read next** c."), check).is_empty());
    }
}
