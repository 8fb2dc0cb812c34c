//! Tells a torn tail from damage.
//!
//! A batch that was being written when the machine stopped may be there in part: nobody was told of it, and it is
//! cut. A batch that was durable and is unreadable is damage: to start without it would forget decisions. Sectors of
//! one unsynced batch reach the disk in any order, so that a readable piece behind an unreadable one proves nothing;
//! only a whole batch that was written when the unreadable one was known to be durable does.

use crate::Position;
use crate::layout::{BatchHeader, SegmentHeader};
use memchr::memmem;
use unanimo_protocol::planted::{Mistake, planted};

/// How the batches of a segment come to their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing was written here.
    Clean,
    /// Something was, and was not synced.
    Torn,
    /// Something was durable here.
    Damaged(String),
}

/// Judges what stands from `at` on, where batch `expected` should be and is not readable. `bytes` are the whole
/// segment, and no segment follows; `durable` is the last batch that the manifest calls durable.
pub(crate) fn judge(
    bytes: &[u8],
    at: usize,
    expected: Position,
    header: &SegmentHeader,
    durable: Position,
) -> Tail {
    if expected <= durable {
        return Tail::Damaged(format!(
            "batch {} is not readable, but the manifest says that batch {} was durable",
            expected.0, durable.0
        ));
    }
    let rest = &bytes[at..];
    let witness = memmem::find_iter(rest, &BatchHeader::mark(header.salt))
        .filter_map(|hit| Some((hit, BatchHeader::open(&rest[hit..], header.salt)?.0)))
        .find(|(_, batch)| batch.synced_up_to >= expected && !planted(Mistake::DamageIsTorn));
    match witness {
        Some((hit, batch)) => Tail::Damaged(format!(
            "batch {} is not readable, but batch {} at byte {} was written when it was durable",
            expected.0,
            batch.number.0,
            at + hit
        )),
        None if rest.iter().all(|byte| *byte == 0) => Tail::Clean,
        None if planted(Mistake::TornIsDamage) => Tail::Damaged("something stands here".to_owned()),
        None => Tail::Torn,
    }
}
