//! A record as it is shown to people: what it says, and of what clients and participants said only how much it is.

use crate::operations::Word;
use crate::{Calls, ClientAnswer, Plan, sealing};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use unanimo_protocol::{BranchIndex, BranchSet, Cause, Record};

/// Of any one body or value at most so many bytes are shown.
pub const SHOWN_LIMIT: usize = 1024;

/// What is shown of paths, headers and bodies, which are clients' and participants' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// How many bytes they are.
    Masked,
    /// Themselves, up to [`SHOWN_LIMIT`].
    Shown,
}

/// The record's word, and its members. `plan` is what its transaction began with, where that is known.
pub fn record(record: &Record, plan: Option<&Plan>, bodies: Bodies) -> (&'static str, Map<String, Value>) {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    let word = match record {
        Record::Begun(begun) => {
            put("plan", Value::from(hex(&begun.plan.0)));
            put("route", json!(plan.map(|plan| &plan.route)));
            put("mode", json!(plan.map(|plan| &plan.mode)));
            put("keyed", Value::from(begun.key.is_some()));
            put("deadline_ms", json!(u64::try_from(begun.deadline.as_millis()).unwrap_or(u64::MAX)));
            put("began_unix_ms", Value::from(begun.began_unix_ms));
            put("waves", Value::from(begun.waves));
            put("calls", calls(&begun.calls, bodies));
            "begun"
        }
        Record::Wave(wave) => {
            put("calls", calls(&wave.calls, bodies));
            "wave"
        }
        Record::Concluded(concluded) => {
            put("verdict", Value::from(concluded.verdict.as_str()));
            put("cause", json!(concluded.cause.map(Cause::as_str)));
            put("branch", json!(concluded.cause.and_then(at_fault).map(|branch| name(plan, branch))));
            put("tell", names(plan, concluded.tell));
            put("answer", answer(&concluded.answer, bodies));
            if !concluded.calls.is_empty() {
                put("calls", calls(&concluded.calls, bodies));
            }
            "concluded"
        }
        Record::Acted { branch, outcome, answer } => {
            put("branch", name(plan, *branch));
            put("outcome", Value::from(outcome.to_string()));
            put("bytes", Value::from(answer.len()));
            if let Some(key) = sealing::key_of(answer) {
                put("sealed", Value::from(key));
            }
            "acted"
        }
        Record::Told { branch } => {
            put("branch", name(plan, *branch));
            "told"
        }
        Record::Heuristic { branch } => {
            put("branch", name(plan, *branch));
            "heuristic"
        }
        Record::Sent { branch, operation, attempt } => {
            put("branch", name(plan, *branch));
            put("operation", Value::from(operation.as_str()));
            put("attempt", Value::from(*attempt));
            "sent"
        }
        Record::Answered { branch, operation, outcome } => {
            put("branch", name(plan, *branch));
            put("operation", Value::from(operation.as_str()));
            put("outcome", Value::from(outcome.to_string()));
            "answered"
        }
        Record::Resolved(resolved) => {
            put("what", Value::from(resolved.what.as_str()));
            put("branch", json!(resolved.what.branch().map(|branch| name(plan, branch))));
            put("word", word_of(&resolved.word));
            "resolved"
        }
        Record::Ended => "ended",
        Record::Forgotten => "forgotten",
    };
    (word, members)
}

/// Who ended something by hand, why and when.
fn word_of(stored: &Bytes) -> Value {
    match Word::decode(stored.clone()) {
        Ok(Word { who, why, at_unix_ms }) => json!({ "who": who, "why": why, "at_unix_ms": at_unix_ms }),
        Err(error) => Value::from(format!("cannot be read: {error}")),
    }
}

fn at_fault(cause: Cause) -> Option<BranchIndex> {
    match cause {
        Cause::Refused(branch) | Cause::Unusable(branch) | Cause::Unanswered(branch) => Some(branch),
        Cause::Deadline | Cause::Interrupted | Cause::Unwritable | Cause::ByHand => None,
    }
}

/// The branch's name; its place, counted from 0, where the plan is not known.
fn name(plan: Option<&Plan>, branch: BranchIndex) -> Value {
    plan.and_then(|plan| plan.branch(branch))
        .map_or(Value::from(branch.0), |it| Value::from(it.name.as_str()))
}

fn names(plan: Option<&Plan>, branches: BranchSet) -> Value {
    branches.iter().map(|branch| name(plan, branch)).collect()
}

/// What is said of a sealed value: how much it is, and which key it needs.
fn sealed(stored: &Bytes) -> Option<Value> {
    sealing::key_of(stored).map(|key| json!({ "sealed": key, "bytes": stored.len() }))
}

fn calls(stored: &Bytes, bodies: Bodies) -> Value {
    if let Some(sealed) = sealed(stored) {
        return sealed;
    }
    let calls = match Calls::decode(stored.clone()) {
        Ok(calls) => calls,
        Err(error) => return Value::from(format!("cannot be read: {error}")),
    };
    let call = |call: &crate::RenderedCall| match bodies {
        Bodies::Masked => json!({ "bytes": call.size() }),
        Bodies::Shown => json!({
            "bytes": call.size(),
            "path": text(call.path.as_bytes()),
            "headers": pairs(&call.headers),
            "body": text(&call.body),
        }),
    };
    calls.branches.iter().map(call).collect()
}

fn answer(stored: &Bytes, bodies: Bodies) -> Value {
    if let Some(sealed) = sealed(stored) {
        return sealed;
    }
    let answer = match ClientAnswer::decode(stored.clone()) {
        Ok(answer) => answer,
        Err(error) => return Value::from(format!("cannot be read: {error}")),
    };
    match bodies {
        Bodies::Masked => json!({ "status": answer.status, "bytes": answer.body.len() }),
        Bodies::Shown => json!({
            "status": answer.status,
            "bytes": answer.body.len(),
            "headers": pairs(&answer.headers),
            "body": text(&answer.body),
        }),
    }
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!([name, text(value.as_bytes())])).collect()
}

/// The text, cut with `…` where it is long; what is no text becomes `�`.
fn text(bytes: &[u8]) -> Value {
    let cut = bytes.get(..SHOWN_LIMIT).unwrap_or(bytes);
    let more = if cut.len() < bytes.len() { "…" } else { "" };
    Value::from(format!("{}{more}", String::from_utf8_lossy(cut)))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RenderedCall;
    use unanimo_protocol::{Durability, Wave};

    fn wave(body: &[u8]) -> Record {
        let call =
            RenderedCall { path: "/p".into(), body: Bytes::copy_from_slice(body), ..RenderedCall::default() };
        let calls = Calls { branches: vec![call], ..Calls::default() }.encode();
        Record::Wave(Wave { calls, durability: Durability::Forced })
    }

    #[test]
    fn bodies_are_masked_unless_they_are_asked_for() {
        let (word, masked) = record(&wave(b"hidden"), None, Bodies::Masked);
        assert_eq!((word, masked["calls"].to_string()), ("wave", "[{\"bytes\":8}]".to_owned()));
        let (_, shown) = record(&wave(b"hidden"), None, Bodies::Shown);
        assert_eq!(shown["calls"][0]["body"], "hidden");
    }

    #[test]
    fn what_is_sealed_stays_so_whatever_is_asked_for() {
        use crate::sealing::{Keyring, Nonces, Part};
        use crate::{Epoch, Id, Node, Shard};
        let ring = Keyring::new([("k1".to_owned(), [1; 32])], "k1").unwrap();
        let Record::Wave(clear) = wave(b"hidden") else { unreachable!() };
        let calls = ring.seal(
            &mut Nonces::new([2; 32]),
            Id::new(Node(1), Shard(2), Epoch(3), 4, 5),
            Part::Wave,
            &clear.calls,
        );
        let bytes = calls.len();
        let (_, shown) = record(&Record::Wave(Wave { calls, ..clear }), None, Bodies::Shown);
        assert_eq!(shown["calls"], json!({ "sealed": "k1", "bytes": bytes }));
    }

    #[test]
    fn a_long_body_is_cut() {
        let (_, shown) = record(&wave(&[b'a'; SHOWN_LIMIT + 1]), None, Bodies::Shown);
        assert_eq!(
            shown["calls"][0]["body"].as_str().map(|text| text.chars().count()),
            Some(SHOWN_LIMIT + 1)
        );
    }
}
