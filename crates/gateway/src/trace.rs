//! The trace that a request of a plain route belongs to: it goes on with a step of the gateway's own.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use unanimo_contract::headers;
use unanimo_contract::trace::{Span, Trace};

const TRACEPARENT: HeaderName = HeaderName::from_static(headers::TRACEPARENT);
const TRACESTATE: HeaderName = HeaderName::from_static(headers::TRACESTATE);

/// Writes the gateway's step into a request that is to be sent. A trace that the client did not name, or not by the
/// rules, begins here.
pub(crate) fn step(headers: &mut HeaderMap) -> Trace {
    let trace = Trace::of_request(headers).unwrap_or_else(|| {
        // What is said of another trace, or of none, says nothing of this one.
        headers.remove(TRACESTATE);
        Trace::new(fastrand::u128(1..))
    });
    if let Ok(parent) = HeaderValue::from_bytes(&trace.parent(Span::new(fastrand::u64(1..)))) {
        headers.insert(TRACEPARENT, parent);
    }
    trace
}
