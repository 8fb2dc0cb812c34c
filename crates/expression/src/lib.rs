//! Values from requests and answers, rendered into bodies, paths and headers.
//!
//! **Owns** the syntax of `${…}`: what a path may name, how JSON is copied digit for digit, what is computed by an
//! expression in CEL and what that may cost, how text is made safe for a header or a URL; and a JSON document from
//! which members are copied without being parsed.
//!
//! **Never** reads a clock, a file or a socket, never changes a number that is only passed on, and never decides
//! what a missing value means to a transaction: it says which one is missing, and the caller decides.
//!
//! **Read next** [`Reference`] for what can be named, [`Template`] and [`JsonTemplate`] for what is rendered,
//! then [`Scope`], which the caller implements; `cel` for what is more than a path.

mod bounds;
mod cel;
mod document;
mod json_template;
mod likely;
mod mask;
mod path;
mod place;
mod reference;
mod scan;
mod template;
mod text;
mod value;

pub use document::{Document, InvalidJson};
pub use json_template::{InvalidTemplate, JsonTemplate};
pub use mask::MASK;
pub use path::ParseError;
pub use reference::{Reference, Step};
pub use template::{Dependency, Template};
pub use value::{Fault, Kind, Reason, Scope, Unrenderable, Value};
