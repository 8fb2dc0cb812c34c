//! A seeded world: lost calls, torn writes, crashes.
//!
//! **Owns**: a world around the production coordinator and journal, in one thread and under a clock that only the world
//! moves: participants that keep their duties, clients that come back, a network, a disk, and crashes. After a storm it
//! heals, and everything must come to its end. An oracle looks on and stops at the first broken promise.
//!
//! **Never**: decides what production code should do, reads a clock (but to say how fast it was), or draws chance that
//! does not come from the seed: the same seed gives the same run.
//!
//! **Read next**: `world` for what happens, `oracle` for what must never happen, [`Mistake`] for what proves that the
//! oracle sees it.

pub mod clock;
mod damage;
mod dice;
mod gateway;
mod medium;
mod mistake;
mod oracle;
mod participant;
mod queue;
mod response;
mod scenario;
mod secrets;
mod small;
mod trace;
mod weather;
mod world;

pub use damage::{Came, Piece, Specimen};
pub use mistake::Mistake;
pub use small::{End, Small, Steps, Tried};
pub use trace::{Show, Trace};
pub use world::{Cut, Point, Report, run, run_small};
