//! The source tree: every text file that is tracked, or would be.

use crate::command::{program, root};

pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    /// Asks git which files belong to the tree, so that build output and local data stay out of it.
    pub fn read() -> Result<Self, String> {
        let mut command = program("git");
        command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let output = command.output().map_err(|error| format!("tidy needs git: {error}"))?;
        if !output.status.success() {
            return Err(format!(
                "tidy needs a git checkout: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ));
        }
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        // What cannot be read as text is an image, or was deleted and not yet committed.
        let read = |path: &str| {
            let text = std::fs::read_to_string(root().join(path)).ok()?;
            Some(File { path: path.to_owned(), text })
        };
        Ok(Self { files: paths.filter_map(read).collect() })
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}
