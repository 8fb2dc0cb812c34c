//! Programs that a fresh machine may lack: found, or installed, or a plain sentence about what is missing.

use crate::command::{cargo, program, quietly, root};
use std::path::{Path, PathBuf};

const DENY_VERSION: &str = "0.20.2";

/// The newest when the figures were taken: who compares later ones, compares the same.
const DTMRS_VERSION: &str = "0.13.0";

/// The path of `cargo-deny`, installed below the target directory when the machine has none, and a
/// remark when that was done.
pub fn cargo_deny() -> Result<(PathBuf, String), String> {
    let tools = root().join("target").join("tools");
    let ours = tools.join("bin").join("cargo-deny");
    if let Some(found) = on_path("cargo-deny") {
        return Ok((found, String::new()));
    }
    if ours.is_file() {
        return Ok((ours, String::new()));
    }
    let mut install = cargo(&["install", "--locked", "cargo-deny", "--version", DENY_VERSION, "--root"]);
    quietly(install.arg(&tools))?;
    Ok((ours, format!("(cargo-deny {DENY_VERSION} was missing: installed in target/tools)")))
}

/// The path of dtmrs, which measurements need, and a remark when it was installed. It takes some minutes to build.
pub fn dtmrs(target: &Path) -> Result<(PathBuf, String), String> {
    let home = target.join("tools").join(format!("dtmrs-{DTMRS_VERSION}"));
    let program = home.join("bin").join("dtmrs");
    if program.is_file() {
        return Ok((program, String::new()));
    }
    let mut install = cargo(&["install", "--locked", "dtmrs", "--version", DTMRS_VERSION]);
    install.args(["--features", "redis", "--root"]).arg(&home);
    // Built apart: what it is built of is nothing of ours.
    quietly(install.env_remove("CARGO_TARGET_DIR"))?;
    Ok((program, format!("(dtmrs {DTMRS_VERSION} was missing: installed in {})", home.display())))
}

/// Makes sure that a program of Debian's can be run; its package has the same name.
pub fn package(name: &str) -> Result<(), String> {
    if on_path(name).is_some() { Ok(()) } else { install(name) }
}

/// Makes sure that PostgreSQL's server can be run. Debian keeps each version apart, and off the path.
pub fn postgresql() -> Result<(), String> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let mut programs = versions.map(|version| version.path().join("bin").join("postgres"));
    if programs.any(|program| program.is_file()) { Ok(()) } else { install("postgresql") }
}

fn install(name: &str) -> Result<(), String> {
    let install = || {
        let mut command = program("apt-get");
        let command = command.args(["install", "--yes", name]).env("DEBIAN_FRONTEND", "noninteractive");
        // A server that is only to be measured is not started as the machine's own.
        quietly(command.env("RUNLEVEL", "1"))
    };
    // A fresh image has no package lists; one that has them need not fetch them again.
    install().or_else(|_| quietly(program("apt-get").arg("update")).and_then(|()| install())).map_err(|reason| {
        format!("{name} is missing and could not be installed with apt-get; install it and run again\n{reason}")
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| !directory.as_os_str().is_empty())
        .map(|directory| directory.join(name))
        .find(|candidate| Path::is_file(candidate))
}
