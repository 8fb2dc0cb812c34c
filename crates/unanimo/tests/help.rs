//! What `--help` teaches, word for word, and that it fits a terminal of 80 columns.
//!
//! `UNANIMO_BLESS=1 cargo test -p unanimo --test help` writes what is said now; read the difference before it is kept.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// Every command that is not hidden.
const COMMANDS: [&[&str]; 20] = [
    &[],
    &["run"],
    &["check"],
    &["diff"],
    &["doctor"],
    &["schema"],
    &["demo"],
    &["health"],
    &["completions"],
    &["transactions"],
    &["transactions", "list"],
    &["transactions", "show"],
    &["transactions", "watch"],
    &["transactions", "retry"],
    &["transactions", "resolve"],
    &["journal"],
    &["journal", "verify"],
    &["journal", "dump"],
    &["journal", "backup"],
    &["journal", "restore"],
];

#[test]
fn every_command_teaches_by_an_example_and_says_how_it_ends() {
    let bless = std::env::var_os("UNANIMO_BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help");
    let mut differ = Vec::new();
    for command in COMMANDS {
        let said = help(command, "--help");
        for line in said.lines() {
            assert!(line.chars().count() <= 80, "{command:?}: {line}");
        }
        let needed = if command.is_empty() { ["Begin here", "Read on"] } else { ["Example", "Ends with"] };
        assert!(
            needed.iter().all(|part| said.contains(part)) && said.contains("Read on"),
            "{command:?}:\n{said}"
        );
        let name = if command.is_empty() { "unanimo".to_owned() } else { command.join("-") };
        let beside = folder.join(name).with_extension("txt");
        if bless {
            fs::write(&beside, &said).unwrap();
        } else if fs::read_to_string(&beside).ok().as_ref() != Some(&said) {
            differ.push(said);
        }
    }
    assert!(differ.is_empty(), "said differently:\n{}", differ.join("\n"));
    assert_eq!(fs::read_dir(folder).unwrap().count(), COMMANDS.len());
}

#[test]
fn a_short_help_fits_a_screen() {
    for command in COMMANDS {
        let said = help(command, "-h");
        let fits = said.lines().count() <= 24 && said.lines().all(|line| line.chars().count() <= 80);
        assert!(fits, "{command:?}:\n{said}");
    }
}

#[test]
fn every_command_is_here() {
    let said = help(&[], "--help");
    let (_, rest) = said.split_once("Commands:\n").unwrap();
    let names =
        rest.lines().take_while(|line| !line.is_empty()).map(|line| line.split_whitespace().next().unwrap());
    for name in names.filter(|name| *name != "help") {
        assert!(COMMANDS.iter().any(|command| *command == [name]), "{name} has no test");
    }
}

fn help(command: &[&str], flag: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_unanimo")).args(command).arg(flag).output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}
