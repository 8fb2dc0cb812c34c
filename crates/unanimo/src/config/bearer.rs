//! A bearer token from a file of its own or from the environment, so that the configuration holds no secret.

use super::cursor::Cursor;
use super::yaml::Value;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use unanimo_upstream::Token;

/// The longest file that is read.
const FILE_BYTES: u64 = 16 * 1024;

/// The file of this name: a path that is reckoned from the configuration's folder.
pub fn path(cursor: Cursor, name: &str) -> PathBuf {
    cursor.notes().source().folder().join(name)
}

/// The token that a file holds, whatever is configured now.
pub fn token(path: &Path) -> Result<Token, String> {
    let text = contents(path).map_err(|error| error.to_string())?;
    Token::new(text.trim()).map_err(|error| error.to_string())
}

/// Reads the token from the file that the cursor names.
pub fn read(cursor: Cursor) -> Option<Token> {
    let path = path(cursor, cursor.text()?);
    let text = match contents(&path) {
        Ok(text) => text,
        Err(error) => {
            cursor.wrong(format!("the token cannot be read from `{}`: {error}", path.display()));
            return None;
        }
    };
    if is_open_to_others(&path) {
        let message = format!("every user of this machine can read the token in `{}`", path.display());
        cursor.notes().unwise(cursor.span(), message, format!("chmod 600 {}", path.display()));
    }
    // The message never repeats what the file holds.
    match Token::new(text.trim()) {
        Ok(token) => Some(token),
        Err(error) => {
            cursor.wrong(format!("`{}` holds no token: {error}", path.display()));
            None
        }
    }
}

/// Reads the token that a variable of the environment holds.
pub fn from_environment(cursor: Cursor) -> Option<Token> {
    if !matches!(&cursor.node().value, Value::Scalar(scalar) if scalar.is_variable) {
        let help = "write `\"$env{NAME}\"` and nothing else, or use `bearer_file`";
        cursor.wrong_but("a token does not stand in the configuration itself", help);
        return None;
    }
    // The message never repeats what the variable holds.
    match Token::new(cursor.text()?.trim()) {
        Ok(token) => Some(token),
        Err(error) => {
            cursor.wrong(format!("the variable holds no token: {error}"));
            None
        }
    }
}

fn contents(path: &std::path::Path) -> io::Result<String> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(io::Error::other("it is too large for a token"));
    }
    Ok(text)
}

fn is_open_to_others(path: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
