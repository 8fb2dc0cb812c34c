//! The project's own rules: those that no compiler knows. One file for each, with its reason and a
//! test that plants a violation.
//!
//! The rules read words, not types: comments and strings are skipped by a small lexer (`lexer.rs`), and
//! `use` groups are spread out (`paths.rs`). What only types can tell is clippy's part (`clippy.toml`).

mod budgets;
mod calls;
mod core;
mod features;
mod headers;
mod imports;
mod lexer;
mod lookup;
mod paths;
mod rust;
mod tree;
mod words;

use rust::Rust;
use std::fmt;
use std::process::ExitCode;
use tree::{File, Tree};

/// One place that breaks a rule.
pub struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    /// What is wrong, and what to do instead.
    message: String,
    /// Shown, but no reason to fail.
    warning: bool,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, message: message.into(), warning: false }
    }

    fn warning(self) -> Self {
        Self { warning: true, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, message, warning } = self;
        let kind = if *warning { "warning: " } else { "" };
        write!(f, "{path}:{line}: {kind}{rule}: {message}")
    }
}

/// The task of its own: prints all findings, warnings too.
pub fn main() -> ExitCode {
    let findings = match Tree::read().map(|tree| examine(&tree)) {
        Ok(findings) => findings,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    };
    findings.iter().for_each(|finding| println!("{finding}"));
    let (warnings, errors): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.warning);
    println!("tidy: {} errors, {} warnings", errors.len(), warnings.len());
    if errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same as a step of `check`: warnings are only counted.
pub fn step() -> Result<String, String> {
    let findings = examine(&Tree::read()?);
    let (warnings, errors): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.warning);
    if !errors.is_empty() {
        return Err(errors.iter().map(|finding| format!("{finding}\n")).collect());
    }
    let remark = format!("({} warnings: see `cargo xtask tidy`)", warnings.len());
    Ok(if warnings.is_empty() { String::new() } else { remark })
}

fn examine(tree: &Tree) -> Vec<Finding> {
    let mut findings = imports::check(tree);
    findings.extend(tree.files.iter().flat_map(features::check));
    let tests = rust::test_files(tree);
    for file in &tree.files {
        findings.extend(words::check(file));
        findings.extend(budgets::example(file));
        if file.path.ends_with(".rs") {
            findings.extend(examine_rust(file, tests.iter().any(|test| file.path.starts_with(test))));
        }
    }
    findings.sort_by(|a, b| (a.warning, &a.path, a.line).cmp(&(b.warning, &b.path, b.line)));
    findings
}

fn examine_rust(file: &File, test: bool) -> Vec<Finding> {
    let rust = Rust::read(file, test);
    let rules = [headers::check, budgets::check, calls::check, core::check, lookup::check, words::tests_run];
    rules.iter().flat_map(|rule| rule(&rust)).collect()
}

/// The findings of one rule on one planted file, as the lines that a reader would see.
#[cfg(test)]
fn planted(path: &str, text: &str, rule: fn(&Rust) -> Vec<Finding>) -> Vec<String> {
    let file = File { path: path.to_owned(), text: text.to_owned() };
    let findings = rule(&Rust::read(&file, false));
    findings.iter().map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.rule)).collect()
}
