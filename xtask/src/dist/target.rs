//! The machines that it is built for, and how: one static program each, in which nothing tells where it was built.

use crate::command::{aloud, cargo, quietly, root, shown, target_directory};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One kind of machine.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As rustc calls it.
    pub triple: &'static str,
    /// As people call it.
    pub machine: &'static str,
    /// As Debian calls it.
    pub debian: &'static str,
    /// The C compiler, which links too where it is for another machine.
    compiler: &'static str,
    /// Debian's package that brings the compiler.
    package: &'static str,
    links: bool,
}

/// On x86-64 musl, whose resolver needs no file of the system's C library. For aarch64 Debian has no compiler for musl:
/// there it is the GNU C library, linked in.
pub const TARGETS: [Target; 2] = [
    Target {
        triple: "x86_64-unknown-linux-musl",
        machine: "x86_64-linux",
        debian: "amd64",
        compiler: "musl-gcc",
        package: "musl-tools",
        links: false,
    },
    Target {
        triple: "aarch64-unknown-linux-gnu",
        machine: "aarch64-linux",
        debian: "arm64",
        compiler: "aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu",
        links: true,
    },
];

impl Target {
    /// Why it cannot be built for here, and what would help; `None` where it can.
    pub fn missing(&self) -> Option<String> {
        let Target { triple, compiler, package, .. } = self;
        let libraries = sysroot().join("lib/rustlib").join(triple).join("lib");
        if !libraries.is_dir() {
            return Some(format!("rustc has no standard library for it: `rustup target add {triple}`"));
        }
        let found = quietly(Command::new(compiler).arg("--version")).is_ok();
        (!found).then(|| format!("there is no `{compiler}`: `apt-get install {package}`"))
    }

    /// Builds the program, and says where it is.
    pub fn build(&self) -> Result<PathBuf, String> {
        let Target { triple, compiler, .. } = self;
        let under = triple.replace('-', "_");
        let mut command = cargo(&["build", "--locked", "--profile", "dist", "--package", "unanimo"]);
        command.args(["--target", triple]);
        let places = places();
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        flags.extend(places.iter().map(|(here, there)| format!("--remap-path-prefix={here}={there}")));
        command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let maps = places.iter().map(|(here, there)| format!("-ffile-prefix-map={here}={there}"));
        command.env(format!("CFLAGS_{under}"), maps.collect::<Vec<_>>().join(" "));
        command.env(format!("CC_{under}"), compiler);
        if self.links {
            command.env(format!("CARGO_TARGET_{}_LINKER", under.to_uppercase()), compiler);
        }
        aloud(&mut command)?;
        let program = target_directory().join(triple).join("dist").join("unanimo");
        judge(&program)?;
        Ok(program)
    }

    /// Whether this machine runs what is built for it.
    pub fn is_native(&self) -> bool {
        self.triple.starts_with(std::env::consts::ARCH)
    }
}

/// Places of this machine that would be found in a program, and what stands there instead.
fn places() -> Vec<(String, &'static str)> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    // The compiler takes the last that fits: what lies within another comes behind it.
    let places =
        [(root(), "/unanimo"), (target_directory(), "/target"), (cargo_home, "/cargo"), (sysroot(), "/rust")];
    places.map(|(here, there)| (here.display().to_string(), there)).into()
}

fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    PathBuf::from(said.trim_end())
}

/// What is given away needs no library of the system, and says nothing about this machine.
fn judge(program: &Path) -> Result<(), String> {
    let bytes = std::fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    if asks_for_an_interpreter(&bytes) != Some(false) {
        return Err(format!("{} is not static", program.display()));
    }
    for (here, _) in places() {
        if bytes.windows(here.len()).any(|window| window == here.as_bytes()) {
            return Err(format!("{} names a place of this machine: {here}", program.display()));
        }
    }
    Ok(())
}

/// Whether the system's loader must load libraries into this program; `None` where it is none that is known.
fn asks_for_an_interpreter(program: &[u8]) -> Option<bool> {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = program.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    // 64 bits, lowest byte first.
    program.get(..6).filter(|head| *head == b"\x7fELF\x02\x01")?;
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    let kind = |at: u64| number(usize::try_from(table + at * size).ok()?, 4);
    let kinds = (0..count).map(kind).collect::<Option<Vec<_>>>()?;
    Some(kinds.contains(&u64::from(INTERPRETER)))
}

/// Runs the program where this machine can, and sees that it answers.
pub fn try_out(program: &Path, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).output();
    let output = output.map_err(|error| format!("cannot start `{}`: {error}", shown(&command)))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` ended with {}\n{said}", shown(&command), output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program with headers of these kinds.
    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = kinds.len() as u8;
        for kind in kinds {
            bytes.extend(kind.to_le_bytes());
            bytes.extend([0; 52]);
        }
        bytes
    }

    #[test]
    fn what_cannot_be_built_for_here_says_what_would_help() {
        let [here, _] = TARGETS;
        let unknown = Target { triple: "none-unknown-linux-musl", ..here };
        assert!(unknown.missing().unwrap().ends_with("`rustup target add none-unknown-linux-musl`"));
        let own = Target { triple: "x86_64-unknown-linux-gnu", compiler: "no-such-compiler", ..here };
        if own.is_native() && cfg!(target_env = "gnu") {
            assert!(own.missing().unwrap().ends_with("`apt-get install musl-tools`"));
        }
    }

    #[test]
    fn a_program_that_needs_libraries_is_told_from_one_that_does_not() {
        assert_eq!(asks_for_an_interpreter(&program(&[1, 2, 6])), Some(false));
        assert_eq!(asks_for_an_interpreter(&program(&[6, 3, 1])), Some(true));
        assert_eq!(asks_for_an_interpreter(&program(&[1])[..66]), None);
        assert_eq!(asks_for_an_interpreter(b"#!/bin/sh\nexit 0\n"), None);
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(asks_for_an_interpreter(&own), Some(cfg!(target_env = "gnu")));
    }
}
