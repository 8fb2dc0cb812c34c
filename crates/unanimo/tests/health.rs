//! What a container asks, and what a shell needs.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod support;

use std::fs;
use std::process::{Command, Output};
use support::gateway::program;
use support::ports;
use support::scripted::{Said, Scripted};

#[test]
fn health_tells_who_is_not_ready_from_who_is_not_there() {
    let health = |admin: &str| Command::new(program()).args(["health", "--admin", admin]).output().unwrap();
    let said = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();
    let poisoned = Scripted::start(|call| match call.path.as_str() {
        "/readyz" => Said::json(503, r#"{"detail":"the disk failed"}"#),
        _ => Said::json(200, "{}"),
    });
    let output = health(&poisoned.address.to_string());
    assert_eq!((output.status.code(), said(&output)), (Some(1), "not ready: the disk failed\n".to_owned()));
    let output = health(&ports::reserve().to_string());
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("is the gateway running"), "{output:?}");
    // That a gateway which serves is ready, the test of the packages sees.
}

#[test]
fn every_shell_completes_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(program()).args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        for command in ["run", "check", "doctor", "transactions", "health", "demo", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn every_command_has_a_manual_page_and_what_is_hidden_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let manual =
        |directory: &std::path::Path| Command::new(program()).arg("manual").arg(directory).output().unwrap();
    assert!(manual(folder.path()).status.success());
    let mut pages: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort();
    for page in ["unanimo.1", "unanimo-run.1", "unanimo-doctor.1", "unanimo-transactions-list.1"] {
        assert!(pages.iter().any(|it| it == page), "{page}: {pages:?}");
    }
    assert!(!pages.iter().any(|page| page.contains("tied") || page.contains("manual")), "{pages:?}");
    let run = fs::read_to_string(folder.path().join("unanimo-run.1")).unwrap();
    assert!(run.contains(".SH IN USE\n.nf\n"), "examples keep their lines:\n{run}");
    assert!(run.contains("after SIGTERM or Ctrl\\-C"), "the page has what `--help` has:\n{run}");
    assert_eq!(manual(&folder.path().join("none")).status.code(), Some(3));
}
