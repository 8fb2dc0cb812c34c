//! The files that a package holds, laid out.

use super::target::try_out;
use super::{Release, empty, make, read, write};
use crate::command::root;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the program's own commands, and the tree, have to say.
pub struct Parts<'a> {
    /// The program that is packaged.
    pub program: &'a Path,
    /// The same for this machine.
    pub native: &'a Path,
    /// Which release.
    pub release: &'a Release,
}

/// Shells, the name of the file that holds their completions, and where the system looks for it.
const COMPLETIONS: [(&str, &str, &str); 3] = [
    ("bash", "unanimo", "usr/share/bash-completion/completions"),
    ("zsh", "_unanimo", "usr/share/zsh/vendor-completions"),
    ("fish", "unanimo.fish", "usr/share/fish/vendor_completions.d"),
];

const PROGRAM: u32 = 0o755;
const TEXT: u32 = 0o644;

impl Parts<'_> {
    /// For who unpacks it by hand. Gives the directory back.
    pub fn loose(&self, directory: &Path) -> Result<PathBuf, String> {
        empty(directory)?;
        self.put(&directory.join("unanimo"))?;
        for (shell, name, _) in COMPLETIONS {
            write(&directory.join("completions").join(name), self.completions(shell)?, TEXT)?;
        }
        self.manual(&directory.join("man"))?;
        for name in ["unanimo.service", "sysusers.conf", "unanimo.yaml"] {
            write(&directory.join(name), packaging(name)?, TEXT)?;
        }
        for name in ["LICENSE", "README.md", "CHANGELOG.md"] {
            write(&directory.join(name), read(&root().join(name))?, TEXT)?;
        }
        Ok(directory.to_owned())
    }

    /// As it stands in a system, below its root.
    pub fn system(&self, root_directory: &Path) -> Result<(), String> {
        let at = |path: &str| root_directory.join(path);
        self.put(&at("usr/bin/unanimo"))?;
        for (shell, name, folder) in COMPLETIONS {
            write(&at(folder).join(name), self.completions(shell)?, TEXT)?;
        }
        self.manual(&at("usr/share/man/man1"))?;
        write(&at("usr/lib/systemd/system/unanimo.service"), packaging("unanimo.service")?, TEXT)?;
        write(&at("usr/lib/sysusers.d/unanimo.conf"), packaging("sysusers.conf")?, TEXT)?;
        write(&at("etc/unanimo/unanimo.yaml"), packaging("unanimo.yaml")?, TEXT)?;
        write(&at("usr/share/doc/unanimo/copyright"), read(&root().join("LICENSE"))?, TEXT)?;
        write(&at("usr/share/doc/unanimo/changelog"), read(&root().join("CHANGELOG.md"))?, TEXT)
    }

    /// What a container is built from.
    pub fn container(&self, directory: &Path) -> Result<(), String> {
        empty(directory)?;
        self.put(&directory.join("unanimo"))?;
        let state = directory.join("state/unanimo");
        make(&state)?;
        let private = fs::set_permissions(&state, fs::Permissions::from_mode(0o700));
        private.map_err(|error| format!("{}: {error}", state.display()))?;
        write(&directory.join("Containerfile"), packaging("Containerfile")?, TEXT)
    }

    fn put(&self, place: &Path) -> Result<(), String> {
        let bytes = fs::read(self.program).map_err(|error| format!("{}: {error}", self.program.display()))?;
        write(place, bytes, PROGRAM)
    }

    fn completions(&self, shell: &str) -> Result<Vec<u8>, String> {
        try_out(self.native, &["completions", shell])
    }

    fn manual(&self, directory: &Path) -> Result<(), String> {
        make(directory)?;
        let shown = directory.display().to_string();
        try_out(self.native, &["manual", &shown]).map(drop)
    }
}

/// A file of `packaging`.
fn packaging(name: &str) -> Result<String, String> {
    read(&root().join("packaging").join(name))
}
