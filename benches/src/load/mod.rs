//! The other side of the gateway: its clients and its services, in one loop of one thread.
//!
//! The loop has to be much cheaper than what it measures, so it knows no more of HTTP than is needed: messages with a
//! length, one at a time on each connection. A socket takes and gives a message at once or it is an error.

mod calls;
mod closed;
mod connection;
mod crowd;
mod dripping;
mod errands;
mod histogram;
mod message;
mod open;
mod world;

pub use calls::{Asked, Call, Calls};
pub use closed::{Moment, Run};
pub use crowd::{Behaviour, Crowd};
pub use dripping::Dripping;
pub use errands::{BOTH, Errand, Errands, Seen, Step};
pub use message::Target;
pub use open::{Offer, Second, sum};
pub use world::World;
