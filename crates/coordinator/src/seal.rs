//! The one seam at which what is secret is sealed and opened: on the way to the journal, and on the way back.
//!
//! Where a plan has secrets, every string of bytes in its records that can hold one is sealed as a whole. The core and
//! the journal carry it as they carry any other bytes.

use crate::Config;
use crate::open::Open;
use crate::owner::Owner;
use crate::plans::Ready;
use bytes::Bytes;
use unanimo_contract::Id;
use unanimo_contract::sealing::{self, Part, Unopened};
use unanimo_protocol::{Begun, Concluded, Record, Wave};

impl Ready {
    /// Whether what is stored of its transactions is sealed.
    pub(crate) fn seals(&self) -> bool {
        !self.secrets.is_empty()
    }
}

impl Owner {
    /// The records as the journal may have them.
    pub(crate) fn sealed(&mut self, id: Id, records: Vec<Record>) -> Vec<Record> {
        if !self.open.get(&id).is_some_and(|open| open.ready.seals()) {
            return records;
        }
        let Some(keyring) = &self.config.keyring else {
            unreachable!("{id}: it has secrets, and neither begins nor is replayed without a key")
        };
        let nonces = &mut self.nonces;
        let mut seal = |part, clear: Bytes| keyring.seal(nonces, id, part, &clear);
        let seal_one = |record| match record {
            Record::Begun(begun) => {
                Record::Begun(Begun { calls: seal(Part::Begun, begun.calls.clone()), ..begun })
            }
            Record::Wave(wave) => Record::Wave(Wave { calls: seal(Part::Wave, wave.calls.clone()), ..wave }),
            Record::Acted { branch, outcome, answer } => {
                Record::Acted { branch, outcome, answer: seal(Part::Acted(branch), answer) }
            }
            Record::Concluded(concluded) => Record::Concluded(Concluded {
                answer: seal(Part::Answer, concluded.answer.clone()),
                calls: seal(Part::Compensations, concluded.calls.clone()),
                ..concluded
            }),
            Record::Sent { .. }
            | Record::Answered { .. }
            | Record::Told { .. }
            | Record::Heuristic { .. }
            | Record::Resolved(_)
            | Record::Ended
            | Record::Forgotten => record,
        };
        records.into_iter().map(seal_one).collect()
    }
}

/// What this process has sealed itself, or what was never sealed, since it was not to be written.
pub(crate) fn opened(config: &Config, id: Id, part: Part, stored: &Bytes) -> Bytes {
    if !sealing::is_sealed(stored) {
        return stored.clone();
    }
    match sealing::open(config.keyring.as_deref(), id, part, stored) {
        Ok(clear) => clear,
        Err(error) => unreachable!("{id}: what it has sealed itself does not open: {error}"),
    }
}

/// What stands in the journal of an open transaction: sealed where its plan has secrets, and nowhere else.
pub(crate) fn replayed(config: &Config, open: &Open, part: Part, stored: Bytes) -> Result<Bytes, Unopened> {
    match open.ready.seals() {
        true => sealing::open(config.keyring.as_deref(), open.core.id(), part, &stored),
        false => Ok(stored),
    }
}
