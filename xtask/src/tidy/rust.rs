//! One Rust file, read once for all rules: its tokens, its paths, and which lines are tests.

use super::lexer::{Token, tokens};
use super::paths::{Path, paths};
use super::tree::{File, Tree};
use std::ops::RangeInclusive;

pub struct Rust<'a> {
    pub file: &'a File,
    pub tokens: Vec<Token<'a>>,
    pub paths: Vec<Path<'a>>,
    all_test: bool,
    tests: Vec<RangeInclusive<usize>>,
}

impl<'a> Rust<'a> {
    /// `test` says that the whole file is compiled for tests only.
    pub fn read(file: &'a File, test: bool) -> Self {
        let tokens = tokens(&file.text);
        let tests = test_items(&tokens).map(|item| item.lines).collect();
        let all_test = test || file.path.split('/').any(|folder| folder == "tests");
        Self { file, paths: paths(&tokens), tokens, all_test, tests }
    }

    /// Whether a line is compiled for tests only: in a `tests/` folder, or under `#[cfg(test)]`.
    pub fn is_test(&self, line: usize) -> bool {
        self.all_test || self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// The folder of its package: `journal` for `crates/journal/src/disk.rs`.
    pub fn package(&self) -> &str {
        let mut folders = self.file.path.split('/');
        match folders.next() {
            Some("crates" | "examples") => folders.next().unwrap_or_default(),
            first => first.unwrap_or_default(),
        }
    }
}

/// Files that a `#[cfg(test)] mod name;` elsewhere makes part of the tests: their paths up to `.rs` or `/`.
pub fn test_files(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".rs")) {
        let tokens = tokens(&file.text);
        let folder = match file.name() {
            "lib.rs" | "main.rs" | "mod.rs" => file.path.trim_end_matches(file.name()).to_owned(),
            _ => format!("{}/", file.path.trim_end_matches(".rs")),
        };
        for module in test_items(&tokens).filter_map(|item| item.module) {
            found.extend([format!("{folder}{module}.rs"), format!("{folder}{module}/")]);
        }
    }
    found
}

struct TestItem<'a> {
    lines: RangeInclusive<usize>,
    /// The name of a module that is kept in a file of its own.
    module: Option<&'a str>,
}

/// The items that stand under `#[cfg(test)]`, exactly; `any(test, …)` is compiled for others too.
fn test_items<'t, 'a>(tokens: &'t [Token<'a>]) -> impl Iterator<Item = TestItem<'a>> + use<'t, 'a> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let opens = |at: usize| {
        ATTRIBUTE
            .iter()
            .enumerate()
            .all(|(offset, text)| tokens.get(at + offset).is_some_and(|token| token.is(text)))
    };
    (0..tokens.len()).filter(move |&at| opens(at)).filter_map(move |at| {
        let item = tokens.get(at + ATTRIBUTE.len()..)?;
        let item = item.get(..=end_of_item(item))?;
        let module = match item {
            [.., keyword, name, end] if keyword.is("mod") && end.is(";") => Some(name.text),
            _ => None,
        };
        Some(TestItem { lines: tokens.get(at)?.line..=item.last()?.last, module })
    })
}

/// The index of the `;` or `}` that ends the item which `tokens` open with.
pub fn end_of_item(tokens: &[Token<'_>]) -> usize {
    let (mut round, mut curly) = (0_usize, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") || token.is("[") {
            round += 1;
        } else if token.is(")") || token.is("]") {
            round = round.saturating_sub(1);
        } else if token.is("{") {
            curly += 1;
        } else if token.is("}") {
            curly = curly.saturating_sub(1);
            if curly == 0 && round == 0 && !in_use_group(tokens, at) {
                return at;
            }
        } else if token.is(";") && curly == 0 && round == 0 {
            return at;
        }
    }
    tokens.len().saturating_sub(1)
}

/// `use a::{b, c};` goes on after its brace.
fn in_use_group(tokens: &[Token<'_>], close: usize) -> bool {
    tokens.get(close + 1).is_some_and(|token| token.is(";"))
        && tokens.iter().take(close).any(|token| token.is("use"))
        && !tokens.iter().take(close).any(|token| token.is(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn test_items_are_known_by_their_lines() {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse x::{y,\n z};";
        let file = file("crates/a/src/lib.rs", text);
        let rust = Rust::read(&file, false);
        let tests: Vec<_> = (1..=9).filter(|&line| rust.is_test(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8, 9]);
    }

    #[test]
    fn what_others_are_compiled_with_is_no_test() {
        let file = file("crates/a/src/lib.rs", "#[cfg(any(test, feature = \"x\"))]\nfn a() {}");
        assert!(!Rust::read(&file, false).is_test(2));
    }

    #[test]
    fn a_test_module_in_its_own_file_is_found() {
        let tree = Tree {
            files: vec![
                file("crates/a/src/lib.rs", "mod one; #[cfg(test)] mod two;"),
                file("crates/a/src/one.rs", "#[cfg(test)] mod three { }"),
            ],
        };
        assert_eq!(test_files(&tree), ["crates/a/src/two.rs", "crates/a/src/two/"]);
    }

    #[test]
    fn a_file_belongs_to_its_package() {
        let file = file("examples/shop/src/main.rs", "");
        assert_eq!(Rust::read(&file, false).package(), "shop");
    }
}
