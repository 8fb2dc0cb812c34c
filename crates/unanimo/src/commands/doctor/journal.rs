//! `journal-directory`, `journal-file-system`, `journal-space`: where the journal is to be kept.

use super::finding::{Check, Finding};
use super::{proc, sync};
use crate::commands::units;
use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use rustix::process::geteuid;
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use unanimo_journal::{Config, Disk, Files};

/// Group and others, writing.
const OTHERS_WRITE: u32 = 0o022;

/// Looks at the directory, and at the disk that it is on. Without a directory that can be used the disk is not judged.
pub fn examine(config: &Config, history: &unanimo_runtime::history::Config) -> Vec<Finding> {
    // Without the `.` that a folder of the file's own leaves in the middle.
    let wanted: PathBuf = config.directory.components().collect();
    let place = nearest(&wanted);
    let directory = directory(&wanted, &place);
    if directory.judgement == super::Judgement::Fail {
        return vec![directory];
    }
    let mut findings = vec![directory];
    match Files::open(&place) {
        Ok(files) => {
            findings.push(file_system(config, &place, &files));
            findings.push(space(config, history, &place));
            findings.push(sync::examine(&files, &place));
        }
        Err(error) => {
            let advice = "see to the disk";
            findings.push(Finding::fail(Check::JournalFileSystem, error.to_string(), advice));
        }
    }
    findings
}

/// The directory, or the one above it that is there already.
fn nearest(directory: &Path) -> PathBuf {
    let there = directory.ancestors().find(|it| !it.as_os_str().is_empty() && it.exists());
    there.unwrap_or(Path::new(".")).to_owned()
}

fn directory(wanted: &Path, place: &Path) -> Finding {
    const CHECK: Check = Check::JournalDirectory;
    let (shown, me) = (place.display(), proc::myself());
    let metadata = match fs::metadata(place) {
        Ok(metadata) => metadata,
        Err(error) => return Finding::fail(CHECK, format!("{shown}: {error}"), "see to the disk"),
    };
    if !metadata.is_dir() {
        let advice = "move it away, or name another `journal.directory`";
        return Finding::fail(CHECK, format!("{shown} is no directory"), advice);
    }
    if accessat(CWD, place, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).is_err() {
        let advice = format!("make {} for {me}: `install -d -o {me} -m 700`", wanted.display());
        return Finding::fail(CHECK, format!("{me} may not write in {shown}"), advice);
    }
    if place != wanted {
        return Finding::ok(CHECK, format!("{} will be made in {shown}", wanted.display()));
    }
    rights(place, &metadata)
}

/// Of a directory that is there.
fn rights(place: &Path, metadata: &Metadata) -> Finding {
    const CHECK: Check = Check::JournalDirectory;
    let shown = place.display();
    let (owner, mode) = (proc::user(metadata.uid()), metadata.permissions().mode() & 0o7777);
    let said = format!("{shown} belongs to {owner}, with mode {mode:03o}");
    if mode & OTHERS_WRITE != 0 {
        let said = format!("{said}: others may remove what is in it");
        return Finding::warn(CHECK, said, format!("chmod 700 {shown}"));
    }
    if metadata.uid() != geteuid().as_raw() {
        let advice =
            format!("run this, and the gateway, as {owner}: what {} may says little", proc::myself());
        return Finding::warn(CHECK, said, advice);
    }
    Finding::ok(CHECK, said)
}

fn file_system(config: &Config, place: &Path, files: &Files) -> Finding {
    const CHECK: Check = Check::JournalFileSystem;
    let shown = place.display();
    match files.ephemeral() {
        Ok(None) => Finding::ok(CHECK, "keeps what is synced"),
        Ok(Some(kind)) if config.accept_ephemeral => Finding::warn(
            CHECK,
            format!(
                "{shown} is on {kind}, which does not keep what is synced; `accept_ephemeral` says so be it"
            ),
            "choose a local disk where losing transactions is not acceptable",
        ),
        Ok(Some(kind)) => Finding::fail(
            CHECK,
            format!("{shown} is on {kind}, which does not keep what is synced"),
            "choose a local disk, or set `journal.accept_ephemeral: true` where losing transactions is acceptable",
        ),
        Err(error) => Finding::fail(CHECK, format!("{shown} cannot be examined: {error}"), "see to the disk"),
    }
}

fn space(config: &Config, history: &unanimo_runtime::history::Config, place: &Path) -> Finding {
    const CHECK: Check = Check::JournalSpace;
    let free = match statvfs(place) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => {
            return Finding::fail(
                CHECK,
                format!("{} cannot be examined: {error}", place.display()),
                "see to the disk",
            );
        }
    };
    // A history elsewhere takes nothing here.
    let here = history.file.starts_with(&config.directory);
    let kept = if here { history.retention.size } else { 0 };
    judge_space(config, kept, free, held(&config.directory))
}

/// What the journal has already, in bytes.
fn held(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

fn judge_space(config: &Config, kept: u64, free: u64, held: u64) -> Finding {
    const CHECK: Check = Check::JournalSpace;
    let said = format!("{} free", units::size(free));
    if free < config.segment_size {
        let said = format!("{said}, and a segment takes {}", units::size(config.segment_size));
        return Finding::fail(CHECK, said, "make room: without it the gateway ends");
    }
    // The segment that is written, the one after it, and one that history has not read to its end.
    let most = kept.saturating_add(3 * config.segment_size).saturating_sub(held);
    if free < most {
        let said = format!("{said}, and journal and history may come to {} more", units::size(most));
        return Finding::warn(CHECK, said, "make room, or lower `history.retention.size`");
    }
    Finding::ok(CHECK, said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Judgement;

    #[test]
    fn space_is_judged_by_what_the_journal_may_come_to() {
        let config = Config::new("journal");
        let (segment, kept) = (config.segment_size, 1 << 30);
        let most = kept + 3 * segment;
        for (free, held, judgement) in [
            (segment - 1, 0, Judgement::Fail),
            (segment, 0, Judgement::Warn),
            (most - 1, 0, Judgement::Warn),
            (most, 0, Judgement::Ok),
            // What is there already needs no more room.
            (segment, most - segment, Judgement::Ok),
        ] {
            assert_eq!(judge_space(&config, kept, free, held).judgement, judgement, "{free} {held}");
        }
    }

    #[test]
    fn what_is_not_there_is_judged_by_what_is_above_it() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(nearest(&folder.path().join("a/b")), folder.path());
        assert_eq!(nearest(Path::new("surely-not-there/b")), Path::new("."));
        assert!(directory(&folder.path().join("a/b"), folder.path()).said.contains("will be made in"));
    }

    #[test]
    fn a_directory_in_which_others_may_write_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, judgement) in [(0o700, Judgement::Ok), (0o720, Judgement::Warn), (0o777, Judgement::Warn)]
        {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(directory(folder.path(), folder.path()).judgement, judgement, "{mode:o}");
        }
    }
}
