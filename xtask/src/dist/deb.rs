//! The Debian package.

use super::parts::Parts;
use super::target::Target;
use super::{Release, empty, read, write};
use crate::command::{quietly, root};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The maintainer's scripts.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// The package's file.
pub fn name(target: Target, release: &Release) -> String {
    format!("unanimo_{}_{}.deb", release.version, target.debian)
}

/// Lays the package out in `work`, and builds it into `out`.
pub fn package(parts: &Parts, target: Target, work: &Path, out: &Path) -> Result<(), String> {
    let release = parts.release;
    empty(work)?;
    parts.system(work)?;
    let kibibytes = size_of(work)?.div_ceil(1024);
    let debian = |name: &str| read(&root().join("packaging/debian").join(name));
    let control = debian("control")?
        .replace("@VERSION@", &release.version)
        .replace("@ARCHITECTURE@", target.debian)
        .replace("@KIBIBYTES@", &kibibytes.to_string());
    write(&work.join("DEBIAN/control"), control, 0o644)?;
    write(&work.join("DEBIAN/conffiles"), debian("conffiles")?, 0o644)?;
    for script in SCRIPTS {
        write(&work.join("DEBIAN").join(script), debian(script)?, 0o755)?;
    }
    let mut command = Command::new("dpkg-deb");
    command.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    command.args(["--root-owner-group", "-Zxz", "--build"]);
    quietly(command.arg(work).arg(out.join(name(target, release))))
}

/// Bytes of all files below a directory.
fn size_of(directory: &Path) -> Result<u64, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut bytes = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        bytes += if path.is_dir() { size_of(&path)? } else { fs::metadata(&path).map_err(failed)?.len() };
    }
    Ok(bytes)
}
