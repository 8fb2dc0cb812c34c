//! The core decides and touches nothing: no files, sockets, threads, clocks, chance or waiting in the
//! packages that the simulator and the model checker run.

use super::Finding;
use super::paths::Path;
use super::rust::Rust;

const RULE: &str = "core";
const PACKAGES: [&str; 3] = ["protocol", "expression", "coordinator"];

/// Modules of the standard library that reach the world.
const WORLD: [&str; 7] = ["env", "fs", "io", "net", "os", "process", "thread"];
const SHELLS: [&str; 6] = ["axum", "hyper", "hyper_util", "rustix", "socket2", "tokio"];

pub fn check(rust: &Rust) -> Vec<Finding> {
    if !PACKAGES.contains(&rust.package()) {
        return Vec::new();
    }
    let paths = rust.paths.iter().filter(|path| !rust.is_test(path.line));
    // A parser that recurses deeply needs a larger stack than its caller's, and only a thread has one.
    let is_stack = rust.package() == "expression" && rust.file.name() == "stack.rs";
    paths
        .filter(|path| !(is_stack && path.starts_with(&["std", "thread"])))
        .filter_map(|path| {
            let message = format!("`{}`: {}", path.segments.join("::"), wrong(path)?);
            Some(Finding::new(&rust.file.path, path.line, RULE, message))
        })
        .collect()
}

/// Why the core may not name this, and what to do instead.
fn wrong(path: &Path) -> Option<&'static str> {
    let first = *path.segments.first()?;
    if first == "async" || first == "await" {
        return Some("the core never waits: return what is due, and take the answer as an event");
    }
    if SHELLS.contains(&first) || WORLD.iter().any(|module| path.starts_with(&["std", module])) {
        return Some("the core does no IO: return what is due as a value, and let the shell do it");
    }
    if path.segments.iter().any(|segment| ["Instant", "SystemTime"].contains(segment)) {
        return Some("the core has no clock: take `now` as an argument");
    }
    let drawn = first == "fastrand" && path.segments.get(1).is_some_and(|name| *name != "Rng");
    if drawn || first == "getrandom" || path.ends_with(&["Rng", "new"]) {
        return Some("the core draws no chance of its own: take a seeded generator as an argument");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::planted;

    #[test]
    fn the_core_reaches_for_nothing() {
        let reaching = [
            "use std::{collections::BTreeMap, fs};",
            "use std::io::{self, Read};",
            "fn f() { std::thread::spawn(g); }",
            "fn f() { tokio::spawn(g); }",
            "async fn f() {}",
            "use std::time::{Duration, Instant};",
            "fn f() { fastrand::u64(..); }",
            "fn f() { fastrand::Rng::new(); }",
        ];
        for text in reaching {
            let found = planted("crates/coordinator/src/b.rs", text, check);
            assert!(found.iter().all(|line| line == "crates/coordinator/src/b.rs:1: core"), "{found:?}");
            assert!(!found.is_empty(), "{text}");
            assert!(planted("crates/runtime/src/b.rs", text, check).is_empty(), "{text}");
            assert!(planted("crates/protocol/tests/b.rs", text, check).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_stack_may_be_a_thread_and_nothing_else() {
        let text = "fn f() { std::thread::scope(g); }";
        assert!(planted("crates/expression/src/cel/stack.rs", text, check).is_empty());
        assert!(!planted("crates/coordinator/src/stack.rs", text, check).is_empty());
        assert!(!planted("crates/expression/src/stack.rs", "fn f() { std::fs::read(g); }", check).is_empty());
    }

    #[test]
    fn what_is_given_is_free() {
        let text = "use std::time::Duration; use fastrand::Rng; fn f() { Rng::with_seed(1); io::nothing(); }";
        assert!(planted("crates/protocol/src/b.rs", text, check).is_empty());
    }
}
