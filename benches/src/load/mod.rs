//! The other side of the gateway: its clients and its services, in one loop of one thread.
//!
//! The loop has to be much cheaper than what it measures, so it knows no more of HTTP than is needed: messages with a
//! length, one at a time on each connection. A socket takes and gives a message at once or it is an error.

mod crowd;
mod histogram;
mod message;
mod world;

pub use crowd::{Behaviour, Crowd};
pub use message::Target;
pub use world::{Moment, Run, World};
