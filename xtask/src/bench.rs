//! The measurements: builds what they need in the release profile, and runs them.

use crate::command::{aloud, cargo, program, target_directory};
use crate::tools;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures what these arguments name, or everything.
pub fn main(arguments: &[String]) -> ExitCode {
    match build_and_run("release", arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every measurement for moments, in the profile of the tests: the figures mean nothing, but that they come does.
pub fn try_out() -> Result<(), String> {
    build_and_run("dev", &["--quick".to_owned()])
}

fn build_and_run(profile: &str, arguments: &[String]) -> Result<(), String> {
    tools::package("nginx")?;
    // Whoever names other benches need not wait for it to be built.
    let peer = wants(arguments, "peers").then(peer).transpose()?;
    let build = ["build", "--locked", "--profile", profile, "--package"];
    aloud(cargo(&build).arg("unanimo-benches"))?;
    aloud(cargo(&build).args(["unanimo", "--features", "bench"]))?;
    let built = target_directory().join(if profile == "dev" { "debug" } else { profile });
    let directory = target_directory().join("bench");
    // The next build without the feature takes the program's place: what is measured must stay what it is.
    let gateway = directory.join("unanimo");
    let copied =
        std::fs::create_dir_all(&directory).and_then(|()| std::fs::copy(built.join("unanimo"), &gateway));
    copied.map_err(|error| format!("cannot copy the gateway to {}: {error}", gateway.display()))?;
    let mut measure = program(built.join("unanimo-benches"));
    measure.arg("--gateway").arg(gateway).arg("--directory").arg(directory);
    if let Some(peer) = peer {
        measure.arg("--dtmrs").arg(peer);
    }
    aloud(measure.args(arguments))
}

/// Whether these arguments name this bench, or none.
fn wants(arguments: &[String], bench: &str) -> bool {
    let mut names = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // The options with a value.
            "--only" | "--transactions" => drop(arguments.next()),
            option if option.starts_with('-') => {}
            name => names.push(name),
        }
    }
    names.is_empty() || names.contains(&bench)
}

/// The manager that ours is measured against, and the stores that it is given.
fn peer() -> Result<PathBuf, String> {
    tools::package("redis-server")?;
    tools::postgresql()?;
    let (peer, remark) = tools::dtmrs(&target_directory())?;
    if !remark.is_empty() {
        println!("{remark}");
    }
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_option_is_given_names_no_bench() {
        let wants =
            |words: &[&str]| wants(&words.iter().map(ToString::to_string).collect::<Vec<_>>(), "peers");
        assert!(
            wants(&[]) && wants(&["--quick"]) && wants(&["--only", "64 clients"]) && wants(&["tax", "peers"])
        );
        assert!(!wants(&["tax"]) && !wants(&["tax", "--only", "peers"]));
    }
}
