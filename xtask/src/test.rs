//! Every test, then the simulator, then the measurements for moments, then one line that sums it up.

use crate::command::{aloud, cannot_start, cargo, root, shown};
use crate::{bench, tools};
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// What the simulation does on every run.
const SIMULATIONS: [&[&str]; 3] = [&["--seeds", "100000"], &["--crash-points"], &["--damage"]];

/// A word of the switches for planted mistakes. Only test builds have it.
const SWITCH: &[u8] = b"decides-while-unsynced";

/// Runs all tests. The last line is `N passed, N failed` over all test binaries; a step that breaks
/// without counting anything (a build, the simulator) counts as one failure, so that the line never
/// reads as a success that it was not.
pub fn main() -> ExitCode {
    let mut sum = Tally::default();
    let packages =
        || ["python3", "strace", "curl", "sqlite3"].iter().try_for_each(|name| tools::package(name));
    match packages().and_then(|()| release()).and_then(|program| tests(&program)) {
        Ok((tally, success)) => {
            sum += tally;
            sum.failed += usize::from(!success && tally.failed == 0);
        }
        Err(reason) => {
            eprintln!("{reason}");
            sum.failed += 1;
        }
    }
    for simulation in SIMULATIONS {
        let arguments = ["run", "--locked", "--release", "--package", "unanimo-simulation", "--"];
        if let Err(reason) = announce(cargo(&arguments).args(simulation), aloud) {
            eprintln!("{reason}");
            sum.failed += 1;
        }
    }
    // Measurements that nobody runs would break unseen.
    if let Err(reason) = bench::try_out() {
        eprintln!("{reason}");
        sum.failed += 1;
    }
    println!("\n{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn announce<T>(command: &mut Command, run: impl FnOnce(&mut Command) -> T) -> T {
    println!("\n$ {}", shown(command));
    run(command)
}

/// Builds the program as it is shipped, and sees that no mistake can be planted in it. Says where it is: the tests that
/// run a real process run this one.
fn release() -> Result<PathBuf, String> {
    announce(&mut cargo(&["build", "--locked", "--release", "--package", "unanimo"]), aloud)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let program = target.join("release").join("unanimo");
    let bytes = std::fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    if bytes.windows(SWITCH.len()).any(|window| window == SWITCH) {
        return Err(format!("{} has switches for planted mistakes", program.display()));
    }
    Ok(program)
}

/// Runs the tests with their output on the terminal; says what they counted and whether cargo was content.
fn tests(program: &Path) -> Result<(Tally, bool), String> {
    let mut command = cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    command.env("UNANIMO_PROGRAM", program);
    // A snapshot that differs is a failure to look at, not a file to leave in the source tree.
    command.env("INSTA_UPDATE", "no").stdout(Stdio::piped());
    announce(&mut command, |command| {
        let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
        let mut tally = Tally::default();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                if let Some(counted) = Tally::parse(&line) {
                    tally += counted;
                }
            }
        }
        let status = child.wait().map_err(|error| format!("cargo test: {error}"))?;
        Ok((tally, status.success()))
    })
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Reads the closing line of one test binary.
    fn parse(line: &str) -> Option<Self> {
        let counts = line.trim().strip_prefix("test result: ")?;
        let count = |name: &str| -> Option<usize> {
            let (before, _) = counts.split_once(name)?;
            before.split_whitespace().next_back()?.parse().ok()
        };
        Some(Self { passed: count(" passed;")?, failed: count(" failed;")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closing_line_of_a_test_binary() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 12, failed: 3 }));
    }

    #[test]
    fn ignores_what_only_looks_like_one() {
        assert_eq!(Tally::parse("the test result: 12 passed; 3 failed;"), None);
        assert_eq!(Tally::parse("test result: unknown"), None);
    }
}
