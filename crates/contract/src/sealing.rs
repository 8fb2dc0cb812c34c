//! What a transaction with secrets stores, sealed: only who has the key can read it, and nobody can change it unseen.
//!
//! A sealed value is a run of fields whose numbers nothing else has: the key's id, the nonce, and the bytes under
//! XChaCha20-Poly1305. The tag also covers whose value it is, which one, and the key's id: a value that was moved
//! elsewhere does not open.

use crate::{BranchIndex, Id};
use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use unanimo_protocol::fields::{self, Malformed};

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;

/// How long a key's id may be, in bytes.
pub const KEY_ID_LIMIT: usize = 64;

const KEY_ID: u8 = 0xe0;
const NONCE: u8 = 0xe1;
const SEALED: u8 = 0xe2;

const NONCE_BYTES: usize = 24;

/// Which of a transaction's values it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The calls of its beginning.
    Begun,
    /// The calls of a later wave.
    Wave,
    /// What this branch answered that has acted.
    Acted(BranchIndex),
    /// What its client is told.
    Answer,
    /// Its compensations.
    Compensations,
}

impl Part {
    /// Every kind of part, with this branch where there is one.
    pub fn all(branch: BranchIndex) -> [Part; 5] {
        [Part::Begun, Part::Wave, Part::Acted(branch), Part::Answer, Part::Compensations]
    }

    fn code(self) -> [u8; 2] {
        match self {
            Part::Begun => [1, 0],
            Part::Wave => [2, 0],
            Part::Acted(branch) => [3, branch.0],
            Part::Answer => [4, 0],
            Part::Compensations => [5, 0],
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Begun => f.write_str("the calls of its beginning"),
            Part::Wave => f.write_str("the calls of a later wave"),
            Part::Acted(branch) => write!(f, "the answer of its branch {}", branch.0),
            Part::Answer => f.write_str("its client's answer"),
            Part::Compensations => f.write_str("its compensations"),
        }
    }
}

/// The keys by their ids: one seals, each opens.
pub struct Keyring {
    keys: BTreeMap<String, XChaCha20Poly1305>,
    /// Invariant: one of `keys`.
    current: String,
}

impl fmt::Debug for Keyring {
    /// Never shows a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("current", &self.current).field("ids", &self.keys.keys()).finish()
    }
}

/// Why a stored value was not opened. Says nothing of what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// It stands in clear where only a sealed value may stand.
    Clear,
    /// It is no sealed value.
    Malformed(Malformed),
    /// It needs this key, which is not known.
    NoKey(String),
    /// It does not fit this key: another key has the id now, or somebody has changed it.
    Refused(String),
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unopened::Clear => f.write_str("it stands in clear, and its plan has secrets: it was changed"),
            Unopened::Malformed(error) => write!(f, "{error}"),
            Unopened::NoKey(id) => {
                write!(f, "it is sealed with key `{id}`, which `journal.sealing.keys` does not name")
            }
            Unopened::Refused(id) => {
                write!(
                    f,
                    "it does not open with key `{id}`: the key is another one, or the bytes were changed"
                )
            }
        }
    }
}

impl std::error::Error for Unopened {}

impl Keyring {
    /// These keys, of which the `current` one seals; nothing where it is not among them.
    pub fn new(keys: impl IntoIterator<Item = (String, [u8; KEY_BYTES])>, current: &str) -> Option<Keyring> {
        let keys: BTreeMap<_, _> =
            keys.into_iter().map(|(id, key)| (id, XChaCha20Poly1305::new(&key.into()))).collect();
        keys.contains_key(current).then(|| Keyring { keys, current: current.to_owned() })
    }

    /// The id of the key that seals.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// The ids of the keys that open, in their order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Seals a value with the current key. What is empty stays empty: it says nothing.
    pub fn seal(&self, nonces: &mut Nonces, transaction: Id, part: Part, clear: &[u8]) -> Bytes {
        if clear.is_empty() {
            return Bytes::new();
        }
        let about = about(transaction, part, &self.current);
        let nonce = nonces.next(&about, clear);
        let payload = Payload { msg: clear, aad: &about };
        let sealed = self.keys.get(&self.current).map(|key| key.encrypt(&XNonce::from(nonce), payload));
        let Some(Ok(sealed)) = sealed else {
            unreachable!("the current key is known, and no value is as long as the cipher can count")
        };
        let mut out = Vec::with_capacity(sealed.len() + NONCE_BYTES + KEY_ID_LIMIT + 16);
        fields::put_bytes(&mut out, KEY_ID, self.current.as_bytes());
        fields::put_bytes(&mut out, NONCE, &nonce);
        fields::put_bytes(&mut out, SEALED, &sealed);
        Bytes::from(out)
    }

    /// Opens what [`Keyring::seal`] made of the same transaction's same part.
    pub fn open(&self, transaction: Id, part: Part, stored: &Bytes) -> Result<Bytes, Unopened> {
        open(Some(self), transaction, part, stored)
    }
}

/// Opens a sealed value with the keys that there are, if there are any. What is empty was empty.
pub fn open(
    keyring: Option<&Keyring>,
    transaction: Id,
    part: Part,
    stored: &Bytes,
) -> Result<Bytes, Unopened> {
    if stored.is_empty() {
        return Ok(Bytes::new());
    }
    if !is_sealed(stored) {
        return Err(Unopened::Clear);
    }
    let (id, nonce, sealed) = parts(stored).map_err(Unopened::Malformed)?;
    let key = keyring.and_then(|keyring| keyring.keys.get(&id));
    let key = key.ok_or_else(|| Unopened::NoKey(id.clone()))?;
    let about = about(transaction, part, &id);
    let opened = key.decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: &about });
    opened.map(Bytes::from).map_err(|_| Unopened::Refused(id))
}

/// Whether a stored value is sealed.
pub fn is_sealed(stored: &[u8]) -> bool {
    stored.first() == Some(&KEY_ID)
}

/// The id of the key that a sealed value needs; nothing where it is not sealed.
pub fn key_of(stored: &Bytes) -> Option<String> {
    is_sealed(stored).then(|| parts(stored).ok()).flatten().map(|(id, ..)| id)
}

/// Nonces that never come twice for two values, even where a machine was copied while it ran.
///
/// Each is a hash of bytes that nobody can foretell, of a count, and of what it is used for.
pub struct Nonces {
    secret: [u8; 32],
    count: u64,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Nonces {
    /// From bytes that nobody else has: the source of randomness is asked for them once for each owner and start.
    pub fn new(secret: [u8; 32]) -> Nonces {
        Nonces { secret, count: 0 }
    }

    fn next(&mut self, about: &[u8], clear: &[u8]) -> [u8; NONCE_BYTES] {
        self.count += 1;
        let mut hasher = Sha256::new();
        hasher.update(self.secret);
        hasher.update(self.count.to_le_bytes());
        hasher.update((about.len() as u64).to_le_bytes());
        hasher.update(about);
        hasher.update(clear);
        let hash = hasher.finalize();
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&hash[..NONCE_BYTES]);
        nonce
    }
}

/// What the tag covers beside the value.
fn about(transaction: Id, part: Part, key: &str) -> Vec<u8> {
    let mut about = Vec::with_capacity(64);
    about.extend_from_slice(&transaction.bits().to_be_bytes());
    about.extend_from_slice(&part.code());
    about.extend_from_slice(key.as_bytes());
    about
}

fn parts(stored: &Bytes) -> Result<(String, [u8; NONCE_BYTES], Bytes), Malformed> {
    let (mut id, mut nonce, mut sealed) = (None, None, None);
    for field in fields::read(stored.clone()) {
        let field = field?;
        match field.number {
            KEY_ID if field.value.len() <= KEY_ID_LIMIT => id = Some(field.text()?.to_owned()),
            KEY_ID => return Err(Malformed::BadValue(KEY_ID)),
            NONCE => nonce = Some(field.array()?),
            SEALED => sealed = Some(field.value),
            unknown => return Err(Malformed::UnknownField(unknown)),
        }
    }
    Ok((
        id.ok_or(Malformed::MissingField(KEY_ID))?,
        nonce.ok_or(Malformed::MissingField(NONCE))?,
        sealed.ok_or(Malformed::MissingField(SEALED))?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BRANCH: BranchIndex = BranchIndex(3);

    fn keyring(keys: &[(&str, u8)], current: &str) -> Keyring {
        Keyring::new(keys.iter().map(|(id, byte)| ((*id).to_owned(), [*byte; 32])), current).unwrap()
    }

    fn id(counter: u64) -> Id {
        use crate::{Epoch, Node, Shard};
        Id::new(Node(7), Shard(1), Epoch(1), counter, 5)
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_where_it_stood_and_nowhere_else(
            clear in proptest::collection::vec(any::<u8>(), 8..300), part in 0..5usize, other in 0..5usize,
        ) {
            let ring = keyring(&[("a", 1)], "a");
            let mut nonces = Nonces::new([9; 32]);
            let [part, other] = [part, other].map(|at| Part::all(BRANCH)[at]);
            let sealed = ring.seal(&mut nonces, id(1), part, &clear);
            prop_assert_eq!(ring.open(id(1), part, &sealed), Ok(Bytes::from(clear.clone())));
            prop_assert!(!sealed.windows(clear.len()).any(|window| window == clear));
            if part != other {
                prop_assert_eq!(ring.open(id(1), other, &sealed), Err(Unopened::Refused("a".into())));
            }
            prop_assert_eq!(ring.open(id(2), part, &sealed), Err(Unopened::Refused("a".into())));
            let again = ring.seal(&mut nonces, id(1), part, &clear);
            prop_assert_ne!(&again, &sealed, "no nonce comes twice");
        }

        #[test]
        fn no_bit_can_be_changed_unseen(clear in proptest::collection::vec(any::<u8>(), 1..100), at: usize, bit in 0..8u32) {
            let ring = keyring(&[("a", 1)], "a");
            let sealed = ring.seal(&mut Nonces::new([9; 32]), id(1), Part::Begun, &clear);
            let mut changed = sealed.to_vec();
            let at = at % changed.len();
            changed[at] ^= 1u8 << bit;
            prop_assert!(ring.open(id(1), Part::Begun, &Bytes::from(changed)).is_err());
        }

        #[test]
        fn garbage_is_refused(mut bytes: Vec<u8>) {
            bytes.insert(0, KEY_ID);
            let stored = Bytes::from(bytes);
            let _ = key_of(&stored);
            prop_assert!(keyring(&[("a", 1)], "a").open(id(1), Part::Begun, &stored).is_err());
        }
    }

    #[test]
    fn the_current_key_seals_and_any_known_one_opens() {
        let before = keyring(&[("2025", 1)], "2025");
        let sealed = before.seal(&mut Nonces::new([9; 32]), id(1), Part::Answer, b"pin");
        assert_eq!(key_of(&sealed).as_deref(), Some("2025"));
        let rotated = keyring(&[("2025", 1), ("2026", 2)], "2026");
        assert_eq!(rotated.open(id(1), Part::Answer, &sealed), Ok(Bytes::from_static(b"pin")));
        let later = rotated.seal(&mut Nonces::new([9; 32]), id(1), Part::Answer, b"pin");
        assert_eq!(key_of(&later).as_deref(), Some("2026"));
        assert_eq!(before.open(id(1), Part::Answer, &later), Err(Unopened::NoKey("2026".into())));
    }

    #[test]
    fn another_key_under_the_same_id_and_what_stands_in_clear_are_refused() {
        let sealed =
            keyring(&[("a", 1)], "a").seal(&mut Nonces::new([9; 32]), id(1), Part::Wave, b"something");
        let other = keyring(&[("a", 2)], "a");
        assert_eq!(other.open(id(1), Part::Wave, &sealed), Err(Unopened::Refused("a".into())));
        let clear = Bytes::from_static(b"\x01\x01a");
        assert_eq!(other.open(id(1), Part::Wave, &clear), Err(Unopened::Clear));
        assert_eq!(open(None, id(1), Part::Wave, &Bytes::new()), Ok(Bytes::new()));
        assert!(!format!("{other:?}").contains('2'), "a key is never shown");
    }
}
