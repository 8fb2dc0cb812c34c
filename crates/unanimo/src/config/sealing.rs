//! The keys that seal what is secret in the journal: each in a file of its own, so that the configuration holds none.

use super::bearer;
use super::cursor::{Cursor, Fields};
use super::yaml::{Node, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use unanimo_contract::sealing::{KEY_BYTES, KEY_ID_LIMIT, Keyring};

/// The longest file that is read: a key in hexadecimal digits, and some space around it.
const FILE_BYTES: u64 = 256;

/// Reads `journal.sealing`, where it is there, and sees to it that no route has secrets without it.
pub fn sealing(fields: &Fields) -> Option<Arc<Keyring>> {
    // What is wrong with `journal` itself is said by who reads all of it.
    let journal = fields.get("journal").map(|cursor| cursor.node());
    let sealing = journal.and_then(|node| member(node, "sealing"));
    let Some(sealing) = sealing else {
        for secret in secrets(fields) {
            let help = "journal: { sealing: { keys: { k1: k1.key }, current: k1 } }";
            Cursor::new(secret, fields.notes())
                .wrong_but("there is no key that seals what is secret: `journal.sealing` is missing", help);
        }
        return None;
    };
    let fields = Cursor::new(sealing, fields.notes()).fields("`sealing`", &["keys", "current"])?;
    let keys = fields.need("keys").and_then(keys);
    let current = fields.need("current");
    let (keys, cursor) = (keys?, current?);
    let current = cursor.text()?;
    let ids: Vec<_> = keys.iter().map(|(id, _)| id.clone()).collect();
    let read: Option<Vec<_>> = keys.into_iter().map(|(id, key)| Some((id, key?))).collect();
    if !ids.iter().any(|id| id == current) {
        cursor.unknown("a key", current, ids.iter().map(String::as_str));
        return None;
    }
    Keyring::new(read?, current).map(Arc::new)
}

type Keys = Vec<(String, Option<[u8; KEY_BYTES]>)>;

fn keys(cursor: Cursor) -> Option<Keys> {
    let named = cursor.named("`keys`")?;
    if named.is_empty() {
        cursor.wrong("`keys` names no key");
        return None;
    }
    let key = |it: &super::cursor::Named| {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if it.key.is_empty() || it.key.len() > KEY_ID_LIMIT || !it.key.bytes().all(is_id) {
            it.wrong(format!(
                "`{}` cannot be a key's id: 1 to {KEY_ID_LIMIT} letters, digits, `-`, `_` and `.`",
                it.key
            ));
        }
        (it.key.to_owned(), key(it.value))
    };
    Some(named.iter().map(key).collect())
}

/// The key in the file that the cursor names. No message repeats what the file holds.
fn key(cursor: Cursor) -> Option<[u8; KEY_BYTES]> {
    let path = bearer::path(cursor, cursor.text()?);
    let shown = path.display();
    match contents(&path) {
        Ok((_, mode)) if mode & 0o077 != 0 => {
            let message = format!("others than its owner may use the key in `{shown}`");
            cursor.wrong_but(message, format!("chmod 600 {shown}"));
            None
        }
        Ok((text, _)) => {
            let key = decoded(text.trim());
            if key.is_none() {
                let message =
                    format!("`{shown}` holds no key: {KEY_BYTES} bytes, in base64 or in hexadecimal digits");
                cursor.wrong_but(message, format!("openssl rand -base64 {KEY_BYTES} > {shown}"));
            }
            key
        }
        Err(error) => {
            cursor.wrong(format!("the key cannot be read from `{shown}`: {error}"));
            None
        }
    }
}

fn contents(path: &Path) -> io::Result<(String, u32)> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut file = File::open(path)?;
    let (mode, mut text) = (file.metadata()?.permissions().mode(), String::new());
    file.by_ref().take(FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES {
        return Err(io::Error::other("it is too large for a key"));
    }
    Ok((text, mode))
}

fn decoded(text: &str) -> Option<[u8; KEY_BYTES]> {
    if text.len() == 2 * KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let mut key = [0; KEY_BYTES];
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        return Some(key);
    }
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Every `transaction.secret` of the routes.
fn secrets<'a>(fields: &Fields<'a>) -> Vec<&'a Node> {
    let routes = fields.get("routes").map(|cursor| &cursor.node().value);
    let Some(Value::Sequence(routes)) = routes else { return Vec::new() };
    let secret = |route| member(member(route, "transaction")?, "secret");
    routes.iter().filter_map(secret).collect()
}

fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_either_spelling_and_nothing_else_is() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1B1C1D1E1F";
        let key: Vec<u8> = (0..32).collect();
        assert_eq!(decoded(hex).unwrap().to_vec(), key);
        assert_eq!(decoded(&STANDARD.encode(&key)).unwrap().to_vec(), key);
        for wrong in ["", "short", &hex[2..], &STANDARD.encode([1; 31])] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }
}
