//! Archives whose bytes say nothing of when and by whom they were made, and the sums of all that is given away.

use super::write;
use crate::command::{aloud, program};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// Packs a directory into `NAME.tar.gz`, in which it stands under its own name.
pub fn tarball(directory: &Path, into: &Path, epoch: u64) -> Result<(), String> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Err(format!("{} has no name", directory.display()));
    };
    let packed = into.join(format!("{}.tar.gz", name.to_string_lossy()));
    let mut tar = program("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"]);
    tar.arg(format!("--mtime=@{epoch}")).args(["--use-compress-program", "gzip -9n"]);
    aloud(tar.arg("--create").arg("--file").arg(packed).arg("--directory").arg(parent).arg(name))
}

/// Writes `SHA256SUMS` of all files in the directory, in the order of their names.
pub fn sums(directory: &Path) -> Result<(), String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_file()) {
            let sum = Sha256::digest(fs::read(&path).map_err(failed)?);
            let digits: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push((name.to_string_lossy().into_owned(), digits));
        }
    }
    lines.sort();
    let text: String = lines.iter().map(|(name, digits)| format!("{digits}  {name}\n")).collect();
    write(&directory.join("SHA256SUMS"), text, 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_that_the_common_tool_checks() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b"), "").unwrap();
        fs::write(folder.path().join("a"), "abc").unwrap();
        fs::create_dir(folder.path().join("directory")).unwrap();
        sums(folder.path()).unwrap();
        let text = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a\n\
                        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  b\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let packed = |into: &str| {
            let from = folder.path().join(into).join("x");
            fs::create_dir_all(&from).unwrap();
            for name in if into == "one" { ["a", "b"] } else { ["b", "a"] } {
                fs::write(from.join(name), name).unwrap();
            }
            tarball(&from, from.parent().unwrap(), 1_700_000_000).unwrap();
            fs::read(from.with_extension("tar.gz")).unwrap()
        };
        assert!(packed("one") == packed("two"));
    }
}
