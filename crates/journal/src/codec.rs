//! Records as bytes: entries of `transaction (16) · kind (1) · length (4) · body`, a body in numbered fields.
//!
//! A kind or a field that this version does not know is refused, never skipped: it may have changed what the rest
//! means.

use bytes::Bytes;
use std::fmt;
use std::time::Duration;
use unanimo_protocol::fields::{self, Field, Malformed, put_bytes, put_number};
use unanimo_protocol::{
    Begun, BranchIndex, BranchSet, Cause, Concluded, Digest, Durability, Id, Key, Outcome, Record,
    Resolution, Resolved, Settled, Token, Verdict, Wave,
};

/// Bytes of an entry before its body.
pub(crate) const ENTRY_HEADER: usize = 16 + 1 + 4;

/// More than the numbers of any one record need, its byte strings left out.
const FIXED_FIELDS: usize = 192;

const PLAN: u8 = 1;
const BEGUN: u8 = 2;
const CONCLUDED: u8 = 3;
const TOLD: u8 = 4;
const HEURISTIC: u8 = 5;
const ENDED: u8 = 6;
const WAVE: u8 = 7;
const ACTED: u8 = 8;
const RESOLVED: u8 = 9;

/// One thing that the journal remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A plan that transactions of this segment name.
    Plan {
        /// The hash by which they name it.
        digest: Digest,
        /// What it says. Opaque here.
        bytes: Bytes,
    },
    /// A record, as durable as it has to be.
    Record(Settled),
}

/// Why an entry of an intact batch cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// An entry goes on beyond its batch.
    CutShort,
    /// No such kind of entry.
    UnknownKind(u8),
    /// A kind that the format version of its segment does not have.
    LaterKind(u8, u32),
    /// Its fields say something else than they may.
    Malformed(Malformed),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::CutShort => f.write_str("an entry goes on beyond its batch"),
            Unreadable::UnknownKind(kind) => {
                write!(f, "an entry has kind {kind}, this program knows kinds {PLAN} to {RESOLVED}")
            }
            Unreadable::LaterKind(kind, version) => {
                write!(f, "an entry has kind {kind}, which format version {version} does not have")
            }
            Unreadable::Malformed(malformed) => write!(f, "in an entry, {malformed}"),
        }
    }
}

impl std::error::Error for Unreadable {}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Unreadable {
        Unreadable::Malformed(malformed)
    }
}

/// At most so many bytes will an entry of this record need.
pub(crate) fn bound(record: &Record) -> usize {
    let strings = match record {
        Record::Begun(begun) => begun.calls.len(),
        Record::Wave(wave) => wave.calls.len(),
        Record::Acted { answer, .. } => answer.len(),
        Record::Concluded(concluded) => concluded.answer.len() + concluded.calls.len(),
        Record::Resolved(resolved) => resolved.word.len(),
        _ => 0,
    };
    ENTRY_HEADER + FIXED_FIELDS + strings
}

/// At most so many bytes will an entry of this plan need.
pub(crate) fn plan_bound(plan: &[u8]) -> usize {
    ENTRY_HEADER + FIXED_FIELDS + plan.len()
}

/// Appends a plan's entry.
pub(crate) fn put_plan(out: &mut Vec<u8>, transaction: Id, digest: Digest, plan: &[u8]) {
    put_entry(out, transaction, PLAN, |out| {
        put_bytes(out, 1, &digest.0);
        put_bytes(out, 2, plan);
    });
}

/// Appends a record's entry; a volatile record has none.
pub(crate) fn put_record(out: &mut Vec<u8>, transaction: Id, record: &Record) {
    match record {
        Record::Begun(begun) => put_entry(out, transaction, BEGUN, |out| put_begun(out, begun)),
        Record::Wave(wave) => put_entry(out, transaction, WAVE, |out| put_bytes(out, 1, &wave.calls)),
        Record::Acted { branch, outcome, answer } => put_entry(out, transaction, ACTED, |out| {
            put_number(out, 1, branch.0.into());
            put_number(out, 2, u64::from(*outcome == Outcome::ReadOnly));
            put_bytes(out, 3, answer);
        }),
        Record::Concluded(concluded) => {
            put_entry(out, transaction, CONCLUDED, |out| put_concluded(out, concluded));
        }
        Record::Told { branch } => {
            put_entry(out, transaction, TOLD, |out| put_number(out, 1, branch.0.into()));
        }
        Record::Heuristic { branch } => {
            put_entry(out, transaction, HEURISTIC, |out| put_number(out, 1, branch.0.into()));
        }
        Record::Resolved(resolved) => {
            put_entry(out, transaction, RESOLVED, |out| put_resolved(out, resolved));
        }
        Record::Ended => put_entry(out, transaction, ENDED, |_| ()),
        Record::Sent { .. } | Record::Answered { .. } | Record::Forgotten => {}
    }
}

fn put_entry(out: &mut Vec<u8>, transaction: Id, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&transaction.bits().to_le_bytes());
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = (out.len() - at - 4) as u32; // A batch is smaller than a segment, which is at most 1 GiB.
    out[at..at + 4].copy_from_slice(&len.to_le_bytes());
}

fn put_begun(out: &mut Vec<u8>, begun: &Begun) {
    put_number(out, 1, begun.token.0);
    put_bytes(out, 2, &begun.plan.0);
    if let Some(key) = &begun.key {
        put_bytes(out, 3, &key.scope.0);
        put_bytes(out, 4, &key.fingerprint.0);
    }
    put_number(out, 5, u64::try_from(begun.deadline.as_nanos()).unwrap_or(u64::MAX));
    put_number(out, 6, begun.began_unix_ms);
    put_bytes(out, 7, &begun.calls);
    put_number(out, 8, begun.waves.into());
}

fn put_concluded(out: &mut Vec<u8>, concluded: &Concluded) {
    put_number(out, 1, u64::from(concluded.verdict == Verdict::Commit));
    match concluded.cause {
        None => {}
        Some(Cause::Refused(branch)) => {
            put_number(out, 2, 1);
            put_number(out, 3, branch.0.into());
        }
        Some(Cause::Deadline) => put_number(out, 2, 2),
        Some(Cause::Interrupted) => put_number(out, 2, 3),
        Some(Cause::Unwritable) => put_number(out, 2, 5),
        Some(Cause::ByHand) => put_number(out, 2, 7),
        Some(Cause::Unusable(branch)) => {
            put_number(out, 2, 4);
            put_number(out, 3, branch.0.into());
        }
        Some(Cause::Unanswered(branch)) => {
            put_number(out, 2, 6);
            put_number(out, 3, branch.0.into());
        }
    }
    put_number(out, 4, concluded.tell.bits().into());
    put_bytes(out, 5, &concluded.answer);
    put_number(out, 6, u64::from(concluded.durability == Durability::Forced));
    if !concluded.calls.is_empty() {
        put_bytes(out, 7, &concluded.calls);
    }
}

fn put_resolved(out: &mut Vec<u8>, resolved: &Resolved) {
    let what = match resolved.what {
        Resolution::SignOff(_) => 1,
        Resolution::Told(_) => 2,
        Resolution::Choose(Verdict::Commit) => 3,
        Resolution::Choose(Verdict::Rollback) => 4,
        Resolution::Release => 5,
    };
    put_number(out, 1, what);
    if let Some(branch) = resolved.what.branch() {
        put_number(out, 2, branch.0.into());
    }
    put_bytes(out, 3, &resolved.word);
}

/// The last kind that a format version has.
fn last_kind(version: u32) -> u8 {
    if version == 1 { WAVE } else { u8::MAX }
}

/// Takes the entry at `at` of a segment of this format version, and says where the next one stands.
pub(crate) fn take_entry(payload: &[u8], at: usize, version: u32) -> Result<(Id, Entry, usize), Unreadable> {
    let header = payload.get(at..at + ENTRY_HEADER).ok_or(Unreadable::CutShort)?;
    let (id, rest) = header.split_first_chunk::<16>().ok_or(Unreadable::CutShort)?;
    let (kind, len) = rest.split_first().ok_or(Unreadable::CutShort)?;
    if *kind > last_kind(version) {
        return Err(Unreadable::LaterKind(*kind, version));
    }
    let len = u32::from_le_bytes(len.try_into().map_err(|_| Unreadable::CutShort)?) as usize;
    let start = at + ENTRY_HEADER;
    let body = payload.get(start..start + len).ok_or(Unreadable::CutShort)?;
    // A copy: what stays of one entry shall not keep a whole segment in memory.
    let entry = read_entry(*kind, Bytes::copy_from_slice(body))?;
    Ok((Id::from_bits(u128::from_le_bytes(*id)), entry, start + len))
}

fn read_entry(kind: u8, body: Bytes) -> Result<Entry, Unreadable> {
    let record = match kind {
        PLAN => return Ok(read_plan(body)?),
        BEGUN => Record::Begun(read_begun(body)?),
        WAVE => Record::Wave(read_wave(body)?),
        ACTED => read_acted(body)?,
        CONCLUDED => Record::Concluded(read_concluded(body)?),
        TOLD => Record::Told { branch: read_branch(body)? },
        HEURISTIC => Record::Heuristic { branch: read_branch(body)? },
        RESOLVED => Record::Resolved(read_resolved(body)?),
        ENDED => match fields::read(body).next() {
            None => Record::Ended,
            Some(field) => return Err(Malformed::UnknownField(field?.number).into()),
        },
        _ => return Err(Unreadable::UnknownKind(kind)),
    };
    Ok(Entry::Record(Settled::journaled(record)))
}

fn read_plan(body: Bytes) -> Result<Entry, Malformed> {
    let (mut digest, mut bytes) = (None, None);
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => digest = Some(Digest(field.array()?)),
            2 => bytes = Some(field.value),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    Ok(Entry::Plan {
        digest: digest.ok_or(Malformed::MissingField(1))?,
        bytes: bytes.ok_or(Malformed::MissingField(2))?,
    })
}

fn read_begun(body: Bytes) -> Result<Begun, Malformed> {
    let (mut token, mut plan, mut scope, mut fingerprint) = (None, None, None, None);
    let (mut deadline, mut began_unix_ms, mut calls, mut waves) = (None, None, None, None);
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => token = Some(Token(field.number_value()?)),
            2 => plan = Some(Digest(field.array()?)),
            3 => scope = Some(Digest(field.array()?)),
            4 => fingerprint = Some(Digest(field.array()?)),
            5 => deadline = Some(Duration::from_nanos(field.number_value()?)),
            6 => began_unix_ms = Some(field.number_value()?),
            7 => calls = Some(field.value),
            8 => waves = Some(waves_of(&field)?),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    let key = match (scope, fingerprint) {
        (None, None) => None,
        (Some(scope), Some(fingerprint)) => Some(Key { scope, fingerprint }),
        (None, Some(_)) => return Err(Malformed::MissingField(3)),
        (Some(_), None) => return Err(Malformed::MissingField(4)),
    };
    Ok(Begun {
        token: token.ok_or(Malformed::MissingField(1))?,
        plan: plan.ok_or(Malformed::MissingField(2))?,
        key,
        deadline: deadline.ok_or(Malformed::MissingField(5))?,
        began_unix_ms: began_unix_ms.ok_or(Malformed::MissingField(6))?,
        waves: waves.ok_or(Malformed::MissingField(8))?,
        calls: calls.ok_or(Malformed::MissingField(7))?,
        durability: Durability::Forced,
    })
}

fn read_wave(body: Bytes) -> Result<Wave, Malformed> {
    let mut calls = None;
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => calls = Some(field.value),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    Ok(Wave { calls: calls.ok_or(Malformed::MissingField(1))?, durability: Durability::Forced })
}

fn read_acted(body: Bytes) -> Result<Record, Malformed> {
    let (mut acted, mut outcome, mut answer) = (None, None, None);
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => acted = Some(branch(&field)?),
            2 => outcome = Some(if flag(&field)? { Outcome::ReadOnly } else { Outcome::Done }),
            3 => answer = Some(field.value),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    Ok(Record::Acted {
        branch: acted.ok_or(Malformed::MissingField(1))?,
        outcome: outcome.ok_or(Malformed::MissingField(2))?,
        answer: answer.ok_or(Malformed::MissingField(3))?,
    })
}

fn read_concluded(body: Bytes) -> Result<Concluded, Malformed> {
    let (mut verdict, mut why, mut fault) = (None, None, None);
    let (mut tell, mut answer, mut durability, mut calls) = (None, None, None, None);
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => verdict = Some(if flag(&field)? { Verdict::Commit } else { Verdict::Rollback }),
            2 => why = Some(field.number_value()?),
            3 => fault = Some(branch(&field)?),
            4 => tell = Some(BranchSet::from_bits(field.small()?)),
            5 => answer = Some(field.value),
            6 => durability = Some(if flag(&field)? { Durability::Forced } else { Durability::Lazy }),
            7 => calls = Some(field.value),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    let cause = match (why, fault) {
        (None, None) => None,
        (Some(1), Some(branch)) => Some(Cause::Refused(branch)),
        (Some(4), Some(branch)) => Some(Cause::Unusable(branch)),
        (Some(6), Some(branch)) => Some(Cause::Unanswered(branch)),
        (Some(1 | 4 | 6), None) => return Err(Malformed::MissingField(3)),
        (Some(2), None) => Some(Cause::Deadline),
        (Some(3), None) => Some(Cause::Interrupted),
        (Some(5), None) => Some(Cause::Unwritable),
        (Some(7), None) => Some(Cause::ByHand),
        _ => return Err(Malformed::BadValue(2)),
    };
    Ok(Concluded {
        verdict: verdict.ok_or(Malformed::MissingField(1))?,
        cause,
        tell: tell.ok_or(Malformed::MissingField(4))?,
        answer: answer.ok_or(Malformed::MissingField(5))?,
        calls: calls.unwrap_or_default(),
        durability: durability.ok_or(Malformed::MissingField(6))?,
    })
}

fn read_resolved(body: Bytes) -> Result<Resolved, Malformed> {
    let (mut what, mut at, mut word) = (None, None, None);
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => what = Some(field.number_value()?),
            2 => at = Some(branch(&field)?),
            3 => word = Some(field.value),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    let what = match (what.ok_or(Malformed::MissingField(1))?, at) {
        (1, Some(branch)) => Resolution::SignOff(branch),
        (2, Some(branch)) => Resolution::Told(branch),
        (1 | 2, None) => return Err(Malformed::MissingField(2)),
        (3, None) => Resolution::Choose(Verdict::Commit),
        (4, None) => Resolution::Choose(Verdict::Rollback),
        (5, None) => Resolution::Release,
        _ => return Err(Malformed::BadValue(1)),
    };
    Ok(Resolved { what, word: word.ok_or(Malformed::MissingField(3))? })
}

fn read_branch(body: Bytes) -> Result<BranchIndex, Malformed> {
    let mut found = None;
    for field in fields::read(body) {
        let field = field?;
        match field.number {
            1 => found = Some(branch(&field)?),
            other => return Err(Malformed::UnknownField(other)),
        }
    }
    found.ok_or(Malformed::MissingField(1))
}

fn branch(field: &Field) -> Result<BranchIndex, Malformed> {
    let branch = BranchIndex(field.small()?);
    if branch.at() < BranchSet::CAPACITY { Ok(branch) } else { Err(Malformed::BadValue(field.number)) }
}

fn waves_of(field: &Field) -> Result<u8, Malformed> {
    match field.small()? {
        0 => Err(Malformed::BadValue(field.number)),
        waves => Ok(waves),
    }
}

fn flag(field: &Field) -> Result<bool, Malformed> {
    match field.number_value()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed::BadValue(field.number)),
    }
}
