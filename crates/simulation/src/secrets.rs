//! What some routes call secret is sealed in this world too; only who judges a run looks under the seal.

use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use unanimo_contract::Id;
use unanimo_contract::sealing::{self, KEY_BYTES, Keyring, Part};
use unanimo_protocol::{Begun, Concluded, Record, Wave};

/// The key of every life.
pub(crate) fn keyring() -> Option<Arc<Keyring>> {
    Keyring::new([("k1".to_owned(), [0x5a; KEY_BYTES])], "k1").map(Arc::new)
}

/// Bytes that no other owner and no other life has.
pub(crate) fn nonces(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// A record as it was before it was sealed.
pub(crate) fn clear<'a>(keyring: Option<&Keyring>, id: Id, record: &'a Record) -> Cow<'a, Record> {
    let open = |part, stored: &Bytes| match sealing::is_sealed(stored) {
        // What does not open stays as it is, and is blamed for what is missing in it.
        true => sealing::open(keyring, id, part, stored).unwrap_or_else(|_| stored.clone()),
        false => stored.clone(),
    };
    match record {
        Record::Begun(begun) => {
            Cow::Owned(Record::Begun(Begun { calls: open(Part::Begun, &begun.calls), ..begun.clone() }))
        }
        Record::Wave(wave) => {
            Cow::Owned(Record::Wave(Wave { calls: open(Part::Wave, &wave.calls), ..wave.clone() }))
        }
        Record::Concluded(concluded) => Cow::Owned(Record::Concluded(Concluded {
            answer: open(Part::Answer, &concluded.answer),
            calls: open(Part::Compensations, &concluded.calls),
            ..concluded.clone()
        })),
        other => Cow::Borrowed(other),
    }
}
