//! What must hold before a change may land, and what a machine can put right.

use crate::command::{aloud, cargo, program, quietly};
use crate::steps::Steps;
use crate::{tidy, tools};
use std::process::ExitCode;

/// Runs every check. It writes in the target directory and nowhere else.
pub fn check() -> ExitCode {
    let mut steps = Steps::new();
    steps.run("format", || silent(cargo(&["fmt", "--all", "--check", "--", "--color", "never"])));
    steps.run("tidy", tidy::step);
    steps.run("clippy", || {
        let arguments = ["clippy", "--locked", "--workspace", "--all-targets"];
        let deny = ["--", "-D", "warnings"];
        // What only measurements need is in no other build.
        let measured = ["clippy", "--locked", "--package", "unanimo", "--features", "bench"];
        quietly(cargo(&arguments).args(deny))?;
        quietly(cargo(&measured).args(deny)).map(|()| String::new())
    });
    // Private items too: these pages are read by those who change the code.
    steps.run("docs", || {
        let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"];
        let mut doc = cargo(&arguments);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        silent(doc)
    });
    steps.run("licences", || {
        let (deny, remark) = tools::cargo_deny()?;
        let mut command = program(deny);
        // Advisories are left out: their database lives on a host that a build must not depend on.
        command.args(["--locked", "check", "licenses", "bans", "sources"]);
        quietly(&mut command).map(|()| remark)
    });
    steps.finish()
}

/// Writes what can be written without judgement: the format, and clippy's own suggestions.
pub fn fix() -> ExitCode {
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--fix", "--allow-dirty", "--allow-staged"].as_slice();
    for arguments in [["fmt", "--all"].as_slice(), clippy, ["fmt", "--all"].as_slice()] {
        if let Err(reason) = aloud(&mut cargo(arguments)) {
            eprintln!("{reason}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn silent(mut command: std::process::Command) -> Result<String, String> {
    quietly(&mut command).map(|()| String::new())
}
