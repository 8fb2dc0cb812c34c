//! What can go wrong for a client, with stable names: `application/problem+json`.
//!
//! Each type has a page of its own under `docs/problems/`, which says whose fault it is, whether to try again, and
//! what to do now.

use crate::{ClientAnswer, Id};
use bytes::Bytes;
use serde_json::{Map, Value};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! problems {
    ($($(#[doc = $doc:literal])+ $name:ident $status:literal $slug:literal $title:literal,)+) => {
        /// A kind of problem. The names are part of the interface: they never change their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Problem { $($(#[doc = $doc])+ $name,)+ }

        impl Problem {
            /// Every kind of problem.
            pub const ALL: &[Problem] = &[$(Problem::$name,)+];

            /// The stable name.
            pub fn slug(self) -> &'static str {
                match self { $(Problem::$name => $slug,)+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(Problem::$name => $status,)+ }
            }

            /// One line for people.
            pub fn title(self) -> &'static str {
                match self { $(Problem::$name => $title,)+ }
            }

            /// The page that explains it.
            pub fn page(self) -> &'static str {
                match self { $(Problem::$name => include_str!(concat!("../../../docs/problems/", $slug, ".md")),)+ }
            }
        }
    };
}

problems! {
    /// A participant said no; nothing took effect.
    Refused 409 "refused" "A service refused its share; nothing took effect",
    /// A request with this idempotency key is still running.
    InProgress 409 "in-progress" "A request with this key is still running",
    /// The gateway crashed before it had decided; nothing took effect.
    Interrupted 409 "interrupted" "The gateway restarted before it had decided; nothing took effect",
    /// The idempotency key was used for another request.
    KeyReused 422 "key-reused" "This key was used for another request",
    /// The request lacks a value that the route needs, or holds one that it cannot use.
    Unrenderable 422 "unrenderable" "The request lacks a value that this route needs",
    /// Not every participant voted in time; nothing took effect.
    Deadline 504 "deadline" "The services did not answer in time; nothing took effect",
    /// A service did not answer as often as it may be asked; nothing took effect.
    Unanswered 504 "unanswered" "A service did not answer, however often it was asked; nothing took effect",
    /// A participant's answer lacks a value that another call needs; nothing took effect.
    UnusableAnswer 502 "unusable-answer" "A service's answer could not be used; nothing took effect",
    /// Too much is open or in use; nothing was begun.
    Overloaded 503 "overloaded" "The gateway is at its limit; nothing was begun",
    /// The gateway cannot begin anything now; nothing was begun.
    NotReady 503 "not-ready" "The gateway cannot begin anything now; nothing was begun",
    /// A participant ended its share against the verdict. A person has to look.
    Heuristic 500 "heuristic" "A service ended its share against the verdict",
    /// No route takes this request.
    NoRoute 404 "no-route" "No route takes this request",
    /// The path has routes, but none for this method.
    MethodNotAllowed 405 "method-not-allowed" "This path does not take this method",
    /// The request breaks HTTP's own rules or this gateway's normal form.
    BadRequest 400 "bad-request" "The request is malformed",
    /// The request or a call that it leads to is larger than allowed.
    TooLarge 413 "too-large" "The request is too large",
    /// The request's body did not come in time.
    RequestTimeout 408 "request-timeout" "The request did not come in time",
    /// The service behind a plain route cannot be reached, or broke off.
    BadGateway 502 "bad-gateway" "The service could not be reached, or broke off",
    /// The service behind a plain route did not answer in time.
    GatewayTimeout 504 "gateway-timeout" "The service did not answer in time",
    /// Something that this gateway does not do.
    NotImplemented 501 "not-implemented" "This gateway does not do that",
    /// A mistake of the gateway's own.
    Internal 500 "internal" "The gateway made a mistake",
    /// What an operator wanted to end by hand cannot be, as things stand.
    Unresolvable 409 "unresolvable" "This cannot be ended by hand as things stand",
    /// No such transaction, or the token does not fit. Never: rolled back.
    UnknownTransaction 404 "unknown-transaction" "This transaction is not known here",
}

/// The path under which the pages are served, and which a problem's `type` points to.
pub const PAGES: &str = "/problems/";

impl Problem {
    /// The kind of this name.
    pub fn by_slug(slug: &str) -> Option<Problem> {
        Problem::ALL.iter().copied().find(|problem| problem.slug() == slug)
    }

    /// An answer that tells a client of it. `detail` says what happened this time, in a sentence.
    pub fn answer(self, detail: &str) -> ClientAnswer {
        self.answer_for(None, None, detail)
    }

    /// The same, naming the transaction and the branch at fault.
    pub fn answer_for(self, transaction: Option<Id>, branch: Option<&str>, detail: &str) -> ClientAnswer {
        let mut members = Map::new();
        members.insert("type".into(), Value::from(format!("{PAGES}{}", self.slug())));
        members.insert("title".into(), Value::from(self.title()));
        members.insert("status".into(), Value::from(self.status()));
        members.insert("detail".into(), Value::from(detail));
        if let Some(transaction) = transaction {
            members.insert("transaction".into(), Value::from(transaction.to_string()));
        }
        if let Some(branch) = branch {
            members.insert("branch".into(), Value::from(branch));
        }
        ClientAnswer {
            status: self.status(),
            headers: vec![("content-type".into(), MEDIA_TYPE.into())],
            body: Bytes::from(Value::Object(members).to_string()),
        }
    }
}
