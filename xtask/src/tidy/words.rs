//! Nothing half done, and nothing about the machine on which it was written.

use super::Finding;
use super::rust::Rust;
use super::tree::File;

// Put together from halves, so that this file keeps its own rules.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
const MACHINES: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/tm", "p/")];
/// Written by others.
const FOREIGN: [&str; 2] = ["Cargo.lock", "LICENSE"];

/// Words that no text file of ours may hold.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if FOREIGN.contains(&file.path.as_str()) {
        return findings;
    }
    for (index, line) in file.text.lines().enumerate() {
        let mut find = |rule, message: String| {
            findings.push(Finding::new(&file.path, index + 1, rule, message));
        };
        for word in UNFINISHED.iter().filter(|word| is_word(line, word)) {
            find("unfinished", format!("`{word}`: finish it now, or leave it out"));
        }
        for path in MACHINES.iter().filter(|path| is_absolute(line, path)) {
            find("machine", format!("`{path}`: a path of one machine; use a relative or temporary one"));
        }
    }
    findings
}

/// Code that only pretends: a macro that stands for what is missing, a test that never runs.
pub fn tests_run(rust: &Rust) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |line, message| findings.push(Finding::new(&rust.file.path, line, "unfinished", message));
    let tokens = &rust.tokens;
    for (at, token) in tokens.iter().enumerate() {
        let follows = |text: &str| tokens.get(at + 1).is_some_and(|next| next.is(text));
        if (token.is("todo") || token.is("unimplemented")) && follows("!") {
            find(token.line, "a macro that stands for missing code: write the code, or leave the case out");
        }
        let attribute = at.checked_sub(2).and_then(|start| tokens.get(start..at));
        if token.is("ignore") && attribute.is_some_and(|opened| opened.iter().map(|t| t.text).eq(["#", "["]))
        {
            find(token.line, "an ignored test proves nothing: make it run everywhere, or delete it");
        }
    }
    for (index, line) in rust.file.text.lines().enumerate() {
        let comment = line.trim_start();
        if comment.starts_with("//") && comment.contains("```ignore") {
            find(index + 1, "an ignored example proves nothing: let it compile, or fence it as `text`");
        }
    }
    findings
}

fn is_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(joins) && !after.is_some_and(joins)
    })
}

/// Whether a path begins there, and not in the middle of an address or a longer path.
fn is_absolute(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "_-.})]>*~".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::planted;

    fn words(text: &str) -> Vec<&'static str> {
        let file = File { path: "README.md".to_owned(), text: text.to_owned() };
        check(&file).iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED {
            assert_eq!(words(&format!("a {word}: b")), ["unfinished"]);
            assert_eq!(words(&format!("A{word} {word}S _{word}")), Vec::<&str>::new());
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for path in MACHINES {
            assert_eq!(words(&format!("see \"{path}a\"")), ["machine"]);
            assert_eq!(words(&format!("http://host{path}a ./data{path}b {{id}}{path}")), Vec::<&str>::new());
        }
    }

    #[test]
    fn code_that_pretends_is_found() {
        let macros = concat!("fn f() { to", "do!() }\nfn g() { unimple", "mented!(\"x\") }");
        assert_eq!(planted("a.rs", macros, tests_run), ["a.rs:1: unfinished", "a.rs:2: unfinished"]);
        let tests = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\nfn ignore() {}";
        assert_eq!(planted("a.rs", tests, tests_run), ["a.rs:2: unfinished"]);
        let example = concat!("/// ``", "`ignore\n/// x\n");
        assert_eq!(planted("a.rs", example, tests_run), ["a.rs:1: unfinished"]);
    }
}
