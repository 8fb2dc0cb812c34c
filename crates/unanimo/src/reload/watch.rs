//! Whether the files of a configuration have changed: seen by looking at them.
//!
//! A file is looked at through its links, so that a link that is swapped is a change, and so is a file that takes another
//! one's name. What has changed counts only once it has stayed the same from one look to the next: whoever is writing has
//! ended by then, or what is read does not parse, and the next look finds it again.

use crate::config::files;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files as they were seen.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// As they were when the configuration was read.
    read: Vec<Seen>,
    /// As they were at the last look.
    last: Vec<Seen>,
}

/// A file, and what tells it from an earlier one: device, inode, size, and when it changed, in seconds and nanoseconds.
type Seen = (PathBuf, Option<[i128; 7]>);

impl Watch {
    /// Of a file or a folder, and the files that it names. Call it before they are read.
    pub fn new(path: &Path, named: &[PathBuf]) -> Watch {
        let read = look(path, named);
        Watch { path: path.to_owned(), last: read.clone(), read }
    }

    /// Looks. True once after each change, as soon as the files have stayed the same since the look before.
    pub fn has_changed(&mut self, named: &[PathBuf]) -> bool {
        let now = look(&self.path, named);
        let has_settled = now == self.last;
        self.last = now;
        if !has_settled || self.last == self.read {
            return false;
        }
        self.read.clone_from(&self.last);
        true
    }

    /// The files are about to be read, whatever has been seen.
    pub fn reads(&mut self, named: &[PathBuf]) {
        self.read = look(&self.path, named);
        self.last.clone_from(&self.read);
    }
}

fn look(path: &Path, named: &[PathBuf]) -> Vec<Seen> {
    // What cannot be listed is seen as one that is not there: the reader says what is wrong with it.
    let files = files(path).unwrap_or_else(|_| vec![path.to_owned()]);
    files.into_iter().chain(named.iter().cloned()).map(|file| (file.clone(), stamp(&file))).collect()
}

fn stamp(file: &Path) -> Option<[i128; 7]> {
    let data = fs::metadata(file).ok()?;
    let times = [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()].map(i128::from);
    let [changed, changed_nanos, moved, moved_nanos] = times;
    let (device, inode, size) = (data.dev().into(), data.ino().into(), data.size().into());
    Some([device, inode, size, changed, changed_nanos, moved, moved_nanos])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// The looks until nothing has changed any more, and how many of them saw a change.
    fn changes(watch: &mut Watch) -> usize {
        (0..4).filter(|_| watch.has_changed(&[])).count()
    }

    #[test]
    fn a_file_that_is_written_or_renamed_over_has_changed_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "one").unwrap();
        let mut watch = Watch::new(&file, &[]);
        assert_eq!(changes(&mut watch), 0);
        fs::write(&file, "two and more").unwrap();
        assert_eq!(changes(&mut watch), 1);
        let beside = folder.path().join("b");
        fs::write(&beside, "three").unwrap();
        fs::rename(&beside, &file).unwrap();
        assert_eq!(changes(&mut watch), 1);
    }

    #[test]
    fn what_is_being_written_has_not_settled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "").unwrap();
        let mut watch = Watch::new(&file, &[]);
        for length in 1..6 {
            fs::write(&file, "x".repeat(length)).unwrap();
            assert!(!watch.has_changed(&[]), "{length}");
        }
        assert!(watch.has_changed(&[]));
        fs::remove_file(&file).unwrap();
        assert!(!watch.has_changed(&[]), "an editor may be about to put another one there");
    }

    #[test]
    fn a_swap_of_the_link_beside_is_a_change() {
        // As an orchestrator does it: file -> ..data/file, and ..data -> a folder of each version.
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for version in ["..v1", "..v2"] {
            fs::create_dir(root.join(version)).unwrap();
            fs::write(root.join(version).join("a.yaml"), "same").unwrap();
        }
        symlink("..v1", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
        for path in [root.to_owned(), root.join("a.yaml")] {
            fs::remove_file(root.join("..data")).unwrap();
            symlink("..v1", root.join("..data")).unwrap();
            let mut watch = Watch::new(&path, &[]);
            symlink("..v2", root.join("..next")).unwrap();
            fs::rename(root.join("..next"), root.join("..data")).unwrap();
            assert_eq!(changes(&mut watch), 1, "{}", path.display());
        }
    }

    #[test]
    fn a_folder_changes_with_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "one").unwrap();
        let mut watch = Watch::new(folder.path(), &[]);
        fs::write(folder.path().join(".b.yaml.swp"), "an editor's").unwrap();
        assert_eq!(changes(&mut watch), 0);
        fs::write(folder.path().join("b.yaml"), "two").unwrap();
        assert_eq!(changes(&mut watch), 1);
        fs::remove_file(folder.path().join("b.yaml")).unwrap();
        assert_eq!(changes(&mut watch), 1);
    }
}
