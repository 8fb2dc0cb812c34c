//! The files of a configuration: the one that was named, or those of a folder.

use super::mistake::{Mistake, Severity};
use super::scalars::spell_size;
use super::source::Source;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest file that is read.
const FILE_BYTES: u64 = 1024 * 1024;

/// The most that the files of a folder may hold together.
const FOLDER_BYTES: usize = 8 * 1024 * 1024;

/// How the name of a folder's file ends that is read.
const EXTENSION: &str = "yaml";

/// Reads a file, or every `*.yaml` of a folder in the order of the names' bytes.
pub fn read(path: &Path) -> Result<Source, Mistake> {
    if !path.is_dir() {
        return Ok(Source::of(path, text(path)?));
    }
    let files = files(path)?;
    let mut texts = Vec::new();
    let mut bytes = 0;
    for file in files {
        let text = text(&file)?;
        bytes += text.len();
        if bytes > FOLDER_BYTES {
            let limit = spell_size(FOLDER_BYTES as u64);
            return Err(mistake(format!("the files of {} hold more than {limit} together", path.display())));
        }
        texts.push((file, text));
    }
    if texts.is_empty() {
        return Err(mistake(format!("{} holds no file whose name ends in `.{EXTENSION}`", path.display())));
    }
    let first = texts.remove(0);
    Ok(Source::all(path, first, texts))
}

/// The files that are read: the one that was named, or those of a folder in their order.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, Mistake> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if is_meant(&file)? {
            files.push(file);
        }
    }
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(files)
}

/// Whether a file of a folder is part of the configuration. What somebody may take for a part and is none stops the
/// start: nothing is left out in silence.
fn is_meant(file: &Path) -> Result<bool, Mistake> {
    let name = file.file_name().unwrap_or_default();
    // An editor's copies, and what orchestrators keep beside the links that they swap.
    if name.as_bytes().starts_with(b".") || !file.is_file() {
        return Ok(false);
    }
    if file.extension() == Some(OsStr::new("yml")) {
        let message =
            format!("{} would not be read: only names that end in `.{EXTENSION}` are", file.display());
        return Err(Mistake { help: Some("rename it, or move it away".to_owned()), ..mistake(message) });
    }
    Ok(file.extension() == Some(OsStr::new(EXTENSION)))
}

fn text(file: &Path) -> Result<String, Mistake> {
    let mut text = String::new();
    let read = File::open(file).and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
    let read = read.and_then(|length| match length as u64 > FILE_BYTES {
        true => Err(io::Error::other(format!("it is larger than {}", spell_size(FILE_BYTES)))),
        false => Ok(()),
    });
    read.map_err(|error| unreadable(file, &error)).map(|()| text)
}

fn unreadable(path: &Path, error: &io::Error) -> Mistake {
    mistake(format!("{} cannot be read: {error}", path.display()))
}

fn mistake(message: String) -> Mistake {
    Mistake { severity: Severity::Error, place: None, message, help: None }
}
