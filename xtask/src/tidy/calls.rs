//! Calls that belong in one place, or in none.
//!
//! Tests may make them, except for queues without a bound, which nobody needs.

use super::Finding;
use super::paths::Path;
use super::rust::Rust;

struct Ban {
    rule: &'static str,
    /// What is banned: a path that ends so.
    ends: &'static [&'static [&'static str]],
    allowed: fn(&Rust) -> bool,
    tests_may: bool,
    /// Why, and what to do instead.
    instead: &'static str,
}

const BANS: [Ban; 4] = [
    Ban {
        rule: "clock",
        ends: &[
            &["Instant", "now"],
            &["Instant", "elapsed"],
            &["SystemTime", "now"],
            &["SystemTime", "elapsed"],
            &["clock_gettime"],
        ],
        allowed: |rust| rust.file.name() == "clock.rs",
        tests_may: true,
        instead: "take `now` as an argument, or ask the package's clock.rs, the one file that reads the clock",
    },
    Ban {
        rule: "exit",
        ends: &[&["process", "exit"]],
        allowed: |rust| rust.package() == "unanimo",
        tests_may: true,
        instead: "return an error: destructors must run, and only the binary chooses the exit code",
    },
    Ban {
        rule: "settled",
        ends: &[&["Settled", "journaled"], &["Self", "journaled"], &["_", "journaled"]],
        allowed: |rust| rust.package() == "journal",
        tests_may: true,
        instead: "only the journal may say that a record is on disk; take the `Settled` that it hands back",
    },
    Ban {
        rule: "bound",
        ends: &[
            &["unbounded_channel"],
            &["UnboundedSender"],
            &["UnboundedReceiver"],
            &["mpsc", "unbounded"],
            &["std", "sync", "mpsc", "channel"],
        ],
        allowed: |_| false,
        tests_may: false,
        instead: BOUND,
    },
];

const BOUND: &str = "every queue has a bound: use `channel(bound)` or `sync_channel(bound)`";

pub fn check(rust: &Rust) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in &rust.paths {
        let named = path.segments.join("::");
        for ban in BANS.iter().filter(|ban| applies(ban, rust, path)) {
            let message = format!("`{named}`: {}", ban.instead);
            findings.push(Finding::new(&rust.file.path, path.line, ban.rule, message));
        }
        if is_unbounded_call(rust, path) {
            findings.push(Finding::new(&rust.file.path, path.line, "bound", format!("`{named}()`: {BOUND}")));
        }
    }
    findings
}

fn applies(ban: &Ban, rust: &Rust, path: &Path) -> bool {
    ban.ends.iter().any(|end| path.ends_with(end))
        && !(ban.allowed)(rust)
        && !(ban.tests_may && rust.is_test(path.line))
}

/// `mpsc::channel()` with nothing in its brackets is the standard library's, without a bound.
fn is_unbounded_call(rust: &Rust, path: &Path) -> bool {
    let after = |offset: usize, text: &str| rust.tokens.get(path.end + offset).is_some_and(|t| t.is(text));
    path.ends_with(&["mpsc", "channel"]) && after(0, "(") && after(1, ")")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::planted;

    const NONE: [&str; 0] = [];

    #[test]
    fn the_clock_is_read_in_one_file() {
        let text = "use std::time::Instant;\n// Instant::now\nfn f() {\n Instant::now();\n}";
        assert_eq!(planted("crates/a/src/b.rs", text, check), ["crates/a/src/b.rs:4: clock"]);
        assert_eq!(planted("crates/a/src/clock.rs", text, check), NONE);
        assert_eq!(planted("crates/a/tests/b.rs", text, check), NONE);
        let text = "#[cfg(test)]\nmod tests {\n fn f() { SystemTime::now(); }\n}";
        assert_eq!(planted("crates/a/src/b.rs", text, check), NONE);
    }

    #[test]
    fn only_the_binary_exits() {
        for text in ["fn f() { std::process::exit(1) }", "use std::process::{self, exit};"] {
            assert_eq!(planted("crates/a/src/b.rs", text, check), ["crates/a/src/b.rs:1: exit"]);
            assert_eq!(planted("crates/unanimo/src/main.rs", text, check), NONE);
        }
    }

    #[test]
    fn only_the_journal_settles() {
        for text in ["Settled::journaled(r)", "Settled::<Record>::journaled(r)", "<A as B>::journaled(r)"] {
            assert_eq!(planted("crates/a/src/b.rs", text, check), ["crates/a/src/b.rs:1: settled"]);
            assert_eq!(planted("crates/journal/src/b.rs", text, check), NONE);
        }
        assert_eq!(planted("crates/protocol/src/b.rs", "pub fn journaled() {}", check), NONE);
    }

    #[test]
    fn every_queue_has_a_bound() {
        let unbounded = [
            "let (a, b) = mpsc::channel();",
            "let (a, b) = mpsc::channel::<Vec<u8>>();",
            "use std::sync::mpsc::{Receiver, channel};",
            "use tokio::sync::mpsc::unbounded_channel;",
        ];
        for text in unbounded {
            assert_eq!(
                planted("crates/a/tests/b.rs", text, check),
                ["crates/a/tests/b.rs:1: bound"],
                "{text}"
            );
        }
        let bounded = "use tokio::sync::mpsc::channel; fn f() { mpsc::channel(8); mpsc::sync_channel(8); }";
        assert_eq!(planted("crates/a/src/b.rs", bounded, check), NONE);
    }
}
