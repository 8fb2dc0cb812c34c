//! W3C trace context: the trace that a request belongs to, as it is sent and as it is kept with its transaction.

use crate::{Id, headers};
use bytes::Bytes;
use http::HeaderMap;
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use unanimo_protocol::fields::{self, Malformed};

/// How many bytes a `traceparent` has.
pub const PARENT_BYTES: usize = 55;

/// The longest `tracestate` that goes on with a transaction, in bytes: what everybody must be able to carry.
pub const STATE_LIMIT: usize = 512;

const SAMPLED: u8 = 0b01;
/// Says that the trace's id was drawn by chance, which others may rely on.
const RANDOM: u8 = 0b10;

/// A trace: its id, and what its flags say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: NonZeroU128,
    flags: u8,
}

/// One step of a trace: the `parent-id` of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(NonZeroU64);

/// A trace, and what its other members have to say about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: Trace,
    /// The value of `tracestate`: visible ASCII, at most [`STATE_LIMIT`] bytes.
    pub state: Option<Arc<str>>,
}

impl Trace {
    /// A trace that begins here. It is sampled: each service decides for itself what it keeps.
    pub fn new(id: u128) -> Trace {
        Trace { id: NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN), flags: SAMPLED }
    }

    /// The trace of a transaction whose client named none: its id is the transaction's own.
    pub fn of_transaction(transaction: Id) -> Trace {
        Trace::new(transaction.bits())
    }

    /// The trace that the request belongs to; `None` where it names none, or not by the rules: then it has to begin anew.
    pub fn of_request(headers: &HeaderMap) -> Option<Trace> {
        let mut lines = headers.get_all(headers::TRACEPARENT).iter();
        let trace = Trace::parse(lines.next()?.as_bytes())?;
        if lines.next().is_some() { None } else { Some(trace) }
    }

    /// Reads `version-id-parent-flags`. Of a later version the parts that are known count.
    fn parse(text: &[u8]) -> Option<Trace> {
        let (known, rest) = text.split_at_checked(PARENT_BYTES)?;
        let part = |from: usize, to: usize| hex(known.get(from..to)?);
        let version = part(0, 2)?;
        let ends_well = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let has_dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
        let _parent = NonZeroU128::new(part(36, 52)?)?;
        let (id, flags) = (NonZeroU128::new(part(3, 35)?)?, u8::try_from(part(53, 55)?).ok()?);
        (ends_well && has_dashes).then_some(Trace { id, flags: flags & (SAMPLED | RANDOM) })
    }

    /// The `traceparent` of what is sent in this step.
    pub fn parent(self, span: Span) -> [u8; PARENT_BYTES] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(&mut text[3..35], self.id.get());
        put_hex(&mut text[36..52], u128::from(span.0.get()));
        put_hex(&mut text[53..55], u128::from(self.flags));
        text
    }
}

impl fmt::Display for Trace {
    /// The id alone, as others show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.id)
    }
}

impl Span {
    /// The step with this number. Zero names no step, and is taken for 1.
    pub fn new(bits: u64) -> Span {
        Span(NonZeroU64::new(bits).unwrap_or(NonZeroU64::MIN))
    }
}

const TRACE_ID: u8 = 1;
const FLAGS: u8 = 2;
const STATE: u8 = 3;

impl TraceContext {
    /// What the request says of its trace; `None` where it has to begin anew.
    pub fn of_request(headers: &HeaderMap) -> Option<TraceContext> {
        let trace = Trace::of_request(headers)?;
        Some(TraceContext { trace, state: state(headers) })
    }

    /// The context as it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + self.state.as_ref().map_or(0, |state| state.len()));
        fields::put_bytes(&mut out, TRACE_ID, &self.trace.id.get().to_be_bytes());
        fields::put_number(&mut out, FLAGS, u64::from(self.trace.flags));
        if let Some(state) = &self.state {
            fields::put_bytes(&mut out, STATE, state.as_bytes());
        }
        out
    }

    /// Reads a stored context.
    pub fn decode(stored: Bytes) -> Result<TraceContext, Malformed> {
        let (mut id, mut flags, mut state) = (None, 0, None);
        for field in fields::read(stored) {
            let field = field?;
            match field.number {
                TRACE_ID => id = NonZeroU128::new(u128::from_be_bytes(field.array()?)),
                FLAGS => flags = field.small()?,
                STATE => state = Some(field.text()?.into()),
                unknown => return Err(Malformed::UnknownField(unknown)),
            }
        }
        let id = id.ok_or(Malformed::MissingField(TRACE_ID))?;
        Ok(TraceContext { trace: Trace { id, flags }, state })
    }
}

/// All lines of `tracestate` as one. Of a longer one the members that fit go on: the latest stand first.
fn state(headers: &HeaderMap) -> Option<Arc<str>> {
    let mut whole = String::new();
    for line in headers.get_all(headers::TRACESTATE) {
        let line = line.to_str().ok()?.trim();
        if !whole.is_empty() && !line.is_empty() {
            whole.push(',');
        }
        whole.push_str(line);
    }
    if whole.len() > STATE_LIMIT {
        // One byte more is looked at: a member that ends right at the limit fits.
        let end = whole.get(..=STATE_LIMIT)?.rfind(',')?;
        whole.truncate(end);
    }
    if whole.is_empty() { None } else { Some(whole.into()) }
}

/// The number that lower-case hexadecimal digits write.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn put_hex(out: &mut [u8], mut number: u128) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn named(parents: &[&str], states: &[&str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, lines) in [(headers::TRACEPARENT, parents), (headers::TRACESTATE, states)] {
            for line in lines {
                map.append(name, HeaderValue::from_str(line).unwrap());
            }
        }
        map
    }

    #[test]
    fn a_trace_goes_on_with_a_step_of_its_own() {
        let trace = Trace::of_request(&named(&[PARENT], &[])).unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let parent = String::from_utf8(trace.parent(Span::new(0xabc)).to_vec()).unwrap();
        assert_eq!(parent, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
        assert_eq!(Trace::of_request(&named(&[&parent], &[])), Some(trace));
    }

    #[test]
    fn flags_that_are_not_known_do_not_go_on() {
        for (said, goes_on) in [("00", "00"), ("01", "01"), ("03", "03"), ("ff", "03"), ("fc", "00")] {
            let trace = Trace::of_request(&named(&[&[&PARENT[..53], said].concat()], &[])).unwrap();
            assert!(trace.parent(Span::new(1)).ends_with(goes_on.as_bytes()), "{said}");
        }
    }

    #[test]
    fn what_breaks_the_rules_begins_anew() {
        let later = PARENT.replacen("00", "cc", 1);
        assert!(Trace::of_request(&named(&[&later], &[])).is_some());
        assert!(Trace::of_request(&named(&[&format!("{later}-what-comes")], &[])).is_some());
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        for bad in [
            "",
            zero_trace,
            zero_parent,
            &PARENT[..54],
            &PARENT.to_uppercase(),
            &PARENT.replace('-', "_"),
            &format!("{PARENT}-x"),
            &format!("{later}.x"),
            &PARENT.replacen("00", "ff", 1),
            &PARENT.replacen("00", "0x", 1),
        ] {
            assert_eq!(Trace::of_request(&named(&[bad], &[])), None, "{bad}");
        }
        assert_eq!(Trace::of_request(&named(&[PARENT, PARENT], &[])), None);
        assert_eq!(TraceContext::of_request(&named(&[], &["a=1"])), None);
    }

    #[test]
    fn what_others_say_is_one_line_of_bounded_length() {
        let state = |lines: &[&str]| TraceContext::of_request(&named(&[PARENT], lines)).unwrap().state;
        assert_eq!(state(&[]), None);
        assert_eq!(state(&["", " "]), None);
        assert_eq!(state(&["a=1,b=2", "", "c=3"]).as_deref(), Some("a=1,b=2,c=3"));
        let (first, long) = ("a".repeat(STATE_LIMIT), "b".repeat(STATE_LIMIT - 3));
        assert_eq!(state(&[&first]), Some(first.as_str().into()));
        assert_eq!(state(&[&first, "c"]), Some(first.as_str().into()));
        assert_eq!(state(&["a=1", &long, "c"]).as_deref(), Some("a=1"));
        assert_eq!(state(&[&format!("{first}a")]), None);
    }

    #[test]
    fn a_context_comes_back() {
        for states in [&[][..], &["a=1"]] {
            let context = TraceContext::of_request(&named(&[PARENT], states)).unwrap();
            assert_eq!(TraceContext::decode(context.encode().into()), Ok(context));
        }
        assert_eq!(TraceContext::decode(Bytes::new()), Err(Malformed::MissingField(TRACE_ID)));
    }

    #[test]
    fn the_trace_of_a_transaction_is_its_id() {
        let trace = Trace::of_transaction(Id::from_bits(0xab));
        assert_eq!(trace.to_string(), format!("{:032x}", 0xab));
        assert!(trace.parent(Span::new(0)).ends_with(b"-0000000000000001-01"));
    }
}
