//! Small rooms: how long a file and a function may be.
//!
//! A file's lines all count, since one scrolls past them all. In a function comments and blank lines
//! are free, so that nobody saves a line by leaving out the reason.

use super::Finding;
use super::lexer::{Kind, Token};
use super::rust::{Rust, end_of_item};
use super::tree::File;

const RULE: &str = "budget";
const FILE_LINES: usize = 400;
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const PYTHON_EXAMPLE_LINES_MAX: usize = 120;

pub fn check(rust: &Rust) -> Vec<Finding> {
    let path = &rust.file.path;
    let lines = rust.file.text.lines().count();
    let mut findings = functions(rust);
    let message = format!(
        "{lines} lines (aim {FILE_LINES}, at most {FILE_LINES_MAX}); split it by what its parts know"
    );
    if lines > FILE_LINES_MAX {
        findings.push(Finding::new(path, 1, RULE, message));
    } else if lines > FILE_LINES {
        findings.push(Finding::new(path, 1, RULE, message).warning());
    }
    findings
}

/// A sample that a user is to read in one go.
pub fn example(file: &File) -> Option<Finding> {
    let lines = file.text.lines().count();
    let long =
        file.path.starts_with("examples/") && file.path.ends_with(".py") && lines > PYTHON_EXAMPLE_LINES_MAX;
    long.then(|| {
        let message =
            format!("{lines} lines (at most {PYTHON_EXAMPLE_LINES_MAX}); an example is read in one go");
        Finding::new(&file.path, 1, RULE, message)
    })
}

fn functions(rust: &Rust) -> Vec<Finding> {
    let code = lines_of_code(&rust.tokens);
    let mut findings = Vec::new();
    for (at, pair) in rust.tokens.windows(2).enumerate() {
        let [keyword, name] = pair else { continue };
        // `fn(` is a type.
        if !keyword.is("fn") || name.kind != Kind::Word {
            continue;
        }
        let rest = rust.tokens.get(at..).unwrap_or_default();
        let last = rest.get(end_of_item(rest)).map_or(keyword.line, |token| token.last);
        let lines = (keyword.line..=last).filter(|line| code.binary_search(line).is_ok()).count();
        if lines > FUNCTION_LINES_MAX {
            let message = format!(
                "`{}` has {lines} lines of code (at most {FUNCTION_LINES_MAX}; comments and blank lines are \
                 free); give its parts names of their own",
                name.text
            );
            findings.push(Finding::new(&rust.file.path, keyword.line, RULE, message));
        }
    }
    findings
}

/// The lines that hold more than comments, in order.
fn lines_of_code(tokens: &[Token<'_>]) -> Vec<usize> {
    let mut lines: Vec<_> = tokens.iter().flat_map(|token| token.line..=token.last).collect();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::planted;

    #[test]
    fn a_long_file_is_warned_of_and_a_longer_one_fails() {
        let check_lines = |lines: usize| {
            let file = File { path: "a.rs".to_owned(), text: "//\n".repeat(lines) };
            check(&Rust::read(&file, false)).iter().map(|finding| finding.warning).collect::<Vec<_>>()
        };
        assert!(check_lines(400).is_empty());
        assert_eq!(check_lines(401), [true]);
        assert_eq!(check_lines(601), [false]);
    }

    #[test]
    fn a_long_function_fails_and_comments_are_free() {
        let function = |code: usize, comments: usize| {
            format!(
                "\nfn f() where [u8; 3]: Sized {{\n{}{}}}\n",
                "a();\n".repeat(code),
                "// b\n\n".repeat(comments)
            )
        };
        assert_eq!(planted("a.rs", &function(68, 90), check), Vec::<String>::new());
        assert_eq!(planted("a.rs", &function(69, 0), check), ["a.rs:2: budget"]);
    }

    #[test]
    fn a_long_example_fails() {
        let file = File { path: "examples/a/b.py".to_owned(), text: "\n".repeat(121) };
        assert!(example(&file).is_some());
    }
}
