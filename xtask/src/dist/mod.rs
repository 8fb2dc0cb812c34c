//! What is given away: static programs, Debian packages, what a container is built from, and what is in them.

mod archive;
mod deb;
mod parts;
mod sbom;
mod target;

use crate::command::{program, root, target_directory};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use target::{TARGETS, Target};

const USAGE: &str = "\
usage: cargo xtask dist [--out DIRECTORY] [--program FILE]
  --out DIRECTORY  where it goes; else target/dist. What a former run has left there is removed
  --program FILE   package this program for x86-64, as it is, and build none";

/// Builds and packages for every machine that can be built for here.
pub fn main(arguments: &[String]) -> ExitCode {
    let Some(wish) = Wish::of(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match wish.fulfil() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
struct Wish {
    out: PathBuf,
    program: Option<PathBuf>,
}

/// What all packages of one run share.
pub struct Release {
    /// The version of the program.
    pub version: String,
    /// Seconds since 1970: when the source was committed, so that the same source gives the same bytes.
    pub epoch: u64,
}

impl Wish {
    fn of(arguments: &[String]) -> Option<Wish> {
        let here = std::env::current_dir().ok()?;
        let mut wish = Wish { out: target_directory().join("dist"), program: None };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = here.join(words.next()?);
            match word.as_str() {
                "--out" => wish.out = value,
                "--program" => wish.program = Some(value),
                _ => return None,
            }
        }
        Some(wish)
    }

    fn fulfil(&self) -> Result<(), String> {
        let release = Release { version: version()?, epoch: epoch()? };
        empty(&self.out)?;
        let [first, ..] = TARGETS;
        if let Some(program) = &self.program {
            self.package(&release, first, program, program)?;
        } else {
            // A program for this machine is needed: the manual and the completions are its own words.
            if let Some(why) = first.missing() {
                return Err(format!("{}: {why}", first.machine));
            }
            let native = first.build()?;
            for target in TARGETS {
                if let Some(why) = target.missing() {
                    println!("{}: left out: {why}", target.machine);
                    continue;
                }
                let built = if target.triple == first.triple { native.clone() } else { target.build()? };
                self.package(&release, target, &built, &native)?;
            }
        }
        archive::sums(&self.out)?;
        println!("{}", self.out.display());
        Ok(())
    }

    /// `native` is the same program for this machine.
    fn package(
        &self,
        release: &Release,
        target: Target,
        program: &Path,
        native: &Path,
    ) -> Result<(), String> {
        if target.is_native() {
            let said = target::try_out(program, &["--version"])?;
            let expected = format!("unanimo {}\n", release.version);
            if said != expected.as_bytes() {
                return Err(format!(
                    "{}: it says another version than {}",
                    program.display(),
                    release.version
                ));
            }
        }
        let name = format!("unanimo-{}-{}", release.version, target.machine);
        let work = self.out.join("work");
        let parts = parts::Parts { program, native, release };
        archive::tarball(&parts.loose(&work.join(&name))?, &self.out, release.epoch)?;
        deb::package(&parts, target, &work.join("deb"), &self.out)?;
        sbom::write_bill(target, release, &self.out.join(format!("{name}.cdx.json")))?;
        if target.is_native() {
            parts.container(&self.out.join("container"))?;
        }
        remove(&work)?;
        println!("{}: {name}.tar.gz, {}, {name}.cdx.json", target.machine, deb::name(target, release));
        Ok(())
    }
}

/// The workspace's version.
fn version() -> Result<String, String> {
    let manifest = read(&root().join("Cargo.toml"))?;
    let mut lines = manifest.lines().skip_while(|line| *line != "[workspace.package]");
    let version = lines.find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map(str::to_owned).ok_or_else(|| "Cargo.toml names no version of the workspace".to_owned())
}

/// `SOURCE_DATE_EPOCH`, or when the last commit was made.
fn epoch() -> Result<u64, String> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is no number of seconds: {given}"));
    }
    let output = program("git").args(["log", "-1", "--format=%ct"]).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.ok().and_then(|said| said.trim().parse().ok()).ok_or_else(|| {
        "the source is no clone of a repository: say with SOURCE_DATE_EPOCH how old it is".to_owned()
    })
}

/// Makes a directory that is empty.
fn empty(directory: &Path) -> Result<(), String> {
    remove(directory)?;
    make(directory)
}

fn remove(directory: &Path) -> Result<(), String> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a directory and those above it.
fn make(directory: &Path) -> Result<(), String> {
    fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Writes a file with these rights, and the directories above it.
fn write(file: &Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    file.parent().map_or(Ok(()), make)?;
    let written =
        fs::write(file, bytes).and_then(|()| fs::set_permissions(file, fs::Permissions::from_mode(mode)));
    written.map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_understood_or_refused() {
        let wish = |line: &str| Wish::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert!(wish("").unwrap().out.ends_with("dist"));
        assert_eq!(wish("--out /a --program /b").unwrap().program, Some(PathBuf::from("/b")));
        assert!(wish("--out").is_none() && wish("--other x").is_none());
    }

    #[test]
    fn the_version_is_the_workspaces() {
        assert_eq!(version().as_deref(), Ok(env!("CARGO_PKG_VERSION")));
    }
}
