//! What is only shown of a transaction, as bytes: its timeline, and what was said to and by each branch.
//!
//! Numbered fields, as everything that is stored. Bodies are cut to [`Body::LIMIT`] each and to [`BODIES_LIMIT`] in all;
//! how long they were is kept.

use super::numbers;
use bytes::Bytes;
use std::sync::Arc;
use unanimo_contract::operations::{Asked, Body, Exchange, Heard, Moment, MomentKind, Timeline, Word};
use unanimo_contract::{BranchIndex, Operation, Outcome, Verdict};
use unanimo_protocol::fields::{self, Field, Malformed, put_bytes, put_number};

/// The most bytes of bodies that one transaction keeps.
pub(crate) const BODIES_LIMIT: usize = 16 * 1024;

const MOMENT: u8 = 1;
const LEFT_OUT: u8 = 2;
const BRANCH: u8 = 3;

/// Writes both, oldest moment first, and branches in the order of their plan.
pub(crate) fn encode(timeline: &Timeline, exchanges: &[Exchange]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut one = Vec::with_capacity(256);
    for moment in timeline.moments() {
        one.clear();
        put_moment(&mut one, moment);
        put_bytes(&mut out, MOMENT, &one);
    }
    if timeline.left_out() > 0 {
        put_number(&mut out, LEFT_OUT, timeline.left_out().into());
    }
    let mut room = BODIES_LIMIT;
    for exchange in exchanges {
        one.clear();
        put_exchange(&mut one, exchange, &mut room);
        put_bytes(&mut out, BRANCH, &one);
    }
    out
}

/// Reads both.
pub(crate) fn decode(stored: Bytes) -> Result<(Timeline, Vec<Exchange>), Malformed> {
    let (mut moments, mut left_out, mut exchanges) = (Vec::new(), 0, Vec::new());
    for field in fields::read(stored) {
        let field = field?;
        match field.number {
            MOMENT => moments.push(take_moment(field.value)?),
            LEFT_OUT => left_out = field.small()?,
            BRANCH => exchanges.push(take_exchange(field.value)?),
            unknown => return Err(Malformed::UnknownField(unknown)),
        }
    }
    Ok((Timeline::from_parts(moments, left_out), exchanges))
}

fn put_moment(out: &mut Vec<u8>, moment: &Moment) {
    let place = MomentKind::ALL.iter().position(|kind| *kind == moment.kind).unwrap_or_default();
    put_number(out, 1, place as u64);
    let mut put = |number, value: Option<u64>| {
        if let Some(value) = value {
            put_number(out, number, value);
        }
    };
    put(2, moment.at_unix_ms);
    put(3, moment.branch.map(|branch| branch.0.into()));
    put(4, moment.operation.map(|operation| place_of(&Operation::ALL, &operation)));
    put(5, moment.attempt.map(u64::from));
    put(6, moment.outcome.map(|outcome| place_of(&Outcome::ALL, &outcome)));
    put(7, moment.status.map(u64::from));
    put(8, moment.verdict.map(|verdict| u64::from(verdict == Verdict::Commit)));
    let cause = moment.cause.map(numbers::of_cause);
    put(9, cause.map(|(cause, _)| cause.into()));
    put(10, cause.and_then(|(_, branch)| branch).map(u64::from));
    put(11, moment.resolution.map(numbers::of_resolution));
    if let Some(word) = &moment.word {
        put_bytes(out, 12, &word.encode());
    }
}

fn take_moment(stored: Bytes) -> Result<Moment, Malformed> {
    let mut moment = Moment::of(MomentKind::Begun, None);
    let (mut cause, mut fault, mut resolution) = (None, None, None);
    for field in fields::read(stored) {
        let field = field?;
        match field.number {
            1 => moment.kind = at_place(&MomentKind::ALL, &field)?,
            2 => moment.at_unix_ms = Some(field.number_value()?),
            3 => moment.branch = Some(BranchIndex(field.small()?)),
            4 => moment.operation = Some(at_place(&Operation::ALL, &field)?),
            5 => moment.attempt = Some(field.small()?),
            6 => moment.outcome = Some(at_place(&Outcome::ALL, &field)?),
            7 => moment.status = Some(field.small()?),
            8 => {
                let commit = field.number_value()? == 1;
                moment.verdict = Some(if commit { Verdict::Commit } else { Verdict::Rollback });
            }
            9 => cause = Some(field.small()?),
            10 => fault = Some(field.small()?),
            11 => resolution = Some(field.number_value()?),
            12 => moment.word = Some(Arc::new(Word::decode(field.value)?)),
            unknown => return Err(Malformed::UnknownField(unknown)),
        }
    }
    moment.cause = cause.and_then(|cause| numbers::cause(cause, fault));
    moment.resolution = resolution.and_then(|what| numbers::resolution(what, moment.branch));
    Ok(moment)
}

fn put_exchange(out: &mut Vec<u8>, exchange: &Exchange, room: &mut usize) {
    if let Some(asked) = &exchange.asked {
        put_bytes(out, 1, asked.path.as_bytes());
        for (name, value) in &asked.headers {
            put_bytes(out, 2, name.as_bytes());
            put_bytes(out, 3, value.as_bytes());
        }
        put_body(out, 4, &asked.body, room);
    }
    if let Some(heard) = &exchange.heard {
        put_number(out, 6, place_of(&Operation::ALL, &heard.operation));
        if let Some(status) = heard.status {
            put_number(out, 7, status.into());
        }
        if let Some(content_type) = &heard.content_type {
            put_bytes(out, 8, content_type.as_bytes());
        }
        if let Some(body) = &heard.body {
            put_body(out, 9, body, room);
        }
    }
}

/// The body in one field and its whole size in the next. Everything of a body that history keeps comes by here.
fn put_body(out: &mut Vec<u8>, number: u8, body: &Body, room: &mut usize) {
    let kept = body.bytes.len().min(Body::LIMIT).min(*room);
    *room -= kept;
    put_bytes(out, number, &body.bytes[..kept]);
    put_number(out, number + 1, body.size as u64);
}

fn take_exchange(stored: Bytes) -> Result<Exchange, Malformed> {
    let mut exchange = Exchange::default();
    let empty =
        || Asked { path: String::new(), headers: Vec::new(), body: Body { bytes: Bytes::new(), size: 0 } };
    for field in fields::read(stored) {
        let field = field?;
        match field.number {
            1 => exchange.asked = Some(Asked { path: field.text()?.to_owned(), ..empty() }),
            2..=5 => {
                let asked = exchange.asked.as_mut().ok_or(Malformed::MissingField(1))?;
                match field.number {
                    2 => asked.headers.push((field.text()?.to_owned(), String::new())),
                    3 => {
                        let header = asked.headers.last_mut().ok_or(Malformed::MissingField(2))?;
                        field.text()?.clone_into(&mut header.1);
                    }
                    4 => asked.body.bytes = field.value,
                    _ => asked.body.size = field.small()?,
                }
            }
            6 => {
                let operation = at_place(&Operation::ALL, &field)?;
                exchange.heard = Some(Heard { operation, status: None, content_type: None, body: None });
            }
            7..=10 => {
                let heard = exchange.heard.as_mut().ok_or(Malformed::MissingField(6))?;
                match field.number {
                    7 => heard.status = Some(field.small()?),
                    8 => heard.content_type = Some(field.text()?.to_owned()),
                    9 => heard.body = Some(Body { bytes: field.value, size: 0 }),
                    _ => heard.body.as_mut().ok_or(Malformed::MissingField(9))?.size = field.small()?,
                }
            }
            unknown => return Err(Malformed::UnknownField(unknown)),
        }
    }
    Ok(exchange)
}

/// Words stand as their place in the list of all: lists only ever grow at their end.
fn place_of<T: PartialEq>(all: &[T], word: &T) -> u64 {
    all.iter().position(|known| known == word).unwrap_or_default() as u64
}

fn at_place<T: Copy>(all: &[T], field: &Field) -> Result<T, Malformed> {
    all.get(field.small::<usize>()?).copied().ok_or(Malformed::BadValue(field.number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use unanimo_protocol::{Cause, Resolution};

    #[test]
    fn what_was_stored_comes_back_and_bodies_are_cut() {
        let of = |kind| Moment::of(kind, Some(1_700_000_000_000));
        let word = Word { who: "ann".into(), why: "it was paid".into(), at_unix_ms: 7 };
        let mut timeline = Timeline::default();
        timeline.push(of(MomentKind::Begun));
        let (branch, operation) = (Some(BranchIndex(3)), Some(Operation::Prepare));
        timeline.push(Moment { branch, operation, attempt: Some(2), ..of(MomentKind::Sent) });
        let (outcome, status) = (Some(Outcome::Refused), Some(409));
        timeline.push(Moment { branch, operation, outcome, status, ..of(MomentKind::Answered) });
        let cause = Some(Cause::Refused(BranchIndex(3)));
        timeline.push(Moment { verdict: Some(Verdict::Rollback), cause, ..of(MomentKind::Verdict) });
        let resolution = Some(Resolution::Told(BranchIndex(3)));
        timeline.push(Moment { branch, resolution, word: Some(Arc::new(word)), ..of(MomentKind::Resolved) });
        let body = |size| Body { bytes: Bytes::from(vec![b'a'; size]), size };
        let headers = vec![("x-a".to_owned(), "b".to_owned()), ("x-c".to_owned(), String::new())];
        let asked = Some(Asked { path: "/debits".into(), headers, body: body(10) });
        let heard = |size| {
            let operation = Operation::Commit;
            Some(Heard {
                operation,
                status: Some(200),
                content_type: Some("a/b".into()),
                body: Some(body(size)),
            })
        };
        let exchanges = vec![Exchange { asked, heard: heard(3) }, Exchange::default()];
        let stored = encode(&timeline, &exchanges);
        assert_eq!(decode(stored.into()), Ok((timeline.clone(), exchanges)));
        let long: Vec<Exchange> = (0..8).map(|_| Exchange { asked: None, heard: heard(5000) }).collect();
        let (_, back) = decode(encode(&timeline, &long).into()).unwrap();
        let kept: Vec<&Body> = back.iter().filter_map(|e| e.heard.as_ref()?.body.as_ref()).collect();
        assert!(kept.iter().all(|body| body.size == 5000 && body.bytes.len() <= Body::LIMIT));
        assert_eq!(kept.iter().map(|body| body.bytes.len()).sum::<usize>(), BODIES_LIMIT);
    }
}
